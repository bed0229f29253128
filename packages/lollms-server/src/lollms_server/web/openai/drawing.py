"""Images drawn for the surfaces: as many as are asked for in as few calls as may be, and in the format wanted."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from lollms_modalities import Image, Progress

from lollms_server.web.asked import Asked
from lollms_server.web.batching import Batches
from lollms_server.web.common import Meant, alike, check_image
from lollms_server.web.options import CEILINGS

if TYPE_CHECKING:
    from lollms_server.room.room import Room

SEVERAL, ONE, CHANGE = "generate_images", "generate_image", "edit_images"
_SEEDS = 2**63


class Together:
    """Draws requests of one caller's that differ in nothing, and come within a few milliseconds, by one call.

    A model draws eight images of one prompt in less time than one eight times. Who has a seed, or watches, is alone.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._batches: Batches[int, list[Image]] = Batches(int(CEILINGS["n"]))

    async def draw(self, asked: Asked, model: Meant, number: int, arguments: Mapping[str, Any]) -> list[Image]:
        """``number`` images of ``generate_images``.

        Raises:
            as ``Room.call``; the same to all that are drawn together.
        """

        async def draw(numbers: list[int]) -> list[list[Image]]:
            how = {**arguments, "n": sum(numbers)}
            images = await self._room.call(model.chosen, asked.caller, SEVERAL, request_id=asked.id, **how)
            ends = list(accumulate(numbers))
            return [images[end - number : end] for number, end in zip(numbers, ends, strict=True)]

        return await self._batches.ask(alike(asked, model, arguments), number, number, draw)


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
