"""The routes of both surfaces."""

from __future__ import annotations

from typing import Any

from lollms_server.web.lollms import hearing, modern, painting, speaking
from lollms_server.web.routes import Route

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_WAV = {"audio/wav": _FILE}
_OBJECT: dict[str, Any] = {"application/json": {"type": "object"}}
_LIST: dict[str, Any] = {"application/json": {"type": "array"}}
_SOUND = {kind: _FILE for kind in ("audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm")}
_V1 = "/lollms/v1"
_KEY = "client_id"  # in which classic clients put what lets them in

MODERN = (
    Route("GET", f"{_V1}/capabilities", modern.capabilities, "What can be done here.", access="lists", answers=_OBJECT),
    Route("GET", f"{_V1}/{{kind}}/models", modern.list_models, "The models of tts, stt, tti, ttm or ttv.",
          access="lists", query={"binding_alias": "Of this one only."}, answers=_OBJECT),
    Route("POST", f"{_V1}/audio/speech", modern.speak, "Speak a text.", body=modern.LollmsSpeechBody,
          answers=_SOUND | {"text/event-stream": {}}),
    Route("GET", f"{_V1}/audio/voices", modern.list_voices, "Voices of the speech models.", access="lists",
          query={"model": "Of this model only."}, answers=_OBJECT),
    Route("POST", f"{_V1}/images/edit", modern.edit, "Change an image.", body=modern.LollmsEditBody,
          answers=_OBJECT | {"text/event-stream": {}}),
    Route("POST", "/api/auth/token", modern.token, "A user's token, for a key of the server as the password.",
          access="open", body=modern.TokenBody, answers=_OBJECT),
    Route("POST", "/api/discussions/stt", modern.transcribe, "Write down what is said.", body=hearing.FileBody,
          form=("file",), needed=("file",), answers=_OBJECT),
)  # fmt: skip
CLASSIC = (
    Route("GET", "/tts_is_ready", speaking.is_ready, "Whether anything speaks.", access="lists", answers=_OBJECT),
    Route("GET", "/tts/voices", speaking.list_voices, "Names of the voices.", access="lists", answers=_OBJECT),
    Route("GET", "/list_voices", speaking.list_voices_before, "The same.", access="lists", answers=_OBJECT),
    Route("POST", "/tts/file", speaking.file, "Speak a text.", body=speaking.FileBody, key_field=_KEY, answers=_WAV),
    Route("POST", "/text2Audio", speaking.keep, "Speak a text, to be fetched.", body=speaking.KeptBody,
          key_field=_KEY, answers=_OBJECT),
    Route("POST", "/text2Wave", speaking.keep_wave, "The same.", body=speaking.KeptBody, key_field=_KEY,
          answers=_OBJECT),
    Route("GET", "/audio/{name}", speaking.fetch, "What was spoken.", access="open", answers=_WAV),
    Route("POST", "/transcribe", hearing.transcribe, "Write down what is said.", body=hearing.FileBody,
          form=("file",), needed=("file",), answers=_OBJECT),
    Route("POST", "/audio2text", hearing.audio_to_text, "The same of base64.", body=hearing.Base64Body,
          key_field=_KEY, answers=_OBJECT),
    Route("GET", "/list_stt_models", hearing.list_models, "The models that hear.", access="lists", answers=_OBJECT),
    Route("POST", "/generate_image", painting.generate, "Draw an image.", body=painting.PaintBody, key_field=_KEY,
          answers=_OBJECT),
    Route("POST", "/list_tti_services", painting.list_services, "The models that draw.", body=painting.ClientBody,
          key_field=_KEY, answers=_LIST),
    Route("POST", "/get_active_tti_settings", painting.get_settings, "Settings of what draws.",
          body=painting.ClientBody, key_field=_KEY, answers=_LIST),
    Route("POST", "/set_active_tti_settings", painting.set_settings, "Set them, for admins.",
          body=painting.SettingsBody, key_field=_KEY, answers=_OBJECT),
)  # fmt: skip
