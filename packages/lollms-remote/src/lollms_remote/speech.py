"""Speech from a server."""

from __future__ import annotations

import logging
import re
import secrets
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from lollms_modalities import (
    Audio,
    AudioChunk,
    CallOptions,
    Capabilities,
    Language,
    LollmsTTSBinding,
    ServiceError,
    ServiceResponseError,
    Speed,
    WordTimes,
    current_call,
    option,
    report_progress,
    setting,
    voice_row,
)
from lollms_modalities.kit import sniff
from lollms_modalities.kit.languages import language_code

from lollms_remote import v2
from lollms_remote.answers import is_missing, names_in
from lollms_remote.binding import Remote, as_wanted, asked_to_make, first_that_works, tell_unused, waiting_for
from lollms_remote.server import RemoteSettings, Server

_log = logging.getLogger(__name__)


class LollmsTTSBinding_Impl(Remote, LollmsTTSBinding):
    """Speech from a LoLLMs server, or from one that speaks as OpenAI's does. ``model_name`` is the default voice."""

    class Settings(RemoteSettings):
        model_name: str | None = setting(
            None, description="Voice to use when none is named.", kind="plain", choices_from="list_voices"
        )

    settings: Settings

    class Options(CallOptions):
        speed: Speed | None = option(None, description="1.0 is the natural speed; not with a classic server.")
        language: Language = None
        model: str | None = option(None, description="Model of the server that speaks.", kind="plain")
        client_id: str | None = option(None, description="The client's id with a classic server.")
        timestamps: WordTimes = "none"
        extra: dict[str, Any] | None = option(None, description="Further options of the server's binding; v2 only.")
        fn: str | None = option(
            None,
            description="Name of the file that a classic server is to keep.",
            pattern=r"^[^./\\\x00][^/\\\x00]{0,199}$",
        )
        strict: bool = option(False, description="An option that the server does not take is an error, not a warning.")

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        options = self.Options(**kwargs)
        options = options.model_copy(update={"language": _language(options.language)})
        voice = voice or self.settings.model_name
        with self.asking() as server:
            current_call().record(model=options.model or voice or "", extra={"protocol": server.protocol})
            if server.protocol == "v2":
                name, arguments = _arguments(server, "generate_audio", text, voice, options)
                made: Audio = v2.call(server.client, "tts", name, "generate_audio", arguments)
                return as_wanted(made)
            report_progress(0, 1)
            if server.protocol == "classic":
                data = _classic(server, text, voice, options)
            else:
                if options.strict:
                    tell_unused(server, True, fn=options.fn)
                if options.fn is not None:
                    _tell_of_no_file(options.fn)
                data = _speech(server, text, voice, options)
            report_progress(1, 1)
        if not data:
            return Audio()
        audio = Audio(data)
        return as_wanted(audio)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        """Part by part, as the server makes it, where it is ``lollms serve``; of others the whole as one part."""
        options = self.Options(**kwargs)
        with self.asking() as server:
            if server.protocol != "v2":
                audio = self.generate_audio(text, voice, **kwargs)
                if audio:
                    yield AudioChunk.from_audio(audio, text=text)
                return
            voice = voice or self.settings.model_name
            current_call().record(model=options.model or voice or "", extra={"protocol": server.protocol})
            name, arguments = _arguments(server, "stream_audio", text, voice, options)
            yield from v2.stream(server.client, "tts", name, "stream_audio", arguments)

    @property
    def capabilities(self) -> Capabilities:
        """Whether it streams is known where the protocol is."""
        return Capabilities(streaming=self.settings.protocol == "v2")

    def list_voices(self, **kwargs: Any) -> list[str]:
        """The voices that the server tells of; empty where it tells of none."""
        return [row["name"] for row in self.describe_voices()]

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        """As in any binding; a modern server tells languages and, some of them, genders."""
        with self.asked() as server:
            if server.protocol == "classic":
                told: Any = _classic_voices(server)
            elif server.protocol == "v2":
                return v2.voices(server.client)
            elif server.protocol == "modern":
                told = _under(server.client.get_json("lollms/v1/audio/voices"), "data")
            else:
                return []  # OpenAI's API has no list of voices
        default = self.settings.model_name
        details = (
            {name: row for row in told if isinstance(row, dict) for name in names_in(row)[:1]}
            if isinstance(told, list)
            else {}
        )
        return [
            voice_row(
                name,
                language=_text(details.get(name, {}), "language").replace("_", "-"),
                gender=_text(details.get(name, {}), "gender").lower(),
                default=name == default,
            )
            for name in names_in(told)
        ]


def _arguments(
    server: Server, verb: str, text: str, voice: str | None, options: Any
) -> tuple[str | None, dict[str, Any]]:
    tell_unused(server, options.strict, client_id=options.client_id, fn=options.fn)
    speed = None if options.speed == 1 else options.speed
    timestamps = None if options.timestamps == "none" else options.timestamps
    name, arguments = server.called(
        "tts", options.model, verb, options.strict, options.extra, voice=voice, speed=speed,
        language=options.language, timestamps=timestamps,
    )  # fmt: skip
    return name, {"text": text, **arguments}


