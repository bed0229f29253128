"""Transcription: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.verbs import verb

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.calls.step import Step
    from lollms_modalities.contract.async_streams import AsyncStream
    from lollms_modalities.contract.providers import VoiceActivity
    from lollms_modalities.contract.verbs import Verb
    from lollms_modalities.media.chunk import AudioChunk
    from lollms_modalities.media.input import MediaInput
    from lollms_modalities.media.transcript import Segment, Transcript


class LollmsSTTBinding(LollmsBinding):
    """Turns speech into text."""

    modality = "stt"

    @abstractmethod
    @verb("Transcript", content="audio")
    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        """Write down what is said.

        Args:
            audio_path: a path, the bytes of an audio file, an ``Audio``, or a binary file.
            model: one of ``list_models()``; None for the binding's own.
            kwargs: the binding's options; ``progress``, ``cancel``, ``timeout``; and ``diarize``, ``num_speakers``,
                ``known_speakers``.

        Returns:
            The text, a ``str``, with segments, their times in seconds, and the language. With ``diarize=True`` each
            segment and each word has its ``speaker``: a name of ``known_speakers`` (by name, a recording of the voice
            alone), or "speaker_1", "speaker_2" in the order in which they are first heard.

        Raises:
            AudioFileNotFoundError: there is no such file.
            MediaError: it holds no sound that can be read.
            UnsupportedError: ``diarize=True``, and neither the engine nor an installed provider tells speakers apart.
        """

    @abstractmethod
    def list_models(self, **kwargs: Any) -> list[str]:
        """Names that ``model`` takes. Loads none."""

    def voice_activity(self) -> VoiceActivity | None:
        """What tells speech from what is none in ``transcribe_live``, where the engine brings it. For authors."""
        return None

    if TYPE_CHECKING:

        def stream_transcript(
            self, audio_path: MediaInput, model: str | None = None, **kwargs: Any
        ) -> Iterator[Segment]: ...

        async def atranscribe_audio(
            self, audio_path: MediaInput, model: str | None = None, **kwargs: Any
        ) -> Transcript: ...

        def astream_transcript(
            self, audio_path: MediaInput, model: str | None = None, **kwargs: Any
        ) -> AsyncStream[Segment]: ...

        def transcribe_live(
            self, frames: Iterable[AudioChunk] | AsyncIterable[AudioChunk], model: str | None = None, **kwargs: Any
        ) -> Iterator[Segment]: ...

        def atranscribe_live(
            self, frames: Iterable[AudioChunk] | AsyncIterable[AudioChunk], model: str | None = None, **kwargs: Any
        ) -> AsyncStream[Segment]: ...

    else:

        @verb("Segment", stream=True, content="audio")
        def stream_transcript(self, audio_path, model=None, **kwargs):
            """Write down what is said, segment by segment; same arguments as ``transcribe_audio``.

            A binding that cannot stream gives them all at the end; ``capabilities.streaming`` says which it is. With
            ``diarize=True`` all come at the end: who speaks is known when all has been heard.
            """
            yield from self.transcribe_audio(audio_path, model, **kwargs).as_segments()

        @verb("Segment", stream=True, content="frames")
        def transcribe_live(self, frames, model=None, **kwargs):
            """Write down what is said while it is being said; same options as ``transcribe_audio``.

            Of the segments that have one ``id``, each takes the place of the one before it; the last is ``final``. The
            final ones, joined, are the text. Where the engine is slower than the sound, partial ones are left out, and
            never sound.

            Args:
                frames: an iterator, or asynchronous iterator, of ``AudioChunk``, such as a microphone; of any sample
                    rates and numbers of channels. It is asked in a thread of its own, and closed at the end. What it
                    raises arrives unchanged.
                model: as of ``transcribe_audio``.
                kwargs: the binding's options, and ``progress``, ``cancel``, ``timeout``.

            Raises:
                MediaError: an item that is no sound.
            """
            from lollms_modalities.contract.live import Listening

            arguments = kwargs if model is None else {"model": model, **kwargs}
            yield from Listening(self, frames, arguments).segments()

    def _check_content(self, kind: str, value: Any) -> Any:
        if kind == "frames":
            from lollms_modalities.contract.frames import Frames

            return Frames(value)
        from lollms_modalities.media.input import check_media

        return check_media(value, role="audio") if kind == "audio" else value

    @classmethod
    def _common_options(cls, spec: Verb) -> tuple[str, ...]:
        return ("diarize", "num_speakers", "known_speakers") if spec.returns in ("Transcript", "Segment") else ()

    @classmethod
    def _common_media(cls, spec: Verb) -> tuple[str, ...]:
        return ("known_speakers",) if spec.returns in ("Transcript", "Segment") else ()

    def _step_of(self, content: Any, arguments: dict[str, Any], common: Mapping[str, Any]) -> Step | None:
        if not common:
            return None
        from lollms_modalities.contract.speakers import speakers_of

        times = self.capabilities.timestamps if "timestamps" in arguments else ()
        return speakers_of(self.binding_name, content, arguments, common, times)

    def _tidy(self, call: Call, content: Any, result: Any) -> Any:
        from copy import copy

        from lollms_modalities.media.segments import tidied
        from lollms_modalities.media.transcript import Transcript

        if not isinstance(result, Transcript):
            return result
        made = copy(result)
        length = call.heard or result.duration
        if result.segments:
            made.segments = tuple(tidied(result.segments, length or _length(call, content), _times(call)))
        made.duration = None if length is None else float(length)
        return made

    def _tidy_item(self, call: Call, content: Any, item: Any) -> list[Any]:
        from lollms_modalities.media.segments import possible, tidied

        if call.verb == "transcribe_live":
            return [possible(item, None)]  # as it is: what takes its place has the same id
        times = _times(call)
        # A segment of a stream has times, or it would be none.
        return tidied([item], call.heard or _length(call, content), "segment" if times == "none" else times)


def _times(call: Call) -> str | None:
    if call.step is not None and getattr(call.options, "timestamps", None) is not None:
        return "word"  # cut to what was asked for when it has been shared out
    return getattr(call.options, "timestamps", None)


def _length(call: Call, content: Any) -> float | None:
    """Seconds of the recording, which the engine code did not decode with the core; None where it cannot be told."""
    from lollms_modalities.errors import LollmsError

    if call.heard is None and content is not None:
        try:
            from lollms_modalities.media.probing import probe_audio

            call.heard = probe_audio(content)[2]
        except LollmsError:  # the engine could read it: that is what counts
            return None
    return call.heard
