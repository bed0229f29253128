"""``lollms speak``, ``image``, ``music`` and ``video``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.image import Image
from lollms_modalities.media.video import Video

from lollms_client.cli.output import deliver, place, read_text
from lollms_client.cli.params import Binding, File, How, Where, grouped
from lollms_client.cli.use import Which, call, opened

_Prompt = Annotated[
    list[str] | None, typer.Argument(metavar="PROMPT", help="What it should be like; - or none reads standard input.")
]


@grouped
def speak(
    text: Annotated[
        list[str] | None, typer.Argument(help="What to say; - or none reads standard input.", show_default=False)
    ] = None,
    voice: Annotated[
        str | None, typer.Option("--voice", "-v", help="One of those that lollms voices lists.", show_default=False)
    ] = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Speak a text into a file: speech.wav where none is named.

    lollms speak "Good morning." -o morning.mp3
    """
    which = Which.of("tts", binding, where)
    _make(which, "generate_audio", Audio, "text", text, {"voice": voice}, file, how, "speech")


@grouped
def image(
    prompt: _Prompt = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to show.", show_default=False)] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.", show_default=False)] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.", show_default=False)] = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Draw an image into a file: image.png where none is named."""
    which = Which.of("tti", binding, where)
    given = {"negative_prompt": negative_prompt, "width": width, "height": height}
    _make(which, "generate_image", Image, "prompt", prompt, given, file, how, "image")


@grouped
def music(prompt: _Prompt = None, *, file: File, binding: Binding = None, where: Where, how: How) -> None:
    """Compose music into a file: music.wav where none is named."""
    which = Which.of("ttm", binding, where)
    _make(which, "generate_music", Audio, "prompt", prompt, {}, file, how, "music")


@grouped
def video(prompt: _Prompt = None, *, file: File, binding: Binding = None, where: Where, how: How) -> None:
    """Film a video into a file: video.mp4 where none is named."""
    which = Which.of("ttv", binding, where)
    _make(which, "generate_video", Video, "prompt", prompt, {}, file, how, "video")


def _make(
    which: Which, verb: str, kind: Any, what: str, words: list[str] | None, given: dict[str, Any],
    file: File, how: How, stem: str,
) -> None:  # fmt: skip
    where = place(file.output, file.format, kind, stem)
    content = read_text(words, what)
    arguments = {name: value for name, value in given.items() if value is not None}
    with opened(which) as made:
        arguments = {**made.options(how.opt or ()), **arguments, **where.arguments()}
        result = call(getattr(made.binding, verb), content, label=stem, timeout=how.timeout, **arguments)
    deliver(result, where, as_json=how.json)
