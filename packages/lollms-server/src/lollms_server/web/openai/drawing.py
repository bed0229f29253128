"""Images drawn for the surfaces: as many as are asked for in as few calls as may be, and in the format wanted."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lollms_modalities import Image, Progress

from lollms_server.web.asked import Asked
from lollms_server.web.common import Meant, check_image
from lollms_server.web.options import CEILINGS

if TYPE_CHECKING:
    from lollms_server.room.room import Room

SEVERAL, ONE, CHANGE = "generate_images", "generate_image", "edit_images"
_PATIENCE = 0.005  # seconds that a request waits for others like it
_SEEDS = 2**63


@dataclass
class _Group:
    """Requests that are drawn by one call."""

    number: int = 0
    waiting: list[tuple[int, asyncio.Future[list[Image]]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Together:
    """Draws requests of one caller's that differ in nothing, and come within a few milliseconds, by one call.

    A model draws eight images of one prompt in less time than one eight times. Who has a seed, or watches, is alone.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._groups: dict[str, _Group] = {}

    async def draw(self, asked: Asked, model: Meant, number: int, arguments: Mapping[str, Any]) -> list[Image]:
        """``number`` images of ``generate_images``.

        Raises:
            as ``Room.call``; the same to all that are drawn together.
        """
        what = [model.chosen.served.key, model.chosen.name, asked.caller.who, asked.caller.since, arguments]
        key = json.dumps(what, sort_keys=True, default=repr)
        group = self._groups.get(key)
        if group is None or group.number + number > CEILINGS["n"]:
            group = self._groups[key] = _Group()
            group.task = asyncio.get_running_loop().create_task(self._draw(key, group, asked, model, arguments))
        future: asyncio.Future[list[Image]] = asyncio.get_running_loop().create_future()
        mine = (number, future)
        group.waiting.append(mine)
        group.number += number
        try:
            return await future
        except asyncio.CancelledError:
            group.waiting.remove(mine)
            group.number -= number
            if not group.waiting and group.task is not None:
                group.task.cancel()  # nobody waits any more
            raise

    async def _draw(self, key: str, group: _Group, asked: Asked, model: Meant, arguments: Mapping[str, Any]) -> None:
        try:
            await asyncio.sleep(_PATIENCE)
        finally:
            if self._groups.get(key) is group:
                del self._groups[key]
        waiting = list(group.waiting)
        try:
            images = await self._room.call(
                model.chosen, asked.caller, SEVERAL, request_id=asked.id, **{**arguments, "n": group.number}
            )
        except Exception as exc:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(exc)
            return
        for number, future in waiting:
            mine, images = images[:number], images[number:]
            if not future.done():
                future.set_result(mine)


async def drawn(
    asked: Asked, model: Meant, verb: str, number: int, arguments: Mapping[str, Any],
    progress: Callable[[Progress], object] | None = None,
) -> list[Image]:  # fmt: skip
    """``number`` images of a verb, by one call where it takes a number, else by as many calls.

    Args:
        arguments: of ``Room.call``, those of the verb among them.
        progress: as of ``Room.call``.

    Raises:
        MediaError: an image among them is none, or too large.
    """
    for name in model.options.media & arguments.keys():
        media = arguments[name]
        for one in media if isinstance(media, list) else [media]:
            await check_image(one, asked.settings.limits.pixels)
    if verb == SEVERAL and progress is None and "seed" not in arguments:
        return await asked.app.together.draw(asked, model, number, arguments)
    how: dict[str, Any] = {"request_id": asked.id, "progress": progress}
    if model.options.has("n"):
        return list(await asked.room.call(model.chosen, asked.caller, verb, **how, **{**arguments, "n": number}))
    images: list[Image] = []
    for more in range(number):
        each = dict(arguments)
        if "seed" in each:
            each["seed"] = (int(each["seed"]) + more) % _SEEDS
        made = await asked.room.call(model.chosen, asked.caller, verb, **how, **each)
        images += made if isinstance(made, list) else [made]
    return images


def encoded(image: Image, output_format: str, quality: int) -> Image:
    """The image in that format, which loses something: ``quality`` from 0 to 100."""
    picture = image.to_pil()
    if output_format == "jpeg" and picture.mode != "RGB":
        picture = Image.from_pil(picture, "jpeg").to_pil()
    written = io.BytesIO()
    picture.save(written, output_format.upper(), quality=max(1, quality))
    made = Image(written.getvalue())
    made._provenance = image.provenance
    return made
