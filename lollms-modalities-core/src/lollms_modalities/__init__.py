"""The contract between programs that speak, listen, draw, compose and film, and the engines that do it.

Every public name can be imported from here; each is loaded when it is first asked for, so that importing the package, a
manager, or listing what is installed stays quick.
"""

from __future__ import annotations

from lollms_modalities.exports import exported
from lollms_modalities.version import CONTRACT_VERSION as CONTRACT_VERSION
from lollms_modalities.version import __version__ as __version__

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call as Call
    from lollms_modalities.calls.call import current_call as current_call
    from lollms_modalities.calls.call import report_progress as report_progress
    from lollms_modalities.calls.cancelling import CancelToken as CancelToken
    from lollms_modalities.calls.progress import Progress as Progress
    from lollms_modalities.calls.progress import ProgressCallback as ProgressCallback
    from lollms_modalities.configuration import ConfigurationError as ConfigurationError
    from lollms_modalities.configuration import ConfigurationFile as ConfigurationFile
    from lollms_modalities.configuration import change_configuration as change_configuration
    from lollms_modalities.configuration import configuration_path as configuration_path
    from lollms_modalities.configuration import read_configuration as read_configuration
    from lollms_modalities.contract.async_streams import AsyncStream as AsyncStream
    from lollms_modalities.contract.binding import LollmsBinding as LollmsBinding
    from lollms_modalities.contract.capabilities import Capabilities as Capabilities
    from lollms_modalities.contract.composing import ContinueOptions as ContinueOptions
    from lollms_modalities.contract.composing import Lyrics as Lyrics
    from lollms_modalities.contract.composing import NegativePrompt as NegativePrompt
    from lollms_modalities.contract.composing import RepaintOptions as RepaintOptions
    from lollms_modalities.contract.editing import EditOptions as EditOptions
    from lollms_modalities.contract.editing import ImageInput as ImageInput
    from lollms_modalities.contract.encoded import AsyncEncodedStream as AsyncEncodedStream
    from lollms_modalities.contract.encoded import EncodedStream as EncodedStream
    from lollms_modalities.contract.encoded import SoundFormat as SoundFormat
    from lollms_modalities.contract.providers import Aligner as Aligner
    from lollms_modalities.contract.providers import Diarizer as Diarizer
    from lollms_modalities.contract.providers import Provider as Provider
    from lollms_modalities.contract.providers import Turn as Turn
    from lollms_modalities.contract.providers import VoiceActivity as VoiceActivity
    from lollms_modalities.contract.providers import VoiceStream as VoiceStream
    from lollms_modalities.contract.providers import has_provider as has_provider
    from lollms_modalities.contract.providers import provider as provider
    from lollms_modalities.contract.spoken import word_aligner as word_aligner
    from lollms_modalities.contract.streams import Stream as Stream
    from lollms_modalities.contract.stt import LollmsSTTBinding as LollmsSTTBinding
    from lollms_modalities.contract.tti import LollmsTTIBinding as LollmsTTIBinding
    from lollms_modalities.contract.ttm import LollmsTTMBinding as LollmsTTMBinding
    from lollms_modalities.contract.tts import LollmsTTSBinding as LollmsTTSBinding
    from lollms_modalities.contract.ttv import LollmsTTVBinding as LollmsTTVBinding
    from lollms_modalities.contract.verbs import Verb as Verb
    from lollms_modalities.contract.verbs import verb as verb
    from lollms_modalities.contract.voice_rows import record_clone as record_clone
    from lollms_modalities.contract.voice_rows import voice_row as voice_row
    from lollms_modalities.contract.voices import voice_detector as voice_detector
    from lollms_modalities.entry_points.refs import BindingRef as BindingRef
    from lollms_modalities.environments.changing import check_environment as check_environment
    from lollms_modalities.environments.changing import create_environment as create_environment
    from lollms_modalities.environments.changing import remove_environment as remove_environment
    from lollms_modalities.environments.changing import update_environment as update_environment
    from lollms_modalities.environments.environment import Environment as Environment
    from lollms_modalities.environments.environment import environments_folder as environments_folder
    from lollms_modalities.environments.environment import find_environment as find_environment
    from lollms_modalities.environments.environment import list_environments as list_environments
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
    from lollms_modalities.errors import PlaceError as PlaceError
    from lollms_modalities.errors import PluginRefused as PluginRefused
    from lollms_modalities.errors import SaveError as SaveError
    from lollms_modalities.errors import ServiceAuthError as ServiceAuthError
    from lollms_modalities.errors import ServiceError as ServiceError
    from lollms_modalities.errors import ServiceRateLimitError as ServiceRateLimitError
    from lollms_modalities.errors import ServiceResponseError as ServiceResponseError
    from lollms_modalities.errors import SettingsError as SettingsError
    from lollms_modalities.errors import UnsupportedError as UnsupportedError
    from lollms_modalities.errors import VoiceExistsError as VoiceExistsError
    from lollms_modalities.errors import VoiceNotFoundError as VoiceNotFoundError
    from lollms_modalities.errors import WorkerCrashedError as WorkerCrashedError
    from lollms_modalities.errors import WorkerRestartError as WorkerRestartError
    from lollms_modalities.errors import WorkerTimeoutError as WorkerTimeoutError
    from lollms_modalities.finding.manager import BindingManager as BindingManager
    from lollms_modalities.finding.managers import LollmsSTTBindingManager as LollmsSTTBindingManager
    from lollms_modalities.finding.managers import LollmsTTIBindingManager as LollmsTTIBindingManager
    from lollms_modalities.finding.managers import LollmsTTMBindingManager as LollmsTTMBindingManager
    from lollms_modalities.finding.managers import LollmsTTSBindingManager as LollmsTTSBindingManager
    from lollms_modalities.finding.managers import LollmsTTVBindingManager as LollmsTTVBindingManager
    from lollms_modalities.hooks.specs import hookimpl as hookimpl
    from lollms_modalities.masking import MASK as MASK
    from lollms_modalities.media.arriving import read_chunks as read_chunks
    from lollms_modalities.media.audio import Audio as Audio
    from lollms_modalities.media.audio_encoder import AudioEncoder as AudioEncoder
    from lollms_modalities.media.audio_encoder import EncodedBytes as EncodedBytes
    from lollms_modalities.media.audio_encoder import encode_audio as encode_audio
    from lollms_modalities.media.chunk import AudioChunk as AudioChunk
    from lollms_modalities.media.encoded import EncodedText as EncodedText
    from lollms_modalities.media.encoded import StreamHead as StreamHead
    from lollms_modalities.media.image import Image as Image
    from lollms_modalities.media.input import MediaInput as MediaInput
    from lollms_modalities.media.input import check_media as check_media
    from lollms_modalities.media.input import media_path as media_path
    from lollms_modalities.media.input import open_media as open_media
    from lollms_modalities.media.input import read_media as read_media
    from lollms_modalities.media.probing import probe_audio as probe_audio
    from lollms_modalities.media.probing import probe_video as probe_video
    from lollms_modalities.media.result import Provenance as Provenance
    from lollms_modalities.media.said import Segment as Segment
    from lollms_modalities.media.said import Word as Word
    from lollms_modalities.media.sound import decode_audio as decode_audio
    from lollms_modalities.media.sound import decode_blocks as decode_blocks
    from lollms_modalities.media.sound import decode_frames as decode_frames
    from lollms_modalities.media.transcript import Transcript as Transcript
    from lollms_modalities.media.video import Video as Video
    from lollms_modalities.media.words import split_words as split_words
    from lollms_modalities.models import ModelCache as ModelCache
    from lollms_modalities.models import SharedModel as SharedModel
    from lollms_modalities.settings.base import BindingSettings as BindingSettings
    from lollms_modalities.settings.base import CallOptions as CallOptions
    from lollms_modalities.settings.fields import Consent as Consent
    from lollms_modalities.settings.fields import Count as Count
    from lollms_modalities.settings.fields import Diarize as Diarize
    from lollms_modalities.settings.fields import Duration as Duration
    from lollms_modalities.settings.fields import Fps as Fps
    from lollms_modalities.settings.fields import GuidanceScale as GuidanceScale
    from lollms_modalities.settings.fields import Height as Height
    from lollms_modalities.settings.fields import Language as Language
    from lollms_modalities.settings.fields import NumFrames as NumFrames
    from lollms_modalities.settings.fields import NumInferenceSteps as NumInferenceSteps
    from lollms_modalities.settings.fields import NumSpeakers as NumSpeakers
    from lollms_modalities.settings.fields import Scale as Scale
    from lollms_modalities.settings.fields import Seed as Seed
    from lollms_modalities.settings.fields import Speed as Speed
    from lollms_modalities.settings.fields import Temperature as Temperature
    from lollms_modalities.settings.fields import Timestamps as Timestamps
    from lollms_modalities.settings.fields import TopK as TopK
    from lollms_modalities.settings.fields import TopP as TopP
    from lollms_modalities.settings.fields import Track as Track
    from lollms_modalities.settings.fields import Width as Width
    from lollms_modalities.settings.fields import WordTimes as WordTimes
    from lollms_modalities.settings.fields import option as option
    from lollms_modalities.settings.fields import setting as setting
    from lollms_modalities.workers.finding_places import find_place as find_place
    from lollms_modalities.workers.isolated import IsolatedBinding as IsolatedBinding
    from lollms_modalities.workers.opening import open_binding as open_binding
    from lollms_modalities.workers.places import Place as Place
    from lollms_modalities.workers.places import ProcessPlace as ProcessPlace
    from lollms_modalities.workers.places import Running as Running
    from lollms_modalities.workers.places import tell_starting as tell_starting
    from lollms_modalities.workers.policy import Spec as Spec
    from lollms_modalities.workers.policy import WorkerPolicy as WorkerPolicy
    from lollms_modalities.workers.protocol import PROTOCOL_VERSION as PROTOCOL_VERSION
    from lollms_modalities.workers.server_place import ServerPlace as ServerPlace
    from lollms_modalities.workers.ssh import SshPlace as SshPlace
    from lollms_modalities.workers.tcp import TcpPlace as TcpPlace
    from lollms_modalities.workers.tcp import TcpProcess as TcpProcess
    from lollms_modalities.workers.tcp import reach_worker as reach_worker
    from lollms_modalities.workers.tcp import start_listening as start_listening
    from lollms_modalities.workers.tcp import tell_worker as tell_worker
    from lollms_modalities.workers.tls import Identity as Identity
    from lollms_modalities.workers.tls import TlsLink as TlsLink
    from lollms_modalities.workers.tls import make_identity as make_identity
    from lollms_modalities.workers.turns import PoolState as PoolState


