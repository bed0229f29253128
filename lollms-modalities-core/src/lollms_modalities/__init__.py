"""The contract between programs that speak, listen, draw, compose and film, and the engines that do it.

Every public name can be imported from here; each is loaded when it is first asked for, so that importing the package, a
manager, or listing what is installed stays quick.
"""

from __future__ import annotations

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from lollms_modalities.audio_encoder import AudioEncoder as AudioEncoder
    from lollms_modalities.binding import LollmsBinding as LollmsBinding
    from lollms_modalities.call import Call as Call
    from lollms_modalities.call import CancelToken as CancelToken
    from lollms_modalities.call import Progress as Progress
    from lollms_modalities.call import current_call as current_call
    from lollms_modalities.call import report_progress as report_progress
    from lollms_modalities.capabilities import Capabilities as Capabilities
    from lollms_modalities.discovery import BindingRef as BindingRef
    from lollms_modalities.editing import EditOptions as EditOptions
    from lollms_modalities.editing import ImageInput as ImageInput
    from lollms_modalities.errors import AudioFileNotFoundError as AudioFileNotFoundError
    from lollms_modalities.errors import BindingBrokenError as BindingBrokenError
    from lollms_modalities.errors import BindingClosedError as BindingClosedError
    from lollms_modalities.errors import BindingDependencyError as BindingDependencyError
    from lollms_modalities.errors import BindingIncompatibleError as BindingIncompatibleError
    from lollms_modalities.errors import BindingNotFoundError as BindingNotFoundError
    from lollms_modalities.errors import BindingUnavailableError as BindingUnavailableError
    from lollms_modalities.errors import BindingUnavailableWarning as BindingUnavailableWarning
    from lollms_modalities.errors import BusyError as BusyError
    from lollms_modalities.errors import CallCancelled as CallCancelled
    from lollms_modalities.errors import CallTimeout as CallTimeout
    from lollms_modalities.errors import DuplicateBindingWarning as DuplicateBindingWarning
    from lollms_modalities.errors import EnvironmentBuildError as EnvironmentBuildError
    from lollms_modalities.errors import EnvironmentUsedWarning as EnvironmentUsedWarning
    from lollms_modalities.errors import GenerationError as GenerationError
    from lollms_modalities.errors import LicenseNotAcceptedError as LicenseNotAcceptedError
    from lollms_modalities.errors import LollmsError as LollmsError
    from lollms_modalities.errors import MediaError as MediaError
    from lollms_modalities.errors import MediaWarning as MediaWarning
    from lollms_modalities.errors import ModelNotFoundError as ModelNotFoundError
    from lollms_modalities.errors import OlderKeywordWarning as OlderKeywordWarning
    from lollms_modalities.errors import OlderNameError as OlderNameError
    from lollms_modalities.errors import OptionError as OptionError
    from lollms_modalities.errors import SaveError as SaveError
    from lollms_modalities.errors import ServiceAuthError as ServiceAuthError
    from lollms_modalities.errors import ServiceError as ServiceError
    from lollms_modalities.errors import ServiceRateLimitError as ServiceRateLimitError
    from lollms_modalities.errors import ServiceResponseError as ServiceResponseError
    from lollms_modalities.errors import SettingsError as SettingsError
    from lollms_modalities.errors import UnsupportedError as UnsupportedError
    from lollms_modalities.errors import VoiceNotFoundError as VoiceNotFoundError
    from lollms_modalities.errors import WorkerCrashedError as WorkerCrashedError
    from lollms_modalities.errors import WorkerTimeoutError as WorkerTimeoutError
    from lollms_modalities.hookspecs import hookimpl as hookimpl
    from lollms_modalities.manager import BindingManager as BindingManager
    from lollms_modalities.media import Audio as Audio
    from lollms_modalities.media import AudioChunk as AudioChunk
    from lollms_modalities.media import Image as Image
    from lollms_modalities.media import MediaInput as MediaInput
    from lollms_modalities.media import Provenance as Provenance
    from lollms_modalities.media import Segment as Segment
    from lollms_modalities.media import Transcript as Transcript
    from lollms_modalities.media import Video as Video
    from lollms_modalities.media import Word as Word
    from lollms_modalities.media import check_media as check_media
    from lollms_modalities.media import media_path as media_path
    from lollms_modalities.media import open_media as open_media
    from lollms_modalities.media import read_media as read_media
    from lollms_modalities.models import ModelCache as ModelCache
    from lollms_modalities.models import SharedModel as SharedModel
    from lollms_modalities.settings import BindingSettings as BindingSettings
    from lollms_modalities.settings import CallOptions as CallOptions
    from lollms_modalities.settings import Count as Count
    from lollms_modalities.settings import Duration as Duration
    from lollms_modalities.settings import Fps as Fps
    from lollms_modalities.settings import GuidanceScale as GuidanceScale
    from lollms_modalities.settings import Height as Height
    from lollms_modalities.settings import Language as Language
    from lollms_modalities.settings import NumFrames as NumFrames
    from lollms_modalities.settings import NumInferenceSteps as NumInferenceSteps
    from lollms_modalities.settings import Seed as Seed
    from lollms_modalities.settings import Speed as Speed
    from lollms_modalities.settings import Temperature as Temperature
    from lollms_modalities.settings import Timestamps as Timestamps
    from lollms_modalities.settings import TopK as TopK
    from lollms_modalities.settings import TopP as TopP
    from lollms_modalities.settings import Track as Track
    from lollms_modalities.settings import Width as Width
    from lollms_modalities.settings import option as option
    from lollms_modalities.settings import setting as setting
    from lollms_modalities.streams import AsyncStream as AsyncStream
    from lollms_modalities.streams import Stream as Stream
    from lollms_modalities.stt import LollmsSTTBinding as LollmsSTTBinding
    from lollms_modalities.stt import LollmsSTTBindingManager as LollmsSTTBindingManager
    from lollms_modalities.tti import LollmsTTIBinding as LollmsTTIBinding
    from lollms_modalities.tti import LollmsTTIBindingManager as LollmsTTIBindingManager
    from lollms_modalities.ttm import LollmsTTMBinding as LollmsTTMBinding
    from lollms_modalities.ttm import LollmsTTMBindingManager as LollmsTTMBindingManager
    from lollms_modalities.tts import LollmsTTSBinding as LollmsTTSBinding
    from lollms_modalities.tts import LollmsTTSBindingManager as LollmsTTSBindingManager
    from lollms_modalities.ttv import LollmsTTVBinding as LollmsTTVBinding
    from lollms_modalities.ttv import LollmsTTVBindingManager as LollmsTTVBindingManager
    from lollms_modalities.verbs import verb as verb

