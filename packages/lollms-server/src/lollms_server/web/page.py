"""The page for people: its files (``lollms_server/page``), read once and named by what they hold.

``index.html`` names the others below ``page/DIGEST/``, so that a browser keeps them for good and asks for the index
alone when it comes again. All of it is public: what needs a key is what the page asks for.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from lollms_server.web.answers import Answer
from lollms_server.web.asked import Asked
from lollms_server.web.errors import Refused

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' blob: data:",
    "media-src 'self' blob:", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
    "require-trusted-types-for 'script'", "trusted-types 'none'",
))  # fmt: skip
_HEADERS = {  # of every file; the page itself says more
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "vary": "accept-encoding",
}
_INDEX_HEADERS = {
    **_HEADERS,
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
_INDEX = "index.html"
_DIGEST = b"@"  # in the index, where the others' digest belongs: page/@/main.js


class _File(NamedTuple):
    whole: bytes
    packed: bytes
    type: str


class Page(NamedTuple):
    """All files of the page.

    Attributes:
        digest: of all of them; another version has another one.
        files: by their paths below the folder.
    """

    digest: str
    files: Mapping[str, _File]


@cache
def page() -> Page:
    """The page, as it is installed."""
    found = dict(sorted(_found(files("lollms_server") / "page")))
    digest = hashlib.sha256()
    for path, whole in found.items():
        digest.update(f"{path}\0{len(whole)}\0".encode() + whole)
    name = digest.hexdigest()[:16]
    found[_INDEX] = found[_INDEX].replace(b"page/" + _DIGEST, b"page/" + name.encode())
    return Page(
        name,
        {
            path: _File(whole, gzip.compress(whole, mtime=0), _TYPES.get(path.rpartition(".")[2], "text/plain"))
            for path, whole in found.items()
        },
    )


def _found(folder: Traversable, before: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{before}{entry.name}"
        if entry.is_dir():
            yield from _found(entry, f"{path}/")
        else:
            yield path, entry.read_bytes()


async def index(asked: Asked) -> Answer:
    """The page itself, which a browser asks for each time, and gets when it has changed."""
    held = await asyncio.to_thread(page)
    tag = f'"{held.digest}"'
    headers = {**_INDEX_HEADERS, "cache-control": "no-cache", "etag": tag}
    if asked.headers.get("if-none-match") in (tag, f"W/{tag}"):
        return Answer(b"", 304, headers)
    return _answer(asked, held.files[_INDEX], headers)


async def file(asked: Asked) -> Answer:
    """A file of it. What is asked for is looked up among those that there are, and names nothing on the disk."""
    held = await asyncio.to_thread(page)
    found = held.files.get(asked.params["path"])
    if asked.params["digest"] != held.digest or found is None:
        raise Refused(
            "The page has no such file, or has changed.", status=404, code="page_changed", hint="Load it anew."
        )
    return _answer(asked, found, {"cache-control": "public, max-age=31536000, immutable"})


def _answer(asked: Asked, found: _File, more: Mapping[str, str]) -> Answer:
    headers = {**_HEADERS, **more, "content-type": found.type}
    if asked.headers.accepts("gzip", "accept-encoding"):
        return Answer(found.packed, 200, {**headers, "content-encoding": "gzip"})
    return Answer(found.whole, 200, headers)
