"""Music and video: jobs that a server works on while it is asked how far it is."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from lollms_modalities import (
    Audio,
    CallOptions,
    Duration,
    GenerationError,
    LollmsError,
    LollmsTTMBinding,
    LollmsTTVBinding,
    ServiceError,
    ServiceResponseError,
    UnsupportedError,
    Video,
    current_call,
    option,
    report_progress,
)

from lollms_remote import v2
from lollms_remote.answers import is_missing
from lollms_remote.binding import Remote, as_wanted
from lollms_remote.server import RemoteSettings, Server

_DONE = ("completed", "succeeded", "done")
_FAILED = ("failed", "cancelled", "canceled", "expired")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two questions


class JobOptions(CallOptions):
    """Of both."""

    duration: Duration | None = option(None, description="Length of the result in seconds.")
    model: str | None = option(None, description="Model of the server.", kind="plain")
    extra: dict[str, Any] | None = option(None, description="Further options of the server's binding; v2 only.")


class LollmsTTMBinding_Impl(Remote, LollmsTTMBinding):
    """Music from a server that has such jobs (``/v1/music``)."""

    Settings = RemoteSettings
    Options = JobOptions

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        options = self.Options(**kwargs)
        if (made := _called(self, "ttm", "generate_music", prompt, options, duration=options.duration)) is not None:
            return as_wanted(made)
        audio = Audio(_job(self, "v1/music", "music", {"prompt": prompt, "duration": options.duration}, options))
        return as_wanted(audio)

    def list_models(self, **kwargs: Any) -> list[str]:
        """Servers tell of none."""
        return []


class LollmsTTVBinding_Impl(Remote, LollmsTTVBinding):
    """Video from a server that has such jobs (``/v1/videos``)."""

    Settings = RemoteSettings

    class Options(JobOptions):
        width: int | None = option(None, description="Width in pixels.", ge=1, le=16384)
        height: int | None = option(None, description="Height in pixels.", ge=1, le=16384)

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        options = self.Options(**kwargs)
        size_of: dict[str, Any] = {"width": options.width, "height": options.height}
        made = _called(self, "ttv", "generate_video", prompt, options, duration=options.duration, **size_of)
        if made is not None:
            return made  # type: ignore[no-any-return]
        seconds = None if options.duration is None else f"{options.duration:g}"
        width, height = options.width or options.height, options.height or options.width
        size = f"{width}x{height}" if width else None
        return Video(_job(self, "v1/videos", "video", {"prompt": prompt, "seconds": seconds, "size": size}, options))

    def list_models(self, **kwargs: Any) -> list[str]:
        """Servers tell of none."""
        return []


def _called(binding: Remote, modality: str, verb: str, prompt: str, options: Any, **given: Any) -> Any:
    """What ``lollms serve`` makes; None where the server is another."""
    server: Server = binding.model
    with binding.asking():
        if server.protocol != "v2":
            return None
        model = options.model or binding.settings.model_name
        current_call().record(model=model or "", extra={"protocol": server.protocol})
        name, arguments = server.called(modality, model, verb, False, options.extra, **given)
        return v2.call(server.client, modality, name, verb, {"prompt": prompt, **arguments})


def _job(binding: Remote, path: str, what: str, body: dict[str, Any], options: Any) -> bytes:
    """Begin a job, wait for its end, fetch what it made. A call that is stopped takes the job back."""
    server: Server = binding.model
    model = options.model or binding.settings.model_name
    current_call().record(model=model or "", extra={"protocol": server.protocol})
    report_progress(0, 100, unit="%")
    asked = {k: v for k, v in {**body, "model": model}.items() if v is not None}
    try:
        job = server.client.post_json(path, asked)
    except ServiceError as exc:
        if not is_missing(exc):
            raise
        raise UnsupportedError(
            f"The server at {server.address} makes no {what}: it has no {path}.", hint="Use another server or binding."
        ) from exc
    number = job.get("id") if isinstance(job, dict) else None
    if not isinstance(number, str) or not number or "/" in number:
        raise ServiceResponseError("The server began a job without telling its id.")
    try:
        _wait(server, f"{path}/{number}", job, what)
        data = server.client.request("GET", f"{path}/{number}/content", accept="*/*").body
    except (LollmsError, KeyboardInterrupt):
        threading.Thread(target=_take_back, args=(server, f"{path}/{number}"), daemon=True).start()
        raise
    report_progress(100, 100, unit="%")
    return data


def _wait(server: Server, path: str, job: Any, what: str) -> None:
    pause, reached = _FIRST_PAUSE, 0.0
    while True:
        status = str(job.get("status", "")).lower()
        if status in _DONE:
            return
        if status in _FAILED:
            raise GenerationError(f"The server's {what} job has {status}: {_words(job)}.")
        done = job.get("progress")
        if isinstance(done, (int, float)):
            reached = max(reached, min(99.0, float(done)))  # of some servers it runs back
        report_progress(reached, 100, unit="%")
        current_call().pause(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.5)
        # Its error is read when its status says that it failed.
        job = server.client.get_json(path, failures=False)
        if not isinstance(job, dict):
            raise ServiceResponseError("The server answered without a job.")


def _words(job: Any) -> str:
    from lollms_modalities.kit.http.reading import words_of

    return words_of(job.get("error")) or "it does not say why"


def _take_back(server: Server, path: str) -> None:
    # In a thread of its own, outside the call, which is stopped; a server that cannot goes on.
    with contextlib.suppress(LollmsError):
        server.client.request("DELETE", path, retries=0)
