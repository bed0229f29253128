"""Transcription by a server."""

from __future__ import annotations

import base64
from typing import Any

from lollms_modalities import (
    CallOptions,
    Language,
    LollmsSTTBinding,
    MediaInput,
    Segment,
    ServiceError,
    ServiceResponseError,
    Timestamps,
    Transcript,
    Word,
    check_media,
    current_call,
    option,
    read_media,
    report_progress,
)
from lollms_modalities.audio import probe_audio
from lollms_modalities.http import HttpClient, Upload

from lollms_remote.server import Remote, RemoteSettings, Server, first_that_works


class LollmsSTTBinding_Impl(Remote, LollmsSTTBinding):
    """Transcription by a LoLLMs server, or by one that speaks as OpenAI's does."""

    Settings = RemoteSettings

    class Options(CallOptions):
        language: Language = None
        prompt: str | None = option(None, description="Words that the speech is likely to hold; openai only.")
        timestamps: Timestamps = "none"
        client_id: str | None = option(None, description="The client's id with a classic server.")

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        options = self.Options(**kwargs)
        duration = probe_audio(audio_path)[2]  # sound it is, before it is sent away
        server: Server = self.model
        model = model or self.settings.model_name
        current_call().record(model=model or "", extra={"protocol": server.protocol})
        report_progress(0, 1)
        upload = _upload(audio_path)
        if server.protocol == "classic":
            made = Transcript(_classic(server, audio_path, upload, options), duration=duration)
        elif server.protocol == "modern":
            answer = _send(server.as_user(), "api/discussions/stt", {}, upload)
            made = Transcript(_text(answer, "text"), duration=duration)
        else:
            made = _openai(server, upload, model, options, duration)
        report_progress(1, 1)
        return made

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models that the server tells of; empty where it tells of none."""
        with self.asked() as server:
            if server.protocol == "modern":
                return []
            try:
                if server.protocol == "openai":
                    found = server.client.get_json("v1/models").get("data") or []
                    return [str(m["id"]) for m in found if isinstance(m, dict) and "id" in m]
                answer = server.client.get_json("list_stt_models", retries=0)
            except ServiceError as exc:
                if exc.status is None:
                    raise
                return []  # it often fails where it has none
        return [str(m) for m in answer.get("models") or answer.get("voices") or []]


def _upload(audio: MediaInput) -> Upload:
    from lollms_modalities import Audio

    checked = check_media(audio, role="audio")
    sound = Audio(checked) if isinstance(checked, bytes) else Audio(path=checked)
    # Servers look at the suffix.
    return Upload(checked, f"audio.{sound.format or 'wav'}", sound.mime_type)


def _send(client: HttpClient, path: str, fields: dict[str, str], upload: Upload) -> Any:
    return client.post_json(path, fields=fields, files={"file": upload})


def _classic(server: Server, audio: MediaInput, upload: Upload, options: Any) -> str:
    def documented() -> Any:
        # As the older documentation has it; no published server answers it.
        body = {"audio_data": base64.b64encode(read_media(audio)).decode()}
        if (client_id := server.client_id(options.client_id)) is not None:
            body["client_id"] = client_id
        return _text(server.client.post_json("audio2text", body), "text")

    def transcribe() -> Any:
        return _text(_send(server.client, "transcribe", {}, upload), "transcription")

    return str(first_that_works([transcribe, documented]))


def _openai(server: Server, upload: Upload, model: str | None, options: Any, duration: float) -> Transcript:
    fields = {"model": model or "whisper-1", "response_format": "json"}
    if options.timestamps != "none":
        fields |= {"response_format": "verbose_json", "timestamp_granularities[]": options.timestamps}
    fields |= {k: v for k, v in (("language", options.language), ("prompt", options.prompt)) if v is not None}
    answer = _send(server.client, "v1/audio/transcriptions", fields, upload)
    words = [Word(str(w["word"]), float(w["start"]), float(w["end"])) for w in answer.get("words") or []]
    segments = [
        Segment(
            str(s["text"]).strip(), float(s["start"]), float(s["end"]),
            tuple(w for w in words if s["start"] <= w.start < s["end"]),
        )
        for s in answer.get("segments") or []
    ]  # fmt: skip
    if words and not segments:
        segments = [Segment(_text(answer, "text"), words[0].start, words[-1].end, tuple(words))]
    current_call().record(usage=answer["usage"] if isinstance(answer.get("usage"), dict) else None)
    return Transcript(_text(answer, "text"), segments=segments, language=answer.get("language"), duration=duration)


def _text(answer: Any, key: str) -> str:
    text = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise ServiceResponseError(f"The server answered without {key!r}.")
    return text.strip()
