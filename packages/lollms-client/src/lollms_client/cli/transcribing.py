"""``lollms transcribe``."""

from __future__ import annotations

import json as json_
import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.errors import CallCancelled, LollmsError
from lollms_modalities.media.transcript import Transcript

from lollms_client.cli.errors import UsageError, code_of, explain
from lollms_client.cli.output import read_bytes
from lollms_client.cli.params import Binding, How, Where, grouped
from lollms_client.cli.use import Made, Which, call, opened


class Format(StrEnum):
    """What a transcript is written as."""

    text = "text"
    srt = "srt"
    vtt = "vtt"
    json = "json"


_SUFFIXES = {".txt": Format.text, ".srt": Format.srt, ".vtt": Format.vtt, ".json": Format.json}
_Result = tuple[str, Transcript]


@grouped
def transcribe(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Recordings; - or none reads standard input.", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False,
            help="Where it goes: .txt, .srt, .vtt, .json; a folder for several; - is stdout.",
        ),
    ] = None,
    format: Annotated[
        Format | None, typer.Option("--format", "-f", help="Text if neither this nor -o says it.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="One of those that lollms models lists.", show_default=False)
    ] = None,
    binding: Binding = None,
    *,
    where: Where,
    how: How,
) -> int:  # fmt: skip
    """Write down what is said in recordings.

    lollms transcribe talk.mp3 -o talk.srt

    A recording that cannot be read does not keep the others from being written down; the exit code tells of it.
    """
    names = files or ["-"]
    if names == ["-"] and not files and sys.stdin.isatty():
        raise UsageError("There is no recording.", hint="Name files, or pipe one in.")
    if how.json and (format not in (None, Format.json) or output not in (None, "-")):
        raise UsageError("--json prints JSON on standard output.", hint="For a file: -o FILE.json.")
    wanted = Format.json if how.json else _format(format, output, len(names))
    targets = _targets(names, output, wanted)
    _check_stdout(targets, wanted)
    code = 0
    done: list[_Result] = []
    with opened(Which.of("stt", binding, where)) as made:
        options = made.options(how.opt or ()) | ({} if model is None else {"model": model})
        known = made.description["options"].get("properties", {}).get("timestamps", {})
        if wanted in (Format.srt, Format.vtt) and known.get("default") == "none":
            options.setdefault("timestamps", "segment")  # subtitles are nothing without times
        for n, (name, target) in enumerate(zip(names, targets, strict=True), 1):
            label = f"{Path(name).name} ({n} of {len(names)})" if len(names) > 1 else Path(name).name
            try:
                transcript = _one(made, name, {**options, "timeout": how.timeout}, label)
            except CallCancelled:
                raise
            except LollmsError as exc:
                if len(names) == 1:
                    raise
                code = max(code_of(exc), code)
                explain(exc)
                continue
            if target is not None:
                transcript.save(target)
            elif wanted is Format.json:
                done.append((name, transcript))
            else:
                _print(name, transcript, wanted, len(names))
    if wanted is Format.json and None in targets:
        told = [_told(*result) for result in done]
        print(json_.dumps(told if len(names) > 1 else told[0], indent=2, ensure_ascii=False))
    return code


def _one(made: Made, name: str, arguments: dict[str, Any], label: str) -> Transcript:
    audio: str | bytes = read_bytes() if name == "-" else name
    fn = made.binding.transcribe_audio  # type: ignore[attr-defined]
    transcript: Transcript = call(fn, audio, label=label, **arguments)
    return transcript


def _format(given: Format | None, output: str | None, count: int) -> Format:
    """The format that is wanted; a file's suffix decides it."""
    if output in (None, "-") or Path(output or "").is_dir():
        return given or Format.text
    if count > 1:
        raise UsageError(f"{output!r} is no folder for {count} transcripts.", hint="Name a folder that exists with -o.")
    found = _SUFFIXES.get(Path(output or "").suffix.lower())
    if found is None:
        raise UsageError(
            f"{output!r} has no suffix of a transcript.", hint=f"There are {', '.join(_SUFFIXES)}, and -f for stdout."
        )
    if given not in (None, found):
        raise UsageError(
            f"-o {output} and --format {given.value if given else ''} say two formats.", hint="Leave one out."
        )
    return found


def _targets(names: list[str], output: str | None, wanted: Format) -> list[Path | None]:
    """The file of each transcript; None for standard output."""
    if output in (None, "-"):
        return [None] * len(names)
    folder = Path(output or "")
    if not folder.is_dir():
        if not folder.parent.is_dir():
            raise UsageError(f"{output!r} cannot be written: its folder does not exist.", hint="Make the folder first.")
        return [folder]
    suffix = next(suffix for suffix, kind in _SUFFIXES.items() if kind is wanted)
    # Two recordings may differ in their suffixes alone.
    stems = Counter(Path(name).stem for name in names)
    return [
        folder / ((Path(n).name if stems[Path(n).stem] > 1 else Path(n).stem if n != "-" else "stdin") + suffix)
        for n in names
    ]


def _check_stdout(targets: list[Path | None], wanted: Format) -> None:
    if targets.count(None) > 1 and wanted in (Format.srt, Format.vtt):
        raise UsageError(
            f"Several transcripts as {wanted.value} cannot be one text.", hint="Name a folder with -o, or take -f json."
        )


def _print(name: str, transcript: Transcript, wanted: Format, count: int) -> None:
    if wanted is Format.srt:
        print(transcript.to_srt(), end="", flush=True)
    elif wanted is Format.vtt:
        print(transcript.to_vtt(), end="", flush=True)
    else:
        print(f"{name}: {transcript}" if count > 1 else transcript, flush=True)


def _told(name: str, transcript: Transcript) -> dict[str, Any]:
    made = transcript.provenance
    return {"file": name, **transcript.to_dict(), "provenance": None if made is None else made.to_json()}
