"""``lollms listen``."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import FrameType
from typing import Annotated, Any, BinaryIO

import typer
from lollms_modalities.media.arriving import read_chunks
from lollms_modalities.media.chunk import AudioChunk
from lollms_modalities.media.files import check_folder, expanded
from lollms_modalities.media.transcript import Segment, Transcript

from lollms_client.cli.errors import UsageError
from lollms_client.cli.interrupt import Interruptible
from lollms_client.cli.params import Binding, How, Where, grouped
from lollms_client.cli.showing import Lines, Shown, Terminal
from lollms_client.cli.targets import Given, names_stdout, reserved
from lollms_client.cli.use import Which, opened


class Format(StrEnum):
    """What is written as it is heard, or at the end."""

    text = "text"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    json = "json"


_SUFFIXES = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "tsv": ".tsv", "json": ".json"}
_AT_THE_END = {Format.srt: Transcript.to_srt, Format.vtt: Transcript.to_vtt, Format.tsv: Transcript.to_tsv}


@grouped
def listen(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]", show_default=False,
            help="A file or pipe of WAV or bare 16-bit samples; - is standard input; none is the microphone.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False, help="Keep it, too: .txt, .srt, .vtt, .tsv or .json."
        ),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option(
            "--directory", "-d", metavar="DIR", show_default=False,
            help="Keep it there, under a free name, in the format of -f: the folder is made.",
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", "-f", help="Of standard output; srt, vtt and tsv come at the end.")
    ] = Format.text,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="One of those that lollms models lists.", show_default=False)
    ] = None,
    rate: Annotated[int, typer.Option(min=1000, help="Samples per second, of bare samples.")] = 16000,
    channels: Annotated[int, typer.Option(min=1, max=255, help="Channels, of bare samples.")] = 1,
    device: Annotated[
        str | None, typer.Option(help="The microphone: its number, or a part of its name.", show_default=False)
    ] = None,
    devices: Annotated[bool, typer.Option("--devices", help="List the microphones, and end.")] = False,
    binding: Binding = None,
    *,
    where: Where,
    how: How,
) -> int:  # fmt: skip
    """Write down what is said while it is being said.

    arecord -f S16_LE -r 16000 | lollms listen -

    On a terminal the line that is being said is shown as it is known so far. Ctrl-C ends the listening, and what was
    heard is written to its end; a second one drops that.
    """
    if devices:
        return list_devices(as_json=how.json)
    wanted = Format.json if how.json else format
    _check(source, device, output, how.json and format is not Format.text)
    with ExitStack() as stack:
        path = _kept(stack, source, output, directory, wanted)
        made = stack.enter_context(opened(Which.of("stt", binding, where)))
        options = made.options(how.opt or ()) | ({} if model is None else {"model": model})
        made.binding.load()  # what is said meanwhile would be heard late
        ear = Ear(_opened(stack, source, device, rate, channels))
        token = stack.enter_context(_Ending(ear))
        shown: Shown = Lines(wanted) if wanted is not Format.text or not sys.stdout.isatty() else Terminal()
        finals: list[Segment] = []
        stream: Any = made.binding.transcribe_live(ear.chunks(), **options, cancel=token, timeout=how.timeout)  # type: ignore[attr-defined]
        try:
            with stream, shown:
                for segment in stream:
                    shown.show(segment)
                    if segment.final:
                        finals.append(segment)
        finally:
            whole = Transcript.from_segments(finals)
            if path is not None and (finals or sys.exc_info()[0] is None):
                whole.save(path)  # also of what went wrong later
        if path is not None and output is None:
            sys.stderr.write(f"{path}\n")
        if wanted in _AT_THE_END:
            print(_AT_THE_END[wanted](whole), end="", flush=True)
    return 0


class Ear:
    """Takes chunks from their source in a thread of its own, so that the listening ends when it is told to.

    Attributes:
        over: whether it is to end; set from a signal's handler.
    """

    def __init__(self, source: Iterator[AudioChunk]) -> None:
        self.over = False
        self._source = source
        self._taken: Queue[AudioChunk | BaseException | None] = Queue(64)

    def chunks(self) -> Iterator[AudioChunk]:
        """What the source gives, until that ends or it is ``over``."""
        Thread(target=self._take, name="lollms-listen", daemon=True).start()
        while not self.over:
            try:
                item = self._taken.get(timeout=0.1)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _take(self) -> None:
        try:
            for chunk in self._source:
                self._taken.put(chunk)
            self._taken.put(None)
        except BaseException as exc:
            self._taken.put(exc)


class _Ending(Interruptible):
    """The first signal ends the listening; the second cancels what is left of it."""

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self._ear = ear

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self._ear.over:
            super()._asked(number, frame)
        self._ear.over = True


def _kept(
    stack: ExitStack, source: str | None, output: str | None, directory: str | None, wanted: Format
) -> Path | None:
    """The file in which it is kept, checked and reserved before anybody speaks; None for none."""
    named, folder = Given(None if output is None else [output], directory, None).checked()
    if named is not None:
        return check_folder(expanded(Path(named)))
    if folder is None:
        return None
    stem = "heard" if source in (None, "-") else Path(source or "").stem
    return stack.enter_context(reserved(folder, stem, _SUFFIXES[wanted]))


def _opened(stack: ExitStack, source: str | None, device: str | None, rate: int, channels: int) -> Iterator[AudioChunk]:
    if source is None:
        from lollms_client.microphone import Microphone

        named = int(device) if device is not None and device.isdecimal() else device
        return stack.enter_context(Microphone(named))
    # Without Python's buffer, in which what has arrived would wait for more.
    file = open(sys.stdin.fileno() if source == "-" else source, "rb", buffering=0, closefd=source != "-")  # noqa: SIM115
    return _read(file, rate, channels)


def _read(file: BinaryIO, rate: int, channels: int) -> Iterator[AudioChunk]:
    # By the thread that takes them it is closed, too: not while it is read.
    with file:
        yield from read_chunks(file, sample_rate=rate, channels=channels)


def _check(source: str | None, device: str | None, output: str | None, twice: bool) -> None:
    if source is not None and device is not None:
        raise UsageError(f"There are two sources: {source} and --device.", hint="Leave one out.")
    if source == "-" and sys.stdin.isatty():
        raise UsageError("There is no sound on standard input.", hint="Pipe it in: arecord ... | lollms listen -")
    if source not in (None, "-") and not Path(source or "").exists():
        raise UsageError(f"{source!r} is not there.", hint="Name a file or a pipe; - is standard input.")
    if twice:
        raise UsageError("--json and --format say two formats.", hint="Leave one out.")
    if names_stdout(output):
        raise UsageError("Standard output has it in any case.", hint="Leave -o - out; -f says the format.")
    means_file = output is not None and not output.endswith("/") and not Path(output).is_dir()
    if means_file and Path(output or "").suffix.lower() not in _SUFFIXES.values():
        known = ", ".join(_SUFFIXES.values())
        raise UsageError(f"{output!r} has no suffix of a transcript.", hint=f"There are {known}.")


def list_devices(*, as_json: bool) -> int:
    """Print the microphones, and the exit code."""
    from lollms_client.microphone import devices

    found = devices()
    if as_json:
        print(json_.dumps([{"number": number, "name": name} for number, name in found], ensure_ascii=False, indent=2))
    else:
        for number, name in found:
            print(f"{number:3}  {name}")
        if not found:
            sys.stderr.write("lollms: There is no microphone here.\n")
    return 0
