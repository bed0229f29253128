"""The five suites, put together of their parts.

Each part is a module of one idea: a class of ``Suite`` with tests. A new part is a module, and its name here, in the
suites that it is for. The last named runs first.
"""

from __future__ import annotations

from lollms_modalities.testing.arguments import ArgumentTests
from lollms_modalities.testing.edits import EditTests
from lollms_modalities.testing.encoded import EncodedTests
from lollms_modalities.testing.identity import IdentityTests
from lollms_modalities.testing.images import ImageTests
from lollms_modalities.testing.inputs import PictureTests, RecordingTests
from lollms_modalities.testing.leaks import LeakTests
from lollms_modalities.testing.life import LifeTests
from lollms_modalities.testing.live import LiveTests
from lollms_modalities.testing.music import MusicTests
from lollms_modalities.testing.process import ProcessTests
from lollms_modalities.testing.programs import ProgramTests
from lollms_modalities.testing.prompts import PromptTests
from lollms_modalities.testing.results import ResultTests
from lollms_modalities.testing.smoke import SmokeTests
from lollms_modalities.testing.sound import SoundTests
from lollms_modalities.testing.speakers import SpeakerTests
from lollms_modalities.testing.speech import SpeechTests
from lollms_modalities.testing.state import StateTests
from lollms_modalities.testing.stopping import StoppingTests
from lollms_modalities.testing.streams import StreamTests
from lollms_modalities.testing.times import TimesTests
from lollms_modalities.testing.transcripts import TranscriptTests
from lollms_modalities.testing.videos import VideoTests
from lollms_modalities.testing.voices import VoiceTests
from lollms_modalities.testing.words import AlignedWordTests, LanguageTests, SpokenWordTests


class _Common(
    LeakTests,
    LifeTests,
    ProgramTests,
    ProcessTests,
    StreamTests,
    StoppingTests,
    StateTests,
    ArgumentTests,
    ResultTests,
    IdentityTests,
    SmokeTests,
):
    """What all five have."""


class TTSBindingSuite(
    SpokenWordTests, AlignedWordTests, VoiceTests, EncodedTests, SpeechTests, SoundTests, PromptTests, _Common
):
    """For bindings of ``LollmsTTSBinding``."""


class TTMBindingSuite(MusicTests, SoundTests, PromptTests, _Common):
    """For bindings of ``LollmsTTMBinding``."""


class STTBindingSuite(SpeakerTests, LanguageTests, LiveTests, TimesTests, RecordingTests, TranscriptTests, _Common):
    """For bindings of ``LollmsSTTBinding``."""


class TTIBindingSuite(EditTests, PictureTests, ImageTests, PromptTests, _Common):
    """For bindings of ``LollmsTTIBinding``."""


class TTVBindingSuite(VideoTests, PromptTests, _Common):
    """For bindings of ``LollmsTTVBinding``."""
