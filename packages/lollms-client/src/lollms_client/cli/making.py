"""``lollms speak``, ``image``, ``music`` and ``video``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.image import Image
from lollms_modalities.media.input import read_media
from lollms_modalities.media.video import Video

from lollms_client.cli import signals, standard
from lollms_client.cli.params import Binding, File, How, Language, Model, Speed, Voice, Where, grouped
from lollms_client.cli.sources import read_text
from lollms_client.cli.targets import Target, target_of
from lollms_client.cli.telling import facts, in_words, json_text
from lollms_client.cli.use import Which, call, opened

_Text = Annotated[
    list[str] | None, typer.Argument(help="What to say; - or none reads standard input.", show_default=False)
]
_Prompt = Annotated[
    list[str] | None, typer.Argument(metavar="PROMPT", help="What it should be like; - or none reads standard input.")
]
_Input = Annotated[
    str | None, typer.Option("--input", "-i", metavar="FILE", help="Read it from that file.", show_default=False)
]


@grouped
def speak(
    text: _Text = None,
    input: _Input = None,
    voice: Voice = None,
    model: Model = None,
    language: Language = None,
    speed: Speed = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Speak a text into a file: speech.wav where none is named.

    lollms speak "Good morning." -o morning.mp3
    """
    given = {"voice": voice, "model": model, "language": language, "speed": speed}
    _Making("tts", "generate_audio", Audio, "text", "speech").run(text, input, given, file, binding, where, how)


@grouped
def image(
    prompt: _Prompt = None,
    input: _Input = None,
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
    given = {"negative_prompt": negative_prompt, "width": width, "height": height, "model": model}
    _Making("tti", "generate_image", Image, "prompt", "image").run(prompt, input, given, file, binding, where, how)


@grouped
def music(
    prompt: _Prompt = None,
    input: _Input = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Compose music into a file: music.wav where none is named."""
    made = _Making("ttm", "generate_music", Audio, "prompt", "music")
    made.run(prompt, input, {"model": model}, file, binding, where, how)


@grouped
def video(
    prompt: _Prompt = None,
    input: _Input = None,
    model: Model = None,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Film a video into a file: video.mp4 where none is named."""
    made = _Making("ttv", "generate_video", Video, "prompt", "video")
    made.run(prompt, input, {"model": model}, file, binding, where, how)


class _Making:
    """What differs between the commands: whose verb it is, what it makes of what, and how the file is called."""

    def __init__(self, modality: str, verb: str, kind: Any, what: str, stem: str) -> None:
        self._modality, self._verb, self._kind, self._what, self._stem = modality, verb, kind, what, stem

    def run(
        self, words: list[str] | None, input: str | None, given: dict[str, Any], file: File, binding: str | None,
        where: Where, how: How,
    ) -> None:  # fmt: skip
        """Read, make, deliver."""
        which = Which.of(self._modality, binding, where, given)
        with target_of(file.given, self._kind, self._stem) as target:
            content = read_text(words, input, self._what)
            with opened(which) as made:
                arguments = {**made.options(how.opt or ()), **target.arguments()}
                verb = getattr(made.binding, self._verb)
                result = call(verb, content, label=self._stem, timeout=how.timeout, **arguments)
            with signals.held():
                _deliver(result, target, as_json=how.json)


def _deliver(result: Any, target: Target, *, as_json: bool) -> None:
    """Say where the result is; or write it to standard output, if that is where it goes."""
    told = f"{json_text(facts(result, target.path))}\n" if as_json else f"{target.path}\n" if target.chosen else ""
    if target.path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(read_media(result))
        sys.stdout.buffer.flush()
    # A name that nobody hears would be lost.
    heard = sys.stderr if target.path is None or standard.closed("output") else sys.stdout
    heard.write(told)
    if sys.stderr.isatty():
        sys.stderr.write(f"{in_words(result)}\n")
