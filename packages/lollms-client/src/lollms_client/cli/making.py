"""``lollms image``, ``music`` and ``video``; and how a command makes one thing of a text (``speaking``, too)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import typer
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.image import Image
from lollms_modalities.media.input import read_media
from lollms_modalities.media.video import Video

from lollms_client.cli import signals, standard
from lollms_client.cli.params import Binding, File, How, Model, Where, grouped
from lollms_client.cli.sources import read_text
from lollms_client.cli.targets import Target, target_of
from lollms_client.cli.telling import facts, in_words, json_text
from lollms_client.cli.use import Which, call, opened

Text = Annotated[
    list[str] | None, typer.Argument(help="What to say; - or none reads standard input.", show_default=False)
]
_Prompt = Annotated[
    list[str] | None, typer.Argument(metavar="PROMPT", help="What it should be like; - or none reads standard input.")
]
TextFile = Annotated[
    str | None, typer.Option("--input", "-i", metavar="FILE", help="Read it from that file.", show_default=False)
]


@grouped
def image(
    prompt: _Prompt = None,
    input: TextFile = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to show.", show_default=False)] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.", show_default=False)] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.", show_default=False)] = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Draw an image into a file: image.png where none is named."""
    which = Which.of(
        "tti", binding, where, {"negative_prompt": negative_prompt, "width": width, "height": height, "model": model}
    )
    Making("tti", "generate_image", Image, "prompt", "image").run(prompt, input, file, which, how)


@grouped
def music(
    prompt: _Prompt = None,
    input: TextFile = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Compose music into a file: music.wav where none is named."""
    which = Which.of("ttm", binding, where, {"model": model})
    Making("ttm", "generate_music", Audio, "prompt", "music").run(prompt, input, file, which, how)


@grouped
def video(
    prompt: _Prompt = None,
    input: TextFile = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Film a video into a file: video.mp4 where none is named."""
    which = Which.of("ttv", binding, where, {"model": model})
    Making("ttv", "generate_video", Video, "prompt", "video").run(prompt, input, file, which, how)


class Making:
    """What differs between the commands: whose verb it is, what it makes of what, and how the file is called."""

    def __init__(self, modality: str, verb: str, kind: Any, what: str, stem: str) -> None:
        self._modality, self._verb, self._kind, self._what, self._stem = modality, verb, kind, what, stem

    def run(
        self, words: list[str] | None, input: str | None, file: File, which: Which, how: How,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:  # fmt: skip
        """Read, make, deliver; gives the result. ``more`` are options of the call."""
        with target_of(file.given, self._kind, self._stem) as target:
            content = read_text(words, input, self._what)
            with opened(which) as made:
                arguments = {**made.options(how.opt or ()), **more, **target.arguments()}
                verb = getattr(made.binding, self._verb)
                result = call(verb, content, label=self._stem, timeout=how.timeout, **arguments)
            with signals.held():
                deliver(result, target, as_json=how.json)
        return result


def deliver(result: Any, target: Target, *, as_json: bool) -> None:
    """Say where the result is; or write it to standard output, if that is where it goes."""
    told = f"{json_text(facts(result, target.path))}\n" if as_json else f"{target.path}\n" if target.chosen else ""
    if target.path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(read_media(result))
        sys.stdout.buffer.flush()
    # A name that nobody hears would be lost.
    heard = sys.stderr if target.path is None or standard.closed("output") else sys.stdout
    try:
        heard.write(told)
        heard.flush()
    except standard.StandardStreamError:
        if target.chosen and not as_json:
            sys.stderr.write(told)
        raise
    if sys.stderr.isatty():
        sys.stderr.write(f"{in_words(result)}\n")
