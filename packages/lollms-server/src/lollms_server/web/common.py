"""What the surfaces share: which model is meant, what its verb takes, and streams of which the first item is there."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lollms_modalities import MediaError, open_media, probe_audio

from lollms_server.room.callers import Caller
from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import Chosen, ServedModel
from lollms_server.web import sse
from lollms_server.web.asked import Asked
from lollms_server.web.errors import Refused
from lollms_server.web.guard import Headers
from lollms_server.web.options import VerbOptions
from lollms_server.web.settings import Limits

if TYPE_CHECKING:
    from lollms_server.room.room import Room

_T = TypeVar("_T")


class Descriptions:
    """What the verbs of each served model take, asked once: it is its class that says so."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._known: dict[tuple[str, str], tuple[ServedModel, dict[str, Any], dict[str, VerbOptions]]] = {}

    async def of(self, chosen: Chosen, caller: Caller, verb: str) -> VerbOptions:
        """What that verb of the model takes.

        Raises:
            Refused: it has no such verb.
        """
        known, verbs = await self._of(chosen, caller)
        if verb not in verbs:
            verbs[verb] = VerbOptions(known, verb)
        return verbs[verb]

    async def has(self, chosen: Chosen, caller: Caller, verb: str) -> bool:
        """Whether the model has that verb."""
        return verb in (await self._of(chosen, caller))[0]["verbs"]

    async def _of(self, chosen: Chosen, caller: Caller) -> tuple[dict[str, Any], dict[str, VerbOptions]]:
        served, known, verbs = self._known.get(chosen.served.key, (None, {}, {}))
        if served is not chosen.served:
            known, verbs = await self._room.describe(chosen, caller), {}
            self._known[chosen.served.key] = (chosen.served, known, verbs)
        return known, verbs


_UNFIT = re.compile("[^!-~]")


def in_header(value: str) -> str:
    """A caller's text as a header may hold it: visible ASCII, and "?" for whatever else, line ends among them."""
    return _UNFIT.sub("?", value[:200])


_NAMED = 20  # of what was left out


def ignored(names: list[str]) -> dict[str, str]:
    """The header that tells what was left out, where something was. Names are a caller's."""
    return {"x-lollms-ignored": ", ".join(in_header(name[:60]) or "?" for name in names[:_NAMED])} if names else {}


class Meant(NamedTuple):
    """A model and one of its verbs."""

    chosen: Chosen
    options: VerbOptions

    @property
    def headers(self) -> dict[str, str]:
        """Which model answers, and by which alias it was asked for."""
        told = {"x-lollms-model": self.chosen.name}
        if self.chosen.alias is not None:
            told["x-lollms-alias"] = self.chosen.alias
        return {name: in_header(value) for name, value in told.items()}


def alike(asked: Asked, model: Meant, arguments: Mapping[str, Any]) -> str:
    """What calls have in common that one of an engine's can answer: of one caller, with one model and arguments."""
    what = [model.chosen.served.key, model.chosen.name, asked.caller.who, asked.caller.since, arguments]
    return json.dumps(what, sort_keys=True, default=repr)


HOPS = "x-lollms-hops"
DEFAULT = "default"  # in the place of a name


def find(asked: Asked, name: str | None, modality: str) -> Chosen:
    """The model of that name, for whoever asks; errors as of ``find_for``."""
    return find_for(asked.room, asked.caller, asked.headers, name, modality)


def find_for(room: Room, caller: Caller, headers: Headers, name: str | None, modality: str) -> Chosen:
    """The model of that name, for this caller.

    Raises:
        ModelNotServed: nothing of that name is served to it.
        Refused: 508, where a server asks a server that would ask a server.
    """
    try:
        chosen = room.find(name, modality, caller)
    except ModelNotServed:
        if name != DEFAULT:
            raise
        chosen = room.find(None, modality, caller)
    check_hops(hops_of(headers), chosen)
    return chosen


def hops_of(headers: Headers) -> int:
    """How many servers have passed a request on, as its headers say."""
    passed = headers.get(HOPS) or "0"
    return int(passed) if passed.isascii() and passed.isdigit() and len(passed) < 4 else 0


