"""Transcription by a server."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from lollms_modalities import (
    CallOptions,
    Capabilities,
    Language,
    LollmsSTTBinding,
    MediaInput,
    Segment,
    ServiceAuthError,
    ServiceError,
    ServiceResponseError,
    Timestamps,
    Track,
    Transcript,
    UnsupportedError,
    check_media,
    current_call,
    open_media,
    option,
    read_media,
    report_progress,
)
from lollms_modalities.kit import (
    WHISPER_LANGUAGES,
    HttpClient,
    Upload,
    count_tracks,
    decode_audio,
    encode_audio,
    language_code,
    probe_audio,
    read_wav,
    sniff,
    whisper_language,
)

from lollms_remote import v2
from lollms_remote.answers import names_in, refuses
from lollms_remote.binding import Remote, asked_to_make, first_that_works, tell_unused
from lollms_remote.server import RemoteSettings, Server
from lollms_remote.times import read_segments

_RATE = 16000
_OF_TRACKS = ("mp4", "webm", "ogg")
# By what a file is: the suffix and the type that servers know it by. Opus lies in Ogg.
_NAMES = {
    "wav": ("wav", "audio/wav"), "mp3": ("mp3", "audio/mpeg"), "flac": ("flac", "audio/flac"),
    "ogg": ("ogg", "audio/ogg"), "opus": ("ogg", "audio/ogg"), "mp4": ("mp4", "audio/mp4"),
    "webm": ("webm", "audio/webm"),
}  # fmt: skip


class LollmsSTTBinding_Impl(Remote, LollmsSTTBinding):
    """Transcription by a LoLLMs server, or by one that speaks as OpenAI's does."""

    Settings = RemoteSettings

    class Options(CallOptions):
        language: Language = None
        prompt: str | None = option(None, description="Words that the speech is likely to hold; openai only.")
        timestamps: Timestamps = "none"
        track: Track = None
        translate: bool = option(False, description="Give the text in English; v2 and openai only.")
        extra: dict[str, Any] | None = option(None, description="Further options of the server's binding; v2 only.")
        client_id: str | None = option(None, description="The client's id with a classic server.")
        strict: bool = option(False, description="An option that the server does not take is an error, not a warning.")

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        options = self.Options(**kwargs)
        given, model = model, model or self.settings.model_name
        options = options.model_copy(update={"language": _language(options.language, model)})
        duration = probe_audio(audio_path, track=options.track)[2]  # sound it is, before it is sent away
        with self.asking() as server:
            current_call().record(model=model or "", extra={"protocol": server.protocol})
            if server.protocol == "v2":
                name, arguments = _arguments(server, "transcribe_audio", model, options)
                heard = {"audio_path": audio_path}
                made: Transcript = v2.call(server.client, "stt", name, "transcribe_audio", arguments, heard)
                return made
            report_progress(0, 1)
            tell_unused(server, options.strict, extra=options.extra)
            if server.protocol != "classic":
                tell_unused(server, options.strict, client_id=options.client_id)
            if server.protocol == "openai":
                made = _openai(server, _upload(audio_path, options.track), model, options, duration)
            elif options.translate:
                raise UnsupportedError(
                    f"translate=True: a {server.protocol} server only writes down what is said.",
                    hint="Leave translate out, or use an OpenAI-compatible server.",
                )
            else:
                timestamps = None if options.timestamps == "none" else options.timestamps
                tell_unused(
                    server, options.strict, model=given, language=options.language, prompt=options.prompt,
                    timestamps=timestamps,
                )  # fmt: skip
                text = self._text_of(server, audio_path, options)
                made = Transcript(text, duration=duration)
            report_progress(1, 1)
        return made

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        """Segment by segment, as the server hears them, where it is ``lollms serve``; of others all at the end."""
        options = self.Options(**kwargs)
        with self.asking() as server:
            if server.protocol != "v2":
                yield from self.transcribe_audio(audio_path, model, **kwargs).as_segments()
                return
            model = model or self.settings.model_name
            current_call().record(model=model or "", extra={"protocol": server.protocol})
            name, arguments = _arguments(server, "stream_transcript", model, options)
            heard = {"audio_path": audio_path}
            yield from v2.stream(server.client, "stt", name, "stream_transcript", arguments, heard)

    @property
    def capabilities(self) -> Capabilities:
        """Whether it streams is known where the protocol is."""
        return Capabilities(streaming=self.settings.protocol == "v2")

    def _text_of(self, server: Server, audio: MediaInput, options: Any) -> str:
        upload = _upload(audio, options.track)
        if server.protocol == "classic":
            return _classic(server, upload, options)
        return _text(server.as_user(lambda client: _send(client, "api/discussions/stt", {}, upload)), "text")

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models that the server tells of; empty where it tells of none."""
        with self.asked() as server:
            try:
                if server.protocol != "classic":
                    return server.models("stt")
                answer = server.client.get_json("list_stt_models", retries=0)
            except ServiceError as exc:
                if exc.status is None or isinstance(exc, ServiceAuthError):
                    raise
                return []  # it often fails where it has none
        return names_in((answer.get("models") or answer.get("voices")) if isinstance(answer, dict) else answer)


def _arguments(server: Server, verb: str, model: str | None, options: Any) -> tuple[str | None, dict[str, Any]]:
    tell_unused(server, options.strict, client_id=options.client_id)
    name, arguments = server.called(
        "stt", model, verb, options.strict, options.extra, language=options.language, initial_prompt=options.prompt,
        timestamps=None if options.timestamps == "none" else options.timestamps, track=options.track,
        translate=options.translate or None,
    )  # fmt: skip
    return name, arguments


def _language(tag: str | None, model: str | None) -> str | None:
    """As servers know it, by its code; None where it is to be heard out. Their model may know more than Whisper."""
    code = language_code(tag)
    if code is not None and re.fullmatch("[a-z]{2,3}", code):
        return code
    return whisper_language(tag, WHISPER_LANGUAGES, model or "of the server")


def _upload(audio: MediaInput, track: int | None = None) -> Upload:
    """Under a name and a type that are true: servers look at the suffix. What few of them read becomes FLAC.

    So does one of several tracks, of which a server would take whichever it takes.
    """
    checked = check_media(audio, role="audio")
    with open_media(checked) as file:
        suffix, kind = _NAMES.get(_what(file), ("", ""))
    if suffix and track is None and (suffix not in _OF_TRACKS or count_tracks(checked) == 1):
        return Upload(checked, f"audio.{suffix}", kind)
    # Mono at 16 kHz is what such models hear.
    samples = decode_audio(checked, _RATE, max_duration=None, track=track)
    return Upload(encode_audio(samples, _RATE, "flac"), "audio.flac", "audio/flac")


def _what(file: BinaryIO) -> str:
    """The format of a sound file, one of ``_NAMES``; "" for all others, those that only begin as one does included.

    And for a WAV of which the header lies: servers believe it.
    """
    head = file.read(64)
    if head.startswith(b"ID3"):  # which stands before MP2 and others, too
        a, b, c, d = head[6:10]
        file.seek(10 + (a << 21 | b << 14 | c << 7 | d))
        return "mp3" if sniff(file.read(64)) == "mp3" else ""
    found = sniff(head)
    wav = read_wav(file) if found == "wav" else None
    unlike = {
        "wav": head[:4] != b"RIFF" or wav is None or not wav.true,  # RF64
        "mp4": head[8:10] in (b"qt", b"3g"),
        "webm": b"webm" not in head,  # Matroska
    }
    return "" if unlike.get(found) else found


def _send(client: HttpClient, path: str, fields: Mapping[str, str | Sequence[str]], upload: Upload) -> Any:
    return client.post_json(path, fields=fields, files={"file": upload})


def _classic(server: Server, upload: Upload, options: Any) -> str:
    def documented() -> Any:
        # As the older documentation has it; no published server answers it.
        body = {"audio_data": base64.b64encode(read_media(upload.media)).decode()}
        if (client_id := server.client_id(options.client_id)) is not None:
            body["client_id"] = client_id
        return _text(server.client.post_json("audio2text", body), "text")

    def transcribe() -> Any:
        answer = asked_to_make(server.client, "transcribe", failed, fields={}, files={"file": upload})
        return _text(answer, "transcription")

    failed: list[ServiceError] = []
    return str(first_that_works([transcribe, documented], failed))


def _openai(server: Server, upload: Upload, model: str | None, options: Any, duration: float) -> Transcript:
    fields: dict[str, str | Sequence[str]] = {"model": model or "whisper-1", "response_format": "json"}
    timestamps = options.timestamps
    if timestamps != "none":
        # Words without segments would be one long segment.
        both = ("segment", "word") if timestamps == "word" else "segment"
        fields["response_format"] = "verbose_json"
        if not options.translate:  # which knows no such field
            fields["timestamp_granularities[]"] = both
    # A translation is always into English, and its language is heard out.
    asked = (("language", None if options.translate else options.language), ("prompt", options.prompt))
    fields |= {name: value for name, value in asked if value is not None}
    path = f"v1/audio/{'translations' if options.translate else 'transcriptions'}"
    try:
        answer = _send(server.client, path, fields, upload)
    except ServiceError as exc:
        # Some know no such field; most of them tell the times of segments nevertheless.
        if not refuses(exc, "timestamp_granularities") or "timestamp_granularities[]" not in fields:
            raise
        del fields["timestamp_granularities[]"]
        answer = _send(server.client, path, fields, upload)
    text = _text(answer, "text")
    segments = read_segments(text, answer.get("segments"), answer.get("words"), duration)
    told = bool(segments) if timestamps == "segment" else any(segment.words for segment in segments)
    if text and timestamps != "none" and not told:
        tell_unused(server, options.strict, timestamps=timestamps)  # it took the field, and tells none
    current_call().record(usage=answer["usage"] if isinstance(answer.get("usage"), dict) else None)
    # Which is a name with many; of a translation it is the text's, and nobody tells that of the speech.
    told_language = options.language if options.translate else answer.get("language")
    return Transcript(
        text, segments=segments, duration=duration,
        language=language_code(told_language) if isinstance(told_language, str) else None,
        text_language="en" if options.translate else None,
    )  # fmt: skip


def _text(answer: Any, key: str) -> str:
    text = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise ServiceResponseError(f"The server answered without {key!r}.")
    return text.strip()
