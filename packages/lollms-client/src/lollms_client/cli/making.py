"""``lollms speak``, ``image``, ``music`` and ``video``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.image import Image
from lollms_modalities.media.video import Video

from lollms_client.cli.output import deliver, place, read_text
from lollms_client.cli.params import Binding, Environment, Isolated, Json, Opt, Output, Set, Timeout
from lollms_client.cli.use import Which, call, opened

_Prompt = Annotated[
    list[str] | None, typer.Argument(metavar="PROMPT", help="What it should be like; - or none reads standard input.")
]
_Format = Annotated[
    str | None, typer.Option("--format", "-f", help="The format where no file name says it.", show_default=False)
]


def speak(
    text: Annotated[
        list[str] | None, typer.Argument(help="What to say; - or none reads standard input.", show_default=False)
    ] = None,
    voice: Annotated[
        str | None, typer.Option("--voice", "-v", help="One of those that lollms voices lists.", show_default=False)
    ] = None,
    output: Output = None,
    format: _Format = None,
    binding: Binding = None,
    environment: Environment = None,
    isolated: Isolated = False,
    set: Set = None,
    opt: Opt = None,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Speak a text into a file: speech.wav where none is named.

    lollms speak "Good morning." -o morning.mp3
    """
    which = Which("tts", binding, environment, isolated, set or ())
    _make(which, "generate_audio", Audio, "text", text, {"voice": voice}, output, format, opt, timeout, json, "speech")


def image(
    prompt: _Prompt = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to show.", show_default=False)] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.", show_default=False)] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.", show_default=False)] = None,
    output: Output = None,
    format: _Format = None,
    binding: Binding = None,
    environment: Environment = None,
    isolated: Isolated = False,
    set: Set = None,
    opt: Opt = None,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Draw an image into a file: image.png where none is named."""
    which = Which("tti", binding, environment, isolated, set or ())
    given = {"negative_prompt": negative_prompt, "width": width, "height": height}
    _make(which, "generate_image", Image, "prompt", prompt, given, output, format, opt, timeout, json, "image")


def music(
    prompt: _Prompt = None,
    output: Output = None,
    format: _Format = None,
    binding: Binding = None,
    environment: Environment = None,
    isolated: Isolated = False,
    set: Set = None,
    opt: Opt = None,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Compose music into a file: music.wav where none is named."""
    which = Which("ttm", binding, environment, isolated, set or ())
    _make(which, "generate_music", Audio, "prompt", prompt, {}, output, format, opt, timeout, json, "music")


def video(
    prompt: _Prompt = None,
    output: Output = None,
    format: _Format = None,
    binding: Binding = None,
    environment: Environment = None,
    isolated: Isolated = False,
    set: Set = None,
    opt: Opt = None,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Film a video into a file: video.mp4 where none is named."""
    which = Which("ttv", binding, environment, isolated, set or ())
    _make(which, "generate_video", Video, "prompt", prompt, {}, output, format, opt, timeout, json, "video")


def _make(
    which: Which, verb: str, kind: Any, what: str, words: list[str] | None, given: dict[str, Any], output: str | None,
    output_format: str | None, opt: list[str] | None, timeout: float | None, json: bool, stem: str,
) -> None:  # fmt: skip
    where = place(output, output_format, kind, stem)
    content = read_text(words, what)
    arguments = {name: value for name, value in given.items() if value is not None}
    with opened(which) as made:
        arguments = {**made.options(opt or ()), **arguments, **where.arguments()}
        result = call(getattr(made.binding, verb), content, label=stem, timeout=timeout, **arguments)
    deliver(result, where, as_json=json)
