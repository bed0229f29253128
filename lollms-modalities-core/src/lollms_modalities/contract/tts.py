"""Speech: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.text import check_speakable, check_texts
from lollms_modalities.contract.verbs import verb
from lollms_modalities.errors import UnsupportedError

if TYPE_CHECKING:
    from lollms_modalities.calls.step import Step
    from lollms_modalities.contract.async_streams import AsyncStream
    from lollms_modalities.contract.encoded import AsyncEncodedStream, EncodedStream, SoundFormat
    from lollms_modalities.contract.verbs import Verb
    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.chunk import AudioChunk
    from lollms_modalities.media.input import MediaInput


class LollmsTTSBinding(LollmsBinding):
    """Turns text into speech."""

    modality = "tts"

    @abstractmethod
    @verb("Audio", content="text")
    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        """Speak ``text``.

        Args:
            text: what to say. Text without a letter or digit is an ``OptionError``.
            voice: one of ``list_voices()``, or what else the binding takes; None for its default.
            kwargs: the binding's options; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``, ``timestamps``.

        Returns:
            16-bit PCM WAV unless ``output_format`` says otherwise. With ``timestamps="word"`` its ``words`` have their
            times: the engine's own where ``capabilities.timestamps`` has "word", else those that an installed aligner
            finds.

        Raises:
            UnsupportedError: ``timestamps="word"``, and nobody can tell them in that language.
        """

    @abstractmethod
    def list_voices(self, **kwargs: Any) -> list[str]:
        """Names that ``voice`` takes. Loads no model."""

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        """What is known of each voice of ``list_voices``. Loads no model.

        Returns:
            Rows with ``name``, ``language`` (BCP 47; "" where it speaks several, or that is not known), ``gender``
            ("female", "male", or "" where its makers do not say), ``sample`` (path of a recording, or None) and
            ``default`` (whether it speaks where none is named).
        """
        from lollms_modalities.contract.voice_rows import voice_row

        default = getattr(self.settings, "default_voice", None)
        return [voice_row(name, default=name == default) for name in self.list_voices(**kwargs)]

    def add_voice(self, name: str, recording: MediaInput, consent: str) -> None:
        """Keep a recording as a voice, which ``list_voices`` lists and ``voice`` takes from now on.

        Args:
            name: what it is to be called: letters, digits, spaces and ``_ . ' -``, at most 64.
            recording: a path, bytes, one of our results, or a binary file. It is copied.
            consent: who attests, and when, that the person agrees; it goes into the provenance of what the voice says.

        Raises:
            UnsupportedError: the binding keeps no voices; ``capabilities.keeps_voices`` says whether it does.
            VoiceExistsError: there is a voice of that name.
            OptionError: a name that cannot be, or no consent.
            MediaError: the recording is no sound.
        """
        from lollms_modalities.media.input import check_media

        self.keep_voice(name, self._crossing(check_media(recording, role="audio")), consent)

    def _crossing(self, media: Path | bytes) -> Path | bytes:
        """Media as the engine's process can read them."""
        return media

    def remove_voice(self, name: str) -> None:
        """Forget a voice that was added, and its recording.

        Raises:
            UnsupportedError: the binding keeps no voices.
            VoiceNotFoundError: none of that name was added.
        """
        self.drop_voice(name)

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        """For authors: what ``add_voice`` is to do, mostly with a ``kit.VoiceStore``; the recording is there."""
        raise UnsupportedError(
            f"{self.binding_name} keeps no voices.",
            hint="Give the recording as voice=." if self.capabilities.cloning else "Use a binding that does.",
        )

    def drop_voice(self, name: str) -> None:
        """For authors: what ``remove_voice`` is to do."""
        raise UnsupportedError(f"{self.binding_name} keeps no voices.", hint="Use a binding that does.")

    if TYPE_CHECKING:

        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]: ...

        async def agenerate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio: ...

        def astream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> AsyncStream[AudioChunk]: ...

    else:

        @verb("AudioChunk", stream=True, content="text")
        def stream_audio(self, text, voice=None, **kwargs):
            """Speak ``text`` part by part; same arguments as ``generate_audio``.

            A binding that cannot stream gives the whole as one part; ``capabilities.streaming`` says which it is.

            Yields:
                ``AudioChunk``: int16 samples, their rate, and the text that is spoken.
            """
            from lollms_modalities.media.chunk import AudioChunk

            yield AudioChunk.from_audio(self.generate_audio(text, voice, **kwargs), text=text)

    def stream_encoded(
        self, text: str, voice: str | None = None, output_format: str | SoundFormat | None = "mp3", **kwargs: Any
    ) -> EncodedStream:
        """Speak ``text`` as the bytes of a sound file, part by part, such as for an HTTP response.

        Args:
            text, voice: as of ``generate_audio``.
            output_format: "mp3", "opus" (in Ogg), "ogg" (Vorbis), "aac", "flac", "wav", or "pcm": int16 samples,
                little endian, without a header. None is "mp3", as where it is left out. A
                ``SoundFormat`` says the sample rate and the bit rate, too.
            kwargs: the binding's options; and ``progress``, ``cancel``, ``timeout``.

        Returns:
            An iterator of bytes, with ``sample_rate``, ``channels`` and ``mime_type``.

        Raises:
            OptionError: a format that cannot be streamed, or as ``stream_audio``.
            BindingDependencyError: what encodes that format is not installed.
        """
        from lollms_modalities.contract.encoded import EncodedStream, check_can_encode

        wanted = check_can_encode(output_format)
        return EncodedStream(self.stream_audio(text, voice, **kwargs), wanted)

    def astream_encoded(
        self, text: str, voice: str | None = None, output_format: str | SoundFormat | None = "mp3", **kwargs: Any
    ) -> AsyncEncodedStream:
        """Twin of ``stream_encoded`` for ``async for``: same arguments; cancelling the task cancels the call."""
        from lollms_modalities.contract.encoded import AsyncEncodedStream, EncodedStream, check_can_encode

        wanted = check_can_encode(output_format)
        return AsyncEncodedStream(EncodedStream(self.astream_audio(text, voice, **kwargs)._stream, wanted))

    def _check_content(self, kind: str, value: Any) -> Any:
        if kind == "texts":
            return check_texts(value)
        return check_speakable(value) if kind == "text" else value

    @classmethod
    def _common_options(cls, spec: Verb) -> tuple[str, ...]:
        return ("timestamps",) if spec.content == "text" and spec.returns in ("Audio", "AudioChunk") else ()

    def _step_of(self, content: Any, arguments: dict[str, Any], common: Mapping[str, Any]) -> Step | None:
        wanted = common.get("timestamps")
        if wanted is None and arguments.get("timestamps", "none") == "none":
            return None
        from lollms_modalities.contract.spoken import Spoken, asked_for_words, language_of, word_aligner

        if not asked_for_words(arguments["timestamps"] if wanted is None else wanted, self.binding_name):
            return None
        default = getattr(self.settings, "default_language", None)
        language = language_of(arguments, default, self.capabilities.languages)
        if wanted is not None:  # the engine knows of none
            word_aligner(language)
        return Spoken(content, language)
