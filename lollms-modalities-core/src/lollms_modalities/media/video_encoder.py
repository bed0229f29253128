"""Frames to a video file, with PyAV (the extra ``audio``)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import BindingDependencyError, GenerationError
from lollms_modalities.media.video_sound import FilmSound
from lollms_modalities.version import requirement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.media.input import MediaInput


def encode_video(
    frames: Iterable[npt.NDArray[np.uint8]], fps: float, *, crf: int = 20, audio: MediaInput | None = None
) -> bytes:
    """MP4 (H.264, yuv420p) from RGB frames, with AAC where there is sound.

    Args:
        frames: each uint8 of shape (height, width, 3), all alike. Odd sizes lose a row or column, which H.264 cannot
            hold.
        fps: frames per second.
        crf: constant rate factor of x264, 0 (lossless) to 51; lower is better and larger.
        audio: its sound. What goes beyond the last frame is cut, where it ends earlier silence follows; the call's
            provenance tells, and a ``MediaWarning`` where it is more than a tenth of a second.

    Raises:
        GenerationError: no frame, or frames of another shape or type; sound with too many channels.
        MediaError: the sound is none.
    """
    try:
        import av
    except ImportError as exc:
        raise BindingDependencyError(
            "Videos are written with PyAV, which is not installed.",
            hint=f"Run pip install {requirement('lollms-modalities-core', 'audio')}.",
        ) from exc
    buffer = io.BytesIO()
    stream: Any = None
    sound: FilmSound | None = None
    count = 0
    container: Any = av.open(buffer, "w", format="mp4")
    try:
        with container:
            for frame in frames:
                if getattr(frame, "ndim", 0) != 3 or frame.shape[2] != 3 or str(frame.dtype) != "uint8":
                    raise GenerationError(
                        f"A frame is {getattr(frame, 'dtype', type(frame).__name__)} of shape "
                        f"{getattr(frame, 'shape', None)}.",
                        hint="It must be uint8 of shape (height, width, 3).",
                    )
                height, width = (n - n % 2 for n in frame.shape[:2])
                if stream is None:
                    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    # x264's macroblock tree reads memory that nobody has written: equal frames would give other bytes.
                    stream.options = {"crf": str(crf), "threads": "2", "x264-params": "mbtree=0"}
                    if audio is not None:
                        sound = FilmSound(audio, container)
                elif (stream.width, stream.height) != (width, height):
                    raise GenerationError(
                        f"A frame is {width}x{height}, the first was {stream.width}x{stream.height}.",
                        hint="All frames of a video have one size.",
                    )
                picture = av.VideoFrame.from_ndarray(frame[:height, :width], format="rgb24")
                container.mux(stream.encode(picture))
                count += 1
                if sound is not None:
                    sound.until(float(count / stream.codec_context.framerate))
            if stream is None:
                raise GenerationError("A video of no frames cannot be made.")
            container.mux(stream.encode(None))
            if sound is not None:
                sound.finish(float(count / stream.codec_context.framerate))
    finally:
        # The traceback of an error keeps these, and they the encoder with its threads.
        container = stream = sound = None
    return buffer.getvalue()
