"""Files of other kinds (GIF, TIFF, AVIF, PDF, SVG), which are only read: a packet of XMP, wherever it stands."""

from __future__ import annotations

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import texts_of_packet
from lollms_marks.view import View

_LOOKED_INTO = 1 << 20  # bytes at either end
_BEGIN = b"<x:xmpmeta"


def read(view: View) -> Tags:
    for at in dict.fromkeys((0, max(0, view.size - _LOOKED_INTO))):
        data = view.at(at, _LOOKED_INTO)
        begin = data.find(_BEGIN)
        if begin >= 0:
            return Tags(texts_of_packet(data[begin:]))
    return Tags()