__version__ = "2.0.0"

_MODULES = {
    "audio_encoder": "AudioEncoder",
    "binding": "LollmsBinding",
    "call": "Call CancelToken Progress current_call report_progress",
    "capabilities": "Capabilities",
    "discovery": "BindingRef",
    "editing": "EditOptions ImageInput",
    "errors": (
        "AudioFileNotFoundError BindingBrokenError BindingClosedError BindingDependencyError "
        "BindingIncompatibleError BindingNotFoundError BindingUnavailableError BindingUnavailableWarning "
        "BusyError CallCancelled CallTimeout DuplicateBindingWarning EnvironmentBuildError EnvironmentUsedWarning "
        "GenerationError LicenseNotAcceptedError OlderKeywordWarning OlderNameError "
        "LollmsError MediaError MediaWarning ModelNotFoundError OptionError SaveError ServiceAuthError ServiceError "
        "ServiceRateLimitError ServiceResponseError SettingsError UnsupportedError VoiceNotFoundError "
        "WorkerCrashedError WorkerTimeoutError"
    ),
    "hookspecs": "hookimpl",
    "manager": "BindingManager",
    "media": (
        "Audio AudioChunk Image MediaInput Provenance Segment Transcript Video Word check_media media_path "
        "open_media read_media"
    ),
    "models": "ModelCache SharedModel",
    "settings": (
        "BindingSettings CallOptions Count Duration Fps GuidanceScale Height Language NumFrames "
        "NumInferenceSteps Seed Speed Temperature Timestamps TopK TopP Track Width option setting"
    ),
    "streams": "AsyncStream Stream",
    "stt": "LollmsSTTBinding LollmsSTTBindingManager",
    "tti": "LollmsTTIBinding LollmsTTIBindingManager",
    "ttm": "LollmsTTMBinding LollmsTTMBindingManager",
    "tts": "LollmsTTSBinding LollmsTTSBindingManager",
    "ttv": "LollmsTTVBinding LollmsTTVBindingManager",
    "verbs": "verb",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
