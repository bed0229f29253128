"""What a server needs that speaks the worker's protocol itself: frames, values, errors and warnings as they cross.

Public, for servers and places of other distributions. ``docs/protocol.md`` says what the messages mean.
"""

from __future__ import annotations

from lollms_modalities.contract.verbs import check_arguments
from lollms_modalities.entry_points.refs import Origin
from lollms_modalities.settings.shown import shown
from lollms_modalities.version import __version__
from lollms_modalities.workers.carrying import without_files
from lollms_modalities.workers.protocol import (
    ACK,
    BEGIN,
    CHUNK,
    DATA,
    ERROR,
    HEAD,
    ITEM,
    ITEMS,
    ITEMS_IN,
    MINOR,
    PROGRESS,
    READY,
    RESULT,
    TAKEN,
    TYPED,
    VERSION,
    WARNING,
    WINDOW,
    Buffer,
    encode,
)
from lollms_modalities.workers.remote_errors import pack_warning
from lollms_modalities.workers.values import pack, untyped

__all__ = [
    "ACK",
    "BEGIN",
    "CHUNK",
    "DATA",
    "ERROR",
    "HEAD",
    "ITEM",
    "ITEMS",
    "ITEMS_IN",
    "MINOR",
    "PROGRESS",
    "READY",
    "RESULT",
    "TAKEN",
    "TYPED",
    "VERSION",
    "WARNING",
    "WINDOW",
    "Buffer",
    "Origin",
    "__version__",
    "check_arguments",
    "encode",
    "pack",
    "pack_warning",
    "shown",
    "untyped",
    "without_files",
]
