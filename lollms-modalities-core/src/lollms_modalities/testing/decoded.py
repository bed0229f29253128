"""What is seen and heard in results, beside their bytes, into which plug-ins may put marks of their own."""

from __future__ import annotations

import io
from typing import Any

from lollms_modalities import media


def same_content(a: Any, b: Any) -> bool:
    """Whether two results are equal in their bytes, or hold the same sound, pixels or frames."""
    if a == b:
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_content, a, b))
    if type(a) is not type(b) or not isinstance(a, media.MediaFile) or a.format != b.format:
        return False
    return bool(_content(a) == _content(b))


def _content(result: Any) -> Any:
    if isinstance(result, media.Audio):
        return result.sample_rate, result.channels, result.to_numpy().tobytes()
    if isinstance(result, media.Image):
        image = result.to_pil()
        return image.mode, image.size, image.tobytes()
    import av

    with av.open(io.BytesIO(media.read_media(result)), mode="r") as container:
        return [bytes(packet) for packet in container.demux() if packet.size]
