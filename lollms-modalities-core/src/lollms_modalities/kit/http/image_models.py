"""What each model of images at OpenAI takes, as a table, and the little arithmetic of sizes.

Servers that speak as OpenAI does pass such models on.

Source: the service's reference and answers, November 2026.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from lollms_modalities.errors import OptionError

DEFAULT = "gpt-image-2"


class Rules(NamedTuple):
    """What a model takes.

    Attributes:
        caption, help: for lists.
        max_prompt: characters.
        sizes: those it has; None for any that ``free_size`` allows, or for what nobody knows.
        free_size: any width and height divisible by 16, from 1:3 to 3:1, at most 3840x2160.
        qualities, styles: which it has; None where nobody knows.
        most: images of one request.
        asks_for: what ``response_format`` is sent; "" for none.
        negative: whether a negative prompt can be woven into the prompt.
        edits: whether it edits images.
        retired: when OpenAI retired it; "" where it is alive.
        most_given: images that one can be made of.
    """

    caption: str
    help: str
    max_prompt: int
    sizes: tuple[str, ...] | None
    free_size: bool
    qualities: tuple[str, ...] | None
    styles: tuple[str, ...] | None
    most: int
    asks_for: str
    negative: bool
    edits: bool
    retired: str = ""
    most_given: int = 16


_GPT = Rules(
    "GPT Image", "", 32000, None, True, ("low", "medium", "high", "auto"), (), 10, "", True, True
)  # fmt: skip
_SUN = (*(_GPT.qualities or ()), "xhigh", "max")

MODELS: dict[str, Rules] = {
    "gpt-image-2": _GPT._replace(caption="GPT Image 2", help="The current model."),
    "gpt-image-2.5-sunburst": _GPT._replace(
        caption="GPT Image 2.5 Sunburst", help="The current model of most detail.", qualities=_SUN
    ),
    "gpt-image-2.5-flare": _GPT._replace(
        caption="GPT Image 2.5 Flare", help="The current model of most speed.", qualities=_SUN
    ),
    "gpt-image-1": _GPT._replace(caption="GPT Image 1", help="Retired; at compatible services.", retired="2026-10-23"),
    "dall-e-3": Rules(
        "DALL-E 3", "Retired; at compatible services. Rewrites prompts.", 4000,
        ("1024x1024", "1792x1024", "1024x1792"), False, ("standard", "hd"), ("vivid", "natural"), 1, "b64_json", True,
        False, "2026-05-12",
    ),
    "dall-e-2": Rules(
        "DALL-E 2", "Retired; at compatible services.", 1000, ("256x256", "512x512", "1024x1024"), False, (), (), 10,
        "b64_json", False, True, "2026-05-12", 1,
    ),
}  # fmt: skip

# A model that the table does not know is given what the caller gives.
UNKNOWN = Rules("", "", 32000, None, False, None, None, 10, "", True, True)


def rules_of(model: str) -> Rules:
    """The rules of a model, also of a dated one such as "gpt-image-2-2026-04-01", in upper or lower case.

    And of one that a proxy passes on, such as "openai/gpt-image-2", "azure.gpt-image-2" or "dall-e-3:eu".
    """
    model = model.lower()
    for name, rules in MODELS.items():
        if re.search(rf"(^|[/.:@]){re.escape(name)}($|[/:@]|-\d{{4}})", model):
            return rules
    # Of its kin all take the same; which qualities, nobody knows.
    return _GPT._replace(qualities=None) if re.search(r"(^|[/.:@])(chat)?gpt-image-", model) else UNKNOWN


def size_of(text: str) -> tuple[int, int]:
    """Width and height of a text such as "1024x1024"; an ``OptionError`` where it is none."""
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if not found or "0" in (found[1], found[2]):
        raise OptionError(f"option 'size': {text[:40]!r} is no size.", hint="Such as 1024x1024.", names=["size"])
    return int(found[1]), int(found[2])


def nearest_size(rules: Rules, width: int, height: int) -> str:
    """The size that the model has and that is nearest: first in shape, then in area."""
    if rules.sizes is not None:

        def distance(size: str) -> tuple[float, float]:
            w, h = size_of(size)
            return abs(math.log(w * height / (h * width))), abs(math.log(w * h / (width * height)))

        return min(rules.sizes, key=distance)
    if not rules.free_size:
        return f"{width}x{height}"
    ratio = min(3.0, max(1 / 3, width / height))
    longest, area = (3840, 3840 * 2160)
    scale = min(1.0, longest / max(width, height), math.sqrt(area / (width * height)))
    wide, high = width * scale, height * scale
    if width / height != ratio:  # too long a shape: its shorter side grows
        wide, high = (wide, wide / ratio) if wide > high else (high * ratio, high)
    return f"{_sixteenth(wide)}x{_sixteenth(high)}"


def _sixteenth(length: float) -> int:
    return max(16, 16 * round(length / 16))
