"""Speech: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.text import check_speakable
from lollms_modalities.contract.verbs import verb

if TYPE_CHECKING:
    from lollms_modalities.calls.step import Step
    from lollms_modalities.contract.async_streams import AsyncStream
    from lollms_modalities.contract.encoded import AsyncEncodedStream, EncodedStream
    from lollms_modalities.contract.verbs import Verb
    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.chunk import AudioChunk


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
        self, text: str, voice: str | None = None, output_format: str = "mp3", **kwargs: Any
    ) -> EncodedStream:
        """Speak ``text`` as the bytes of a sound file, part by part, such as for an HTTP response.

        Args:
            text, voice: as of ``generate_audio``.
            output_format: "mp3", "opus" (in Ogg), "ogg" (Vorbis), "aac", "flac", "wav", or "pcm": int16 samples,
                little endian, without a header.
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
        self, text: str, voice: str | None = None, output_format: str = "mp3", **kwargs: Any
    ) -> AsyncEncodedStream:
        """Twin of ``stream_encoded`` for ``async for``: same arguments; cancelling the task cancels the call."""
        from lollms_modalities.contract.encoded import AsyncEncodedStream, EncodedStream, check_can_encode

        wanted = check_can_encode(output_format)
        return AsyncEncodedStream(EncodedStream(self.astream_audio(text, voice, **kwargs)._stream, wanted))

    def _check_content(self, kind: str, value: Any) -> Any:
        return check_speakable(value) if kind == "text" else value

    @classmethod
    def _common_options(cls, spec: Verb) -> tuple[str, ...]:
        return ("timestamps",) if spec.content == "text" and spec.returns in ("Audio", "AudioChunk") else ()

    def _step_of(self, content: Any, arguments: Mapping[str, Any], common: Mapping[str, Any]) -> Step | None:
        wanted = common.get("timestamps")
        if wanted is None and arguments.get("timestamps", "none") == "none":
            return None
        from lollms_modalities.contract.spoken import Spoken, asked_for_words, language_of, word_aligner

        if not asked_for_words(wanted or arguments["timestamps"], self.binding_name):
            return None
        default = getattr(self.settings, "default_language", None)
        language = language_of(arguments, default, self.capabilities.languages)
        if wanted is not None:  # the engine knows of none
            word_aligner(language)
        return Spoken(content, language)
