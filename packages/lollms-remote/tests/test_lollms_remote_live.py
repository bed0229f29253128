"""Live transcription by a service that takes recordings, over HTTP on loopback."""

from __future__ import annotations

import pytest
import tone_bindings as tones
from lollms_modalities import Audio, AudioChunk, ServiceError
from lollms_modalities.contract.voices import Loudness
from lollms_modalities.kit import decode_audio
from lollms_remote import LollmsSTTBinding_Impl
from loopback import Reply, Request, serving


def transcribe(request: Request) -> Reply:
    """Which tones are in the recording that was posted."""
    words = [word for word, _, _ in tones.heard(decode_audio(request.parts["file"]))]
    return Reply({"detail": "out of order"}, 500) if "ti" in words else Reply({"text": " ".join(words)})


ROUTES = {"POST /v1/audio/transcriptions": transcribe, "GET /v1/models": Reply({"data": [{"id": "whisper-1"}]})}


def chunks(text: str) -> list[AudioChunk]:
    sound = tones.tune(text)
    return [AudioChunk.from_samples(sound[n : n + 800], 16000) for n in range(0, len(sound), 800)]


def test_a_service_writes_down_what_is_being_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LollmsSTTBinding_Impl, "voice_activity", lambda self: Loudness())
    with (
        serving(ROUTES) as server,
        LollmsSTTBinding_Impl(host_address=server.url, protocol="openai", max_retries=0) as stt,
    ):
        segments = list(stt.transcribe_live(chunks("do re mi . fa so .")))
        assert [s.text for s in segments if s.final] == ["do re mi", "fa so"]
        assert any(not s.final for s in segments)
        with pytest.raises(ServiceError, match="out of order"):
            list(stt.transcribe_live(chunks("do re . ti .")))
        assert stt.transcribe_audio(Audio.from_chunks(chunks("do"))) == "do"