__getattr__, __dir__, __all__ = exported(
    __name__,
    {
        "media.probing": "probe_audio probe_video",
        "media.sound": "decode_audio decode_blocks decode_frames",
        "calls.call": "Call current_call report_progress",
        "calls.cancelling": "CancelToken",
        "calls.progress": "Progress ProgressCallback",
        "configuration": (
            "ConfigurationError ConfigurationFile change_configuration configuration_path read_configuration"
        ),
        "contract.async_streams": "AsyncStream",
        "contract.binding": "LollmsBinding",
        "contract.capabilities": "Capabilities",
        "contract.composing": "ContinueOptions Lyrics NegativePrompt RepaintOptions",
        "contract.editing": "EditOptions ImageInput",
        "contract.providers": "Aligner Diarizer Provider Turn VoiceActivity VoiceStream has_provider provider",
        "contract.encoded": "AsyncEncodedStream EncodedStream SoundFormat",
        "contract.spoken": "word_aligner",
        "contract.streams": "Stream",
        "contract.stt": "LollmsSTTBinding",
        "contract.tti": "LollmsTTIBinding",
        "contract.ttm": "LollmsTTMBinding",
        "contract.tts": "LollmsTTSBinding",
        "contract.ttv": "LollmsTTVBinding",
        "contract.verbs": "Verb verb",
        "contract.voice_rows": "record_clone voice_row",
        "contract.voices": "voice_detector",
        "entry_points.refs": "BindingRef",
        "environments.changing": "check_environment create_environment remove_environment update_environment",
        "environments.environment": "Environment environments_folder find_environment list_environments",
        "errors": (
            "AudioFileNotFoundError BindingBrokenError BindingClosedError BindingDependencyError "
            "BindingIncompatibleError BindingNotFoundError BindingUnavailableError BindingUnavailableWarning "
            "BusyError CallCancelled CallTimeout DuplicateBindingWarning EnvironmentBuildError "
            "EnvironmentUsedWarning GenerationError LicenseNotAcceptedError LollmsError MediaError MediaWarning "
            "ModelNotFoundError OlderKeywordWarning OlderNameError OptionError PlaceError PluginRefused SaveError "
            "ServiceAuthError ServiceError ServiceRateLimitError ServiceResponseError SettingsError UnsupportedError "
            "VoiceExistsError VoiceNotFoundError WorkerCrashedError WorkerRestartError "
            "WorkerTimeoutError"
        ),
        "finding.manager": "BindingManager",
        "finding.managers": (
            "LollmsSTTBindingManager LollmsTTIBindingManager LollmsTTMBindingManager LollmsTTSBindingManager "
            "LollmsTTVBindingManager"
        ),
        "hooks.specs": "hookimpl",
        "masking": "MASK",
        "media.arriving": "read_chunks",
        "media.audio": "Audio",
        "media.audio_encoder": "AudioEncoder EncodedBytes encode_audio",
        "media.chunk": "AudioChunk",
        "media.encoded": "EncodedText StreamHead",
        "media.image": "Image",
        "media.input": "MediaInput check_media media_path open_media read_media",
        "media.result": "Provenance",
        "media.said": "Segment Word",
        "media.transcript": "Transcript",
        "media.video": "Video",
        "media.words": "split_words",
        "models": "ModelCache SharedModel",
        "settings.base": "BindingSettings CallOptions",
        "settings.fields": (
            "Consent Count Diarize Duration Fps GuidanceScale Height Language NumFrames NumInferenceSteps NumSpeakers "
            "Scale Seed Speed Temperature Timestamps TopK TopP Track Width WordTimes option setting"
        ),
        "workers.finding_places": "find_place",
        "workers.isolated": "IsolatedBinding",
        "workers.opening": "open_binding",
        "workers.places": "Place ProcessPlace Running tell_starting",
        "workers.protocol": "PROTOCOL_VERSION",
        "workers.server_place": "ServerPlace",
        "workers.ssh": "SshPlace",
        "workers.policy": "Spec WorkerPolicy",
        "workers.tcp": "TcpPlace TcpProcess reach_worker start_listening tell_worker",
        "workers.tls": "Identity TlsLink make_identity",
        "workers.turns": "PoolState",
    },
)
