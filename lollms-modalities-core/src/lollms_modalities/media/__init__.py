"""What goes in and comes out: sound, images, video and transcripts, files of any format, and how results were made.

Begin with ``audio`` (a result), ``input`` (what callers give) and ``sound`` (sound files in). ``decoding``, ``mixing``,
``structure`` and ``wav`` are about what recordings really hold; ``audio_encoder`` writes, ``files`` writes whole or not
at all, ``result`` holds the provenance.

Imports ``errors`` and ``calls``. Knows no binding.
"""

from __future__ import annotations

from lollms_modalities.exports import exported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lollms_modalities.media.arriving import read_chunks as read_chunks
    from lollms_modalities.media.audio import Audio as Audio
    from lollms_modalities.media.chunk import AudioChunk as AudioChunk
    from lollms_modalities.media.formats import AUDIO_FORMATS as AUDIO_FORMATS
    from lollms_modalities.media.formats import IMAGE_FORMATS as IMAGE_FORMATS
    from lollms_modalities.media.formats import ORIGINAL as ORIGINAL
    from lollms_modalities.media.formats import VIDEO_FORMATS as VIDEO_FORMATS
    from lollms_modalities.media.formats import Format as Format
    from lollms_modalities.media.formats import check_format as check_format
    from lollms_modalities.media.formats import check_output_path as check_output_path
    from lollms_modalities.media.formats import format_of as format_of
    from lollms_modalities.media.formats import formats_of as formats_of
    from lollms_modalities.media.formats import sniff as sniff
    from lollms_modalities.media.image import Image as Image
    from lollms_modalities.media.input import MediaInput as MediaInput
    from lollms_modalities.media.input import check_media as check_media
    from lollms_modalities.media.input import media_path as media_path
    from lollms_modalities.media.input import open_media as open_media
    from lollms_modalities.media.input import read_media as read_media
    from lollms_modalities.media.media_file import MediaFile as MediaFile
    from lollms_modalities.media.result import Provenance as Provenance
    from lollms_modalities.media.said import Segment as Segment
    from lollms_modalities.media.said import Word as Word
    from lollms_modalities.media.transcript import Transcript as Transcript
    from lollms_modalities.media.video import Video as Video
    from lollms_modalities.media.wav import wav_header as wav_header

__getattr__, __dir__, __all__ = exported(
    __name__,
    {
        "media.arriving": "read_chunks",
        "media.audio": "Audio",
        "media.chunk": "AudioChunk",
        "media.formats": (
            "AUDIO_FORMATS Format IMAGE_FORMATS ORIGINAL VIDEO_FORMATS "
            "check_format check_output_path format_of formats_of sniff"
        ),
        "media.image": "Image",
        "media.input": "MediaInput check_media media_path open_media read_media",
        "media.media_file": "MediaFile",
        "media.result": "Provenance",
        "media.said": "Segment Word",
        "media.transcript": "Transcript",
        "media.video": "Video",
        "media.wav": "wav_header",
    },
)
