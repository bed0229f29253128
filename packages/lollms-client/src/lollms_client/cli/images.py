"""``lollms edit``, ``upscale`` and ``cut-out``: an image made of images, with a binding that has the verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.errors import UnsupportedError
from lollms_modalities.finding.bindings import find_bindings
from lollms_modalities.media.image import Image

from lollms_client.cli import signals
from lollms_client.cli.arguments import parse_pairs
from lollms_client.cli.errors import UsageError
from lollms_client.cli.making import TextFile, deliver
from lollms_client.cli.params import Binding, File, How, Model, Where, grouped
from lollms_client.cli.sources import STDIN, content_of, read_text
from lollms_client.cli.targets import target_of
from lollms_client.cli.use import Made, Which, call, opened

_STARTER = "enhance"  # enlarges and cuts out at once, where diffusers needs a model that does
_Source = Annotated[str, typer.Argument(metavar="IMAGE", help="A file; - is standard input.")]


@grouped
def edit(
    image: _Source,
    prompt: Annotated[
        list[str] | None, typer.Argument(metavar="PROMPT", help="What to change; - or none reads standard input.")
    ] = None,
    input: TextFile = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="FILE", show_default=False, help="One more image to make it of; may be repeated."
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(metavar="FILE", show_default=False, help="Only where this image is transparent is it changed."),
    ] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to show.", show_default=False)] = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Change an image as a prompt says: edited.png where no file is named.

    lollms edit house.png "Snow on the roof." -o winter.png
    """
    if image == STDIN and not input and prompt in (None, [], [STDIN]):
        raise UsageError("The image and the prompt cannot both be standard input.", hint="Give the prompt as words.")
    with target_of(file.given, Image, "edited") as target:
        words = read_text(prompt, input, "prompt")
        images = [content_of(name) for name in (image, *(more or ()))]
        which = Which.of("tti", binding, where, {"model": model})
        with opened(which) as made:
            flags = {"negative_prompt": negative_prompt, "mask": None if mask is None else content_of(mask)}
            arguments = _arguments(made, "edit_images", how, flags) | target.arguments()
            verb = made.binding.edit_image  # type: ignore[attr-defined]
            given = images if len(images) > 1 else images[0]
            result = call(verb, given, words, label="edit", timeout=how.timeout, **arguments)
            with signals.held():
                deliver(result, target, as_json=how.json)


@grouped
def upscale(
    image: _Source,
    scale: Annotated[
        float | None, typer.Option(min=1, help="By how much each side grows; the engine's own.", show_default=False)
    ] = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Enlarge an image: upscaled.png where no file is named.

    lollms upscale photo.jpg --scale 2 -o large.png
    """
    _one("upscale_image", image, "upscaled", {"scale": scale}, model, file, binding, where, how)


@grouped
def cut_out(
    image: _Source,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Make what is behind the subject of an image transparent: cut-out.png where no file is named.

    lollms cut-out portrait.jpg -o portrait.png
    """
    _one("remove_background", image, "cut-out", {}, model, file, binding, where, how)


def _one(
    verb: str, image: str, stem: str, flags: dict[str, Any], model: str | None, file: File, binding: str | None,
    where: Where, how: How,
) -> None:  # fmt: skip
    with target_of(file.given, Image, stem) as target:
        content = content_of(image)
        which = Which.of("tti", binding, where, {"model": model})._replace(starter=_STARTER)
        with opened(which) as made:
            arguments = _arguments(made, verb, how, flags) | target.arguments()
            label = stem if image == STDIN else Path(image).name
            result = call(getattr(made.binding, verb), content, label=label, timeout=how.timeout, **arguments)
            with signals.held():
                deliver(result, target, as_json=how.json)


def _arguments(made: Made, verb: str, how: How, flags: dict[str, Any]) -> dict[str, Any]:
    """The options of a verb of these, as they were given.

    Raises:
        UnsupportedError: the binding does not have the verb.
    """
    known = made.description["verbs"].get(verb)
    if known is None:
        name = made.binding.binding_name
        others = [ref.name for ref in find_bindings("tti") if ref.name != name]
        raise UnsupportedError(
            f"tti:{name} has no {verb}.",
            hint=f"lollms info tells which verbs a binding has; others here: {', '.join(others) or 'none'}.",
        )
    given = parse_pairs(how.opt or (), known.get("options", made.description["options"]), "--opt")
    return {**given, **made.flags, **{name: value for name, value in flags.items() if value is not None}}
