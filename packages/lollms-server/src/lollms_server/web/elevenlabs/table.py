"""The routes of ElevenLabs' SDK."""

from __future__ import annotations

from typing import Any

from lollms_server.web.elevenlabs import errors, music, speech, transcription, voices
from lollms_server.web.entering import header
from lollms_server.web.routes import Route

_OBJECT: dict[str, Any] = {"application/json": {"type": "object"}}
_SOUND = {
    kind: {"type": "string", "format": "binary"}
    for kind in ("audio/mpeg", "audio/ogg", "audio/wav", "audio/pcm", "audio/basic", "audio/x-alaw-basic")
}
_ALL: dict[str, Any] = {"key_of": header("xi-api-key"), "shaped": errors.shaped}
_SPEAK = "/elevenlabs/v1/text-to-speech/{voice}"
ELEVENLABS = (
    Route("POST", _SPEAK, speech.convert, "Speak a text.", body=speech.SpeakBody, query=speech.QUERY,
          answers=_SOUND, **_ALL),
    Route("POST", f"{_SPEAK}/stream", speech.stream, "Speak a text.", body=speech.SpeakBody,
          query=speech.QUERY, answers=_SOUND, **_ALL),
    Route("POST", f"{_SPEAK}/with-timestamps", speech.speak_timed, "Speak a text, with times of characters.",
          body=speech.SpeakBody, query=speech.QUERY, answers=_OBJECT, **_ALL),
    Route("POST", f"{_SPEAK}/stream/with-timestamps", speech.stream_timed,
          "Speak a text, with times of characters, in lines of JSON.", body=speech.SpeakBody,
          query=speech.QUERY, answers={"application/x-ndjson": {"type": "string"}}, **_ALL),
    Route("GET", "/elevenlabs/v1/voices", voices.all_voices, "All voices.", access="lists", answers=_OBJECT,
          **_ALL),
    Route("GET", "/elevenlabs/v1/voices/{voice}", voices.get_voice, "One voice.", access="lists",
          answers=_OBJECT, **_ALL),
    Route("GET", "/elevenlabs/v2/voices", voices.search_voices, "Voices, in pages.", access="lists",
          query=voices.SEARCH, answers=_OBJECT, **_ALL),
    Route("GET", "/elevenlabs/v1/models", voices.list_models, "Models that speak.", access="lists",
          answers={"application/json": {"type": "array"}}, **_ALL),
    Route("POST", "/elevenlabs/v1/speech-to-text", transcription.hear, "Write down what is said.",
          body=transcription.HearBody, form=("file",), needed=("file",), answers=_OBJECT, **_ALL),
    Route("POST", "/elevenlabs/v1/sound-generation", music.make_sound, "Make a sound.",
          body=music.SoundBody, query=speech.QUERY, answers=_SOUND, **_ALL),
    Route("POST", "/elevenlabs/v1/music", music.compose, "Make music.", body=music.ComposeBody,
          query=speech.QUERY, answers=_SOUND, **_ALL),
    Route("POST", "/elevenlabs/v1/music/stream", music.compose_streamed, "Make music.", body=music.ComposeBody,
          query=speech.QUERY, answers=_SOUND, **_ALL),
)  # fmt: skip