def _language(tag: str | None) -> str | None:
    """Its tag; None where it is left to the server, as by "auto"."""
    code = language_code(tag)
    if tag is None or code is None:
        return None
    first, *rest = tag.strip().replace("_", "-").split("-")
    return "-".join((first.lower(), *rest)) if re.fullmatch("[A-Za-z]{2,3}", first) else code


def _speech(server: Server, text: str, voice: str | None, options: Any) -> bytes:
    tell_unused(server, options.strict, client_id=options.client_id)
    path = "lollms/v1/audio/speech" if server.protocol == "modern" else "v1/audio/speech"
    body = {
        "input": text, "voice": voice, "model": options.model, "response_format": "wav",
        "speed": options.speed, "language": options.language,
    }  # fmt: skip
    if server.protocol == "openai":
        tell_unused(server, options.strict, language=options.language)
        body |= {"model": options.model or "tts-1", "voice": voice or "alloy", "language": None}
    answer = server.client.request("POST", path, json={k: v for k, v in body.items() if v is not None}, accept="*/*")
    return _sound(answer.body)  # the content type is a label only


def _classic(server: Server, text: str, voice: str | None, options: Any) -> bytes:
    """The sound itself, wherever the server can give it; b"" where it keeps its file to itself."""
    client, name = server.client, options.fn or f"{secrets.token_hex(8)}.wav"
    spoken: list[str] = []
    failed: list[ServiceError] = []
    speed = None if options.speed == 1 else options.speed  # the natural one is what it has
    tell_unused(server, options.strict, speed=speed, model=options.model)

    def voice_of_all() -> str:
        # These endpoints want a voice, and not null.
        if not voice and not server.first_voice:
            server.first_voice = next(iter(_classic_voices(server, retries=0)), "")
        return voice or server.first_voice or "main_voice"

    def without_language() -> None:
        tell_unused(server, options.strict, language=options.language)

    def file() -> bytes:
        body = {"text": text, "speaker": voice, "language": language_code(options.language) or "en"}
        given = {k: v for k, v in body.items() if v is not None}
        # All its clients share one file: of two at once each might get the other's sound, or half of it.
        with waiting_for(server.one_file):
            sound = _sound(client.request("POST", "tts/file", json=given, accept="*/*").body)
        if options.fn is not None:
            _tell_of_no_file(options.fn)
        return sound

    def wave() -> bytes:
        without_language()
        body = {"text": text, "voice": voice_of_all(), "fn": name}
        answer = asked_to_make(client, "text2Wave", failed, json=body)
        url = answer.get("url") if isinstance(answer, dict) else None
        if not isinstance(url, str) or not url:
            raise ServiceResponseError("The server spoke and gave no address of the sound.")
        return _sound(client.request("GET", url, accept="*/*").body)

    def saved() -> bytes:
        without_language()
        body = {"text": text, "voice": voice_of_all(), "fn": name}
        if (client_id := server.client_id(options.client_id)) is not None:
            body["client_id"] = client_id
        asked_to_make(client, "text2Audio", failed, json=body)  # null where it went well
        spoken.append(name)
        return _sound(client.request("GET", f"audio/{quote(name)}", accept="*/*", retries=0).body)

    try:
        # A file of one's own is better than one that is shared, but only the latter takes a language.
        ways = [wave, file, saved] if options.language is None else [file, wave, saved]
        if options.fn is not None:
            ways = [wave, saved, file]  # the last keeps no file of that name
        # /tts/file has a 500 also where there is no engine yet.
        return bytes(first_that_works(ways, failed))
    except ServiceError:
        if not spoken:
            raise
        warnings.warn("The server spoke, and keeps the sound to itself: the result is empty.", stacklevel=2)
        return b""


def _tell_of_no_file(name: str) -> None:
    _log.info("The server keeps no file %r: the result holds the sound, and output_path= writes it to a file.", name)


def _classic_voices(server: Server, **request: Any) -> list[str]:
    get = server.client.get_json
    try:
        found = first_that_works([lambda: get("tts/voices", **request), lambda: get("list_voices", **request)])
    except ServiceError as exc:
        if is_missing(exc) or exc.status is not None:
            return []  # it has none to tell of: what is wrong is said when it is to speak
        raise
    return _voices(found, "voices")


def _voices(told: Any, key: str) -> list[str]:
    """The names in a list that stands under a key, or alone."""
    return names_in(_under(told, key))


def _under(told: Any, key: str) -> Any:
    return told.get(key) if isinstance(told, dict) else told


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _sound(data: bytes) -> bytes:
    if sniff(data) not in ("wav", "mp3", "flac", "ogg", "opus"):
        raise ServiceResponseError(f"The server answered with {len(data)} bytes that are no sound.")
    return data
