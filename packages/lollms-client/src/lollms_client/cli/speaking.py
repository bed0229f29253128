"""``lollms speak``: into a file, or as it is made, to standard output or to whoever listens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.errors import OptionError
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.files import check_folder, expanded, write_whole

from lollms_client.cli import signals
from lollms_client.cli.errors import UsageError
from lollms_client.cli.making import Making, Text, TextFile
from lollms_client.cli.params import Binding, File, How, Language, Model, Speed, Voice, Where, grouped
from lollms_client.cli.player import Player
from lollms_client.cli.sources import read_text
from lollms_client.cli.targets import Target, target_of
from lollms_client.cli.telling import json_text, known_of
from lollms_client.cli.use import Which, opened, watched

_SUBTITLES = {".srt": Audio.to_srt, ".vtt": Audio.to_vtt}


@grouped
def speak(
    text: Text = None,
    input: TextFile = None,
    voice: Voice = None,
    model: Model = None,
    language: Language = None,
    speed: Speed = None,
    subtitles: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write subtitles, too: .srt or .vtt.", show_default=False),
    ] = None,
    play: Annotated[bool, typer.Option("--play", help="Play it while it is made; a file only with -o or -d.")] = False,
    *,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> None:
    """Speak a text into a file: speech.wav where none is named.

    lollms speak "Good morning." -o morning.mp3

    With -o - it begins to write when the first sentence is ready.
    """
    flags = {"voice": voice, "model": model, "language": language, "speed": speed}
    which = Which.of("tts", binding, where, flags)
    if subtitles is not None:
        if play or file.is_stdout:
            raise UsageError("--subtitles goes with a file.", hint="Name one with -o, or leave -o - and --play out.")
        _with_subtitles(subtitles, text, input, file, which, how)
    elif play or file.is_stdout:
        if play and file.is_stdout:
            raise UsageError("--play and -o - both take the sound.", hint="Leave one out.")
        _streamed(text, input, file, which, how, play=play)
    else:
        Making("tts", "generate_audio", Audio, "text", "speech").run(text, input, file, which, how)


def _with_subtitles(
    subtitles: str, words: list[str] | None, input: str | None, file: File, which: Which, how: How
) -> None:
    path = check_folder(expanded(Path(subtitles)))
    to_text = _SUBTITLES.get(path.suffix.lower())
    if to_text is None:
        raise OptionError(f"{subtitles!r} has no suffix of subtitles.", hint=f"There are {', '.join(_SUBTITLES)}.")
    made = Making("tts", "generate_audio", Audio, "text", "speech")
    result = made.run(words, input, file, which, how, {"timestamps": "word"})
    with signals.held():
        write_whole(path, to_text(result).encode())


def _streamed(words: list[str] | None, input: str | None, file: File, which: Which, how: How, *, play: bool) -> None:
    """Give the sound on while it is made."""
    with ExitStack() as stack:
        keeps = play and (file.output is not None or file.directory is not None)
        stem = "speech"
        target = (
            Target(None, file.format) if play and not keeps else stack.enter_context(target_of(file.given, Audio, stem))
        )
        content = read_text(words, input, "text")
        player = stack.enter_context(Player()) if play else None
        made = stack.enter_context(opened(which))
        # What is played is WAV, which begins at once; a file has its own format afterwards.
        wanted = "wav" if play else target.format or "wav"
        arguments = {**made.options(how.opt or ()), "timeout": how.timeout, "output_format": wanted}
        write = player.write if player is not None else _write
        kept: list[bytes] = []
        take: Callable[[bytes], object] = kept.append if keeps else (lambda part: None)
        with watched(stem, shown=not sys.stdout.isatty() or play) as watching:
            stream = made.binding.stream_encoded(content, **arguments, **watching)  # type: ignore[attr-defined]
            count = _passed_on(stream, write, take)
        if player is not None:
            player.finish()
        if keeps and target.path is not None:
            with signals.held():
                Audio(b"".join(kept)).save(target.path)
                sys.stdout.write(f"{target.path}\n" if target.chosen else "")
        if how.json:
            told = {"path": None if target.path is None else str(target.path), "bytes": count, **known_of(stream)}
            (sys.stdout if play else sys.stderr).write(f"{json_text(told)}\n")


def _passed_on(stream: Any, write: Callable[[bytes], object], take: Callable[[bytes], object]) -> int:
    """Write each part as soon as it is there; how many bytes it were."""
    count = 0
    parts: Iterator[bytes] = stream
    try:
        for part in parts:
            write(part)
            take(part)
            count += len(part)
    finally:
        stream.close()
    return count


def _write(part: bytes) -> None:
    sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
