"""How a command reaches the jobs of a server: over the Unix socket of one of this machine, or over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from lollms_modalities import ConfigurationError, LollmsError, ServiceError

from lollms_server.room.terminal import ask

_PART = 1 << 20
_PATIENCE = 60.0  # seconds for which nothing comes


class Reached(Protocol):
    """A server that is asked. Jobs are JSON values, as of ``/lollms/v2/jobs``."""

    def listed(self, status: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest jobs."""

    def job(self, job_id: str) -> dict[str, Any]:
        """One job."""

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel it; as it is then."""

    def content(self, job: dict[str, Any], number: int) -> Iterator[bytes]:
        """What came of it, in parts."""


class Here:
    """A server of this machine, by its socket, which is its user's alone: he may see all jobs."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def listed(self, status: str | None, limit: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = ask(self._socket, act="jobs", status=status, limit=limit)
        return rows

    def job(self, job_id: str) -> dict[str, Any]:
        row: dict[str, Any] = ask(self._socket, act="job", job=job_id)
        return row

    def cancel(self, job_id: str) -> dict[str, Any]:
        row: dict[str, Any] = ask(self._socket, act="cancel job", job=job_id)
        return row

    def content(self, job: dict[str, Any], number: int) -> Iterator[bytes]:
        if job["status"] == "completed" and not job["files"]:
            yield json.dumps(job["value"], ensure_ascii=False).encode()
            return
        start = 0
        while part := base64.b64decode(
            ask(self._socket, act="content", job=job["id"], number=number, start=start, size=_PART)
        ):
            start += len(part)
            yield part


class There:
    """A server at an address.

    Args:
        address: such as https://host:9610.
        key: of those who may ask; empty for none.
    """

    def __init__(self, address: str, key: str) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{address!r} is no address of a server.", hint="It is like http://host:9610.")
        self._base = address.rstrip("/") + "/lollms/v2/jobs"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def listed(self, status: str | None, limit: int) -> list[dict[str, Any]]:
        query = {"limit": str(limit)} | ({"status": status} if status else {})
        rows: list[dict[str, Any]] = self._json("GET", f"?{urllib.parse.urlencode(query)}")["data"]
        return rows

    def job(self, job_id: str) -> dict[str, Any]:
        return self._json("GET", f"/{_quoted(job_id)}")

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._json("POST", f"/{_quoted(job_id)}/cancel")

    def content(self, job: dict[str, Any], number: int) -> Iterator[bytes]:
        with self._opened("GET", f"/{_quoted(job['id'])}/content?file={number}") as answer:
            try:
                while part := answer.read(_PART):
                    yield part
            except (OSError, http.client.HTTPException) as exc:
                raise ServiceError(f"The server's answer was cut: {type(exc).__name__}.", hint="Try again.") from exc
            if answer.length:
                raise ServiceError("The server's answer was cut.", hint="Try again.")

    def _json(self, method: str, path: str) -> dict[str, Any]:
        with self._opened(method, path) as answer:
            try:
                found: dict[str, Any] = json.loads(answer.read())
            except (ValueError, OSError, http.client.HTTPException) as exc:
                raise ServiceError(f"{self._base} answers no JSON.", hint="Is that lollms serve?") from exc
        return found

    def _opened(self, method: str, path: str) -> Any:
        request = urllib.request.Request(self._base + path, method=method, headers=self._headers)
        # Whoever has the key sends it nowhere else.
        opener = urllib.request.build_opener(_NoRedirects())
        try:
            return opener.open(request, timeout=_PATIENCE)
        except urllib.error.HTTPError as exc:
            with exc:
                raise _error_of(exc) from None
        except (OSError, http.client.HTTPException, ValueError) as exc:
            why = getattr(exc, "reason", None) or exc
            raise ServiceError(f"{self._base} does not answer: {why}.", hint="Is the address right?") from exc


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **named: Any) -> None:
        """Not followed."""


def _error_of(exc: urllib.error.HTTPError) -> LollmsError:
    try:
        told = json.loads(exc.read())["error"]
        message = str(told["message"])
    except (ValueError, KeyError, TypeError, OSError):
        said = f"The server answers {exc.code}, and says no more."
        return ServiceError(said, hint="Is that lollms serve?", status=exc.code)
    return ServiceError(message, status=exc.code)


def _quoted(job_id: str) -> str:
    return urllib.parse.quote(job_id, safe="")