def check_hops(hops: int, chosen: Chosen) -> None:
    """Refuse, with 508, what a server asks of a server that would ask a server."""
    # A binding that asks another server sends one more than it was reached with, which it does not know: one is enough.
    served = chosen.served
    there = served.place.lower() if isinstance(served.place, str) else ""
    asks = served.binding == "lollms" or there.startswith(("http:", "https:"))
    if hops > 1 or (hops and asks):
        raise Refused(
            f"{chosen.name} would ask another server, for a server that asks this one.", status=508, code="loop",
            hint="Let one of them have the engine.",
        )  # fmt: skip


def default_model(room: Room, modality: str, caller: Caller) -> Chosen:
    """The model that is meant where none is named: the modality's default, or the first that is for this caller.

    Raises:
        ModelNotServed: there is none.
    """
    try:
        return room.find(None, modality, caller)
    except ModelNotServed:
        for model in room.models(caller):
            if model.modality == modality:
                return room.find(model.name, modality, caller)
        raise


async def meant(asked: Asked, name: str | None, modality: str, verb: str) -> Meant:
    """The model of that name, for this caller.

    Raises:
        ModelNotServed: nothing of that name is served to it.
        Refused: it has no such verb.
    """
    chosen = find(asked, name, modality)
    return Meant(chosen, await asked.app.descriptions.of(chosen, asked.caller, verb))


async def begun(stream: AsyncIterator[_T], *, may_be_empty: bool = False) -> AsyncIterator[_T]:
    """The stream, of which the first item is there: what is wrong has been said by then.

    Raises:
        Exception: what the stream raises before its first item.
        MediaError: it ended without one, unless it may.
    """
    first: list[_T] = []
    try:
        first.append(await anext(stream))
    except StopAsyncIteration:
        if not may_be_empty:
            raise MediaError("The engine made nothing of it.", hint="Check that there is something to make.") from None
    except BaseException:
        await sse.close(stream)
        raise

    async def whole() -> AsyncIterator[_T]:
        try:
            for item in first:
                yield item
            async for item in stream:
                yield item
        finally:
            await sse.close(stream)

    return whole()


async def check_recording(path: Path | bytes, seconds: float) -> float:
    """How long a recording is.

    Raises:
        MediaError: it is no sound, or longer than that.
    """
    duration = (await asyncio.to_thread(probe_audio, path))[2]
    if duration > seconds:
        raise MediaError(
            f"The recording is {duration:.0f} s long, and {seconds:.0f} s are taken.", hint="Send it in parts."
        )
    return duration


_SOUND = ("tts", "stt", "ttm")  # what these are given is recordings: to write down, to speak or to go on like


async def check_media(media: Any, limits: Limits, modality: str) -> None:
    """Refuse what would take too much to decode: a recording by its length, an image by its size.

    Args:
        media: one, or a list or dict of them.
        modality: of the binding that takes it.

    Raises:
        MediaError: it is none, or too much.
    """
    if isinstance(media, (list, dict)):
        for one in media.values() if isinstance(media, dict) else media:
            await check_media(one, limits, modality)
    elif modality in _SOUND:
        await check_recording(media, limits.audio_seconds)
    else:
        await check_image(media, limits.pixels)


async def check_image(media: Path | bytes, pixels: int) -> None:
    """Look at an image's header, before anybody decodes it.

    Raises:
        MediaError: it is none, or has more pixels than that.
    """
    width, height = await asyncio.to_thread(_size_of, media)
    if width * height > pixels:
        raise MediaError(f"The image has {width}x{height} pixels, and {pixels} are taken.", hint="Send a smaller one.")


_PROGRAMS = ("EPS", "WMF")  # no pictures, but what Ghostscript or the system would run


def _size_of(media: Path | bytes) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    with open_media(media) as file:
        try:
            # Only its header is read. Where that is of a bomb, Pillow says so itself.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(file) as image:
                    if image.format in _PROGRAMS:
                        raise ValueError(image.format)
                    return image.size
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
            raise MediaError(f"This is no image that can be read ({type(exc).__name__}).") from None
