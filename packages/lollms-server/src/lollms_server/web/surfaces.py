"""Which routes there are: those of the server itself, and those of each surface that is switched on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lollms_server.web import operating, page
from lollms_server.web.automatic1111.table import AUTOMATIC1111
from lollms_server.web.elevenlabs.table import ELEVENLABS
from lollms_server.web.jobs import LISTED
from lollms_server.web.lollms.table import CLASSIC, MODERN
from lollms_server.web.openai import images, models, music, speech, transcription, videos, voices
from lollms_server.web.openai.bodies import SpeechBody, TranscriptionBody
from lollms_server.web.realtime import entrance as realtime
from lollms_server.web.routes import Route
from lollms_server.web.v2 import bindings, calls, converting, jobs
from lollms_server.web.worker.entrance import WORKER

_EVENTS: dict[str, Any] = {"text/event-stream": {}}  # what an event holds OpenAPI 3.1 cannot say
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_OBJECT: dict[str, Any] = {"application/json": {"type": "object"}}
_SOUND = {kind: _FILE for kind in ("audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm")}
_TEXTS = {kind: {"type": "string"} for kind in ("text/plain", "text/vtt", "application/x-subrip")}
_ONE = "/lollms/v2/bindings/{modality}/{name}"

OPERATING = (
    Route("GET", "/health", operating.health, "Whether the server runs.", access="open", answers=_OBJECT),
    Route("GET", "/ready", operating.ready, "Whether it takes calls.", access="open", answers=_OBJECT),
    Route("GET", "/metrics", operating.metrics, "Metrics for Prometheus.", access="admin",
          answers={"text/plain": {"type": "string"}}),
)  # fmt: skip
OPENAI = (
    Route("POST", "/v1/audio/speech", speech.speak, "Speak a text.", body=SpeechBody, answers=_SOUND | _EVENTS),
    Route("POST", "/v1/audio/transcriptions", transcription.transcribe, "Write down what is said.",
          body=TranscriptionBody, form=("file",), needed=("file",), answers=_OBJECT | _TEXTS | _EVENTS),
    Route("POST", "/v1/audio/translations", transcription.translate, "Write down in English what is said.",
          body=TranscriptionBody, form=("file",), needed=("file",), answers=_OBJECT | _TEXTS | _EVENTS),
    Route("GET", realtime.PATH, realtime.upgrade, "A WebSocket: speech is written down while it is said.",
          query={"intent": "transcription.", "model": "A transcription model."}, status=101,
          answers={}),
    Route("GET", "/v1/audio/voices", voices.list_voices, "Voices of the speech models.", access="lists",
          query={"model": "Of this model only."}, answers=_OBJECT),
    Route("POST", "/v1/audio/voices", voices.add_voice, "Register a recording as a voice.", body=voices.VoiceBody,
          form=("audio_sample",), needed=("audio_sample",), answers=_OBJECT),
    Route("DELETE", "/v1/audio/voices/{id}", voices.remove_voice, "Remove a registered voice.", answers=_OBJECT),
    Route("GET", "/v1/audio/models", models.list_audio_models, "Models that speak.", access="lists", answers=_OBJECT),
    Route("POST", "/v1/images/generations", images.generate, "Draw images.", body=images.ImageBody,
          answers=_OBJECT | _EVENTS),
    Route("POST", "/v1/images/edits", images.edit, "Change images.", body=images.EditBody,
          form=("image", "images", "mask"), answers=_OBJECT | _EVENTS),
    Route("GET", "/v1/images/results/{id}/{number}", images.result, "An image that was asked for as an address.",
          access="open", answers={"image/png": _FILE, "image/jpeg": _FILE, "image/webp": _FILE}, also=(206,)),
    Route("POST", "/v1/videos", videos.create_video, "Have a film made.", body=videos.VideoBody,
          form=("input_reference",), answers=_OBJECT),
    Route("GET", "/v1/videos", videos.list_videos, "Your films.", query=LISTED, answers=_OBJECT),
    Route("GET", "/v1/videos/{id}", videos.get_video, "One film, as far as it is.", answers=_OBJECT),
    Route("DELETE", "/v1/videos/{id}", videos.delete_video, "Delete a film, or cancel it.", answers=_OBJECT),
    Route("GET", "/v1/videos/{id}/content", videos.video_content, "The film.", query={"variant": "video or thumbnail."},
          answers={"video/mp4": _FILE, "image/webp": _FILE}, also=(206,)),
    Route("POST", "/v1/videos/{id}/remix", videos.remix_video, "Have it made with another prompt.",
          body=videos.RemixBody, answers=_OBJECT),
    Route("POST", "/v1/music", music.create_music, "Have music made.", body=music.MusicBody, form=("input_reference",),
          answers=_OBJECT),
    Route("GET", "/v1/music", music.list_music, "Your music.", query=LISTED, answers=_OBJECT),
    Route("GET", "/v1/music/{id}", music.get_music, "One piece, as far as it is.", answers=_OBJECT),
    Route("DELETE", "/v1/music/{id}", music.delete_music, "Delete a piece, or cancel it.", answers=_OBJECT),
    Route("GET", "/v1/music/{id}/content", music.music_content, "The sound.", answers=_SOUND, also=(206,)),
    Route("GET", "/v1/models", models.list_models, "All models.", access="lists", answers=_OBJECT),
    Route("GET", "/v1/models/{model*}", models.get_model, "One model.", access="lists", answers=_OBJECT),
)  # fmt: skip
LOLLMS = (
    Route("GET", "/lollms/v2", bindings.about, "What this server speaks.", access="open", answers=_OBJECT),
    Route("GET", "/lollms/v2/bindings", bindings.list_bindings, "The bindings that are served.", access="lists",
          answers=_OBJECT),
    Route("GET", _ONE, bindings.describe, "A binding: verbs, schemas, settings, capabilities.", answers=_OBJECT),
    Route("GET", f"{_ONE}/voices", bindings.list_voices, "What is known of its voices.", answers=_OBJECT),
    Route("PUT", f"{_ONE}/settings", bindings.set_settings, "Change settings of a binding.", access="admin",
          body=bindings.SettingsBody, answers=_OBJECT),
    Route("POST", f"{_ONE}/load", bindings.load, "Load the model.", access="admin", answers=_OBJECT),
    Route("POST", f"{_ONE}/unload", bindings.unload, "Unload the model.", access="admin", answers=_OBJECT),
    Route("POST", f"{_ONE}/verbs/{{verb}}", calls.call, "Call a verb.", body=calls.CallBody, form=("*",),
          answers=_OBJECT | {"*/*": _FILE} | _EVENTS, also=(202,)),
    Route("POST", "/lollms/v2/audio/convert", converting.convert, "A recording in another format.",
          body=converting.ConvertBody, form=("file",), needed=("file",), answers=_SOUND),
    Route("GET", "/lollms/v2/calls", calls.list_calls, "The calls under way.", answers=_OBJECT),
    Route("DELETE", "/lollms/v2/calls/{id}", calls.cancel, "Cancel a call.", answers=_OBJECT),
    Route("GET", jobs.PATH, jobs.list_jobs, "Jobs of all kinds.",
          query={**LISTED, "status": "Only those that are queued, in_progress, completed, failed or cancelled."},
          answers=_OBJECT),
    Route("GET", f"{jobs.PATH}/{{id}}", jobs.get_job, "A job, or its changes as events.", answers=_OBJECT | _EVENTS),
    Route("DELETE", f"{jobs.PATH}/{{id}}", jobs.remove, "Delete a job, or cancel it.", answers=_OBJECT),
    Route("POST", f"{jobs.PATH}/{{id}}/cancel", jobs.cancel, "Cancel a job.", answers=_OBJECT),
    Route("GET", f"{jobs.PATH}/{{id}}/content", jobs.content, "What came of a job.",
          query={"file": "Which of several files."}, answers=_OBJECT | {"*/*": _FILE}, also=(206,)),
)  # fmt: skip
PAGE = (
    Route("GET", "/", page.index, "The page for people.", access="open", answers={"text/html": {"type": "string"}},
          also=(304,)),
    Route("GET", "/page/{digest}/{path*}", page.file, "A file of that page.", access="open", answers={"*/*": _FILE}),
)  # fmt: skip
SURFACES = {
    "openai": OPENAI,
    "lollms": LOLLMS,
    "lollms-modern": MODERN,
    "lollms-classic": CLASSIC,
    "automatic1111": AUTOMATIC1111,
    "elevenlabs": ELEVENLABS,
}
SOCKETS = (WORKER, realtime.REALTIME)
# Of each: whose clients speak it, and what it answers.
ABOUT = {
    "openai": ("OpenAI's SDKs, [Open WebUI](serving/open-webui.md), whatever else asks as they do",
               "`/v1`: speech, transcription, [also live](serving/realtime.md), images, "
               "[films and music](serving/jobs.md), models, voices"),
    "lollms": ("`lollms-remote`, programs of your own",
               "`/lollms/v2`: [every verb of every binding](server-api.md#our-own-surface)"),
    "lollms-modern": ("Clients of [LoLLMs](serving/lollms.md), `lollms_client` 1.x",
                      "`/lollms/v1`: what there is, speech, voices, changed images; `/api/discussions/stt`"),
    "lollms-classic": ("Clients of [lollms-webui](serving/lollms.md), `lollms_client` 0.x and 1.x",
                       "`/text2Audio`, `/tts/file`, `/transcribe`, `/audio2text`, `/generate_image` and their lists"),
    "automatic1111": ("Open WebUI and other clients of [AUTOMATIC1111's web UI](serving/automatic1111.md)",
                      "`/sdapi/v1`: `txt2img`, `img2img`, `sd-models`, `options`, `progress`, `interrupt`"),
    "elevenlabs": ("ElevenLabs' SDK", "`/elevenlabs`: [speech, voices, transcription, music](serving/elevenlabs.md)"),
}  # fmt: skip


def routes_of(surfaces: Iterable[str], *, page: bool = True) -> list[Route]:
    """The routes of the server, of these surfaces, and of the page, which asks by our own surface."""
    names = tuple(surfaces)
    shown = PAGE if page and "lollms" in names else ()
    return [*OPERATING, *(route for name in names for route in SURFACES[name]), *shown]
