"""What authors of engines use, besides what ``lollms_modalities`` itself exports.

Import by name from here; ``kit.torch``, ``kit.hub``, ``kit.http`` and ``kit.program`` can be imported as modules, too.
The room imports what is below the contract, beside which it stands: neither imports the other.
"""

from __future__ import annotations

from lollms_modalities.exports import exported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lollms_modalities.kit.downloading import download as download
    from lollms_modalities.kit.downloading import folder_for_downloads as folder_for_downloads
    from lollms_modalities.kit.downloading import read_url as read_url
    from lollms_modalities.kit.http import Answer as Answer
    from lollms_modalities.kit.http import HttpClient as HttpClient
    from lollms_modalities.kit.http import Upload as Upload
    from lollms_modalities.kit.http import clean_address as clean_address
    from lollms_modalities.kit.http import image_upload as image_upload
    from lollms_modalities.kit.hub import explain_loading as explain_loading
    from lollms_modalities.kit.hub import fetched_model as fetched_model
    from lollms_modalities.kit.hub import find_model as find_model
    from lollms_modalities.kit.languages import WHISPER_LANGUAGES as WHISPER_LANGUAGES
    from lollms_modalities.kit.languages import language_code as language_code
    from lollms_modalities.kit.languages import whisper_language as whisper_language
    from lollms_modalities.kit.onnx_outputs import OnnxGraph as OnnxGraph
    from lollms_modalities.kit.onnx_outputs import read_onnx_graph as read_onnx_graph
    from lollms_modalities.kit.onnx_outputs import with_onnx_output as with_onnx_output
    from lollms_modalities.kit.phoneme_words import WordSpan as WordSpan
    from lollms_modalities.kit.phoneme_words import word_spans as word_spans
    from lollms_modalities.kit.quieting import quiet as quiet
    from lollms_modalities.kit.quieting import relay_logs as relay_logs
    from lollms_modalities.kit.quieting import without_bars as without_bars
    from lollms_modalities.kit.splitting import pieces as pieces
    from lollms_modalities.kit.splitting import sentences as sentences
    from lollms_modalities.kit.torch import Device as Device
    from lollms_modalities.kit.torch import Precision as Precision
    from lollms_modalities.kit.torch import free_memory as free_memory
    from lollms_modalities.kit.torch import pick_device as pick_device
    from lollms_modalities.kit.torch import pick_dtype as pick_dtype
    from lollms_modalities.kit.torch import seeded as seeded
    from lollms_modalities.kit.torch import seeded_steps as seeded_steps
    from lollms_modalities.kit.torch import stopping_criteria as stopping_criteria
    from lollms_modalities.kit.torch import use_threads as use_threads
    from lollms_modalities.kit.voice_store import KeptVoice as KeptVoice
    from lollms_modalities.kit.voice_store import VoiceStore as VoiceStore
    from lollms_modalities.kit.voice_store import voices_folder as voices_folder
    from lollms_modalities.media.audio_encoder import encode_audio as encode_audio
    from lollms_modalities.media.decoding import CONTAINERS as CONTAINERS
    from lollms_modalities.media.decoding import MAX_DURATION as MAX_DURATION
    from lollms_modalities.media.formats import sniff as sniff
    from lollms_modalities.media.probing import count_tracks as count_tracks
    from lollms_modalities.media.probing import probe_audio as probe_audio
    from lollms_modalities.media.probing import probe_video as probe_video
    from lollms_modalities.media.samples import resample as resample
    from lollms_modalities.media.samples import to_int16 as to_int16
    from lollms_modalities.media.segments import LONG_PAUSE as LONG_PAUSE
    from lollms_modalities.media.sound import Sound as Sound
    from lollms_modalities.media.sound import decode_audio as decode_audio
    from lollms_modalities.media.sound import decode_blocks as decode_blocks
    from lollms_modalities.media.sound import decode_frames as decode_frames
    from lollms_modalities.media.wav import read_wav as read_wav
    from lollms_modalities.settings.checking import near_miss as near_miss
    from lollms_modalities.settings.forms import dump_secrets as dump_secrets
    from lollms_modalities.settings.telemetry import switch_off_telemetry as switch_off_telemetry

__getattr__, __dir__, __all__ = exported(
    __name__,
    {
        "kit.hub": "explain_loading fetched_model find_model",
        "kit.torch": (
            "Device Precision free_memory pick_device pick_dtype seeded seeded_steps stopping_criteria use_threads"
        ),
        "kit.downloading": "download folder_for_downloads read_url",
        "kit.http": "Answer HttpClient Upload clean_address image_upload",
        "kit.languages": "WHISPER_LANGUAGES language_code whisper_language",
        "kit.onnx_outputs": "OnnxGraph read_onnx_graph with_onnx_output",
        "kit.phoneme_words": "WordSpan word_spans",
        "kit.quieting": "quiet relay_logs without_bars",
        "kit.splitting": "pieces sentences",
        "kit.voice_store": "KeptVoice VoiceStore voices_folder",
        "media.audio_encoder": "encode_audio",
        "media.decoding": "CONTAINERS MAX_DURATION",
        "media.formats": "sniff",
        "media.probing": "count_tracks probe_audio probe_video",
        "media.samples": "resample to_int16",
        "media.segments": "LONG_PAUSE",
        "media.sound": "Sound decode_audio decode_blocks decode_frames",
        "media.wav": "read_wav",
        "settings.checking": "near_miss",
        "settings.forms": "dump_secrets",
        "settings.telemetry": "switch_off_telemetry",
    },
)
