"""``lollms transcribe``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.errors import CallCancelled, LollmsError, OptionError, SaveError, SettingsError
from lollms_modalities.media.files import check_folder, expanded
from lollms_modalities.media.transcript import Segment, Transcript

from lollms_client.cli import signals, standard
from lollms_client.cli.allocator import keep_freed_memory
from lollms_client.cli.errors import UsageError, code_of, explain
from lollms_client.cli.params import Binding, File, How, Language, Model, Speakers, Where, grouped
from lollms_client.cli.sources import STDIN, content_of, recordings
from lollms_client.cli.targets import STDOUT, reserved_all
from lollms_client.cli.telling import JsonArray, error_json
from lollms_client.cli.use import Made, Which, call, opened, watched

_SUFFIXES = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "tsv": ".tsv", "json": ".json"}
_ALL = "all"
_TIMED = ("srt", "vtt", "tsv", _ALL)
_FIRST = 4.0  # seconds of speech after which a person who looks on is to read something
# What goes wrong with one recording goes wrong with all.
_OF_ALL = (OptionError, SettingsError, standard.StandardStreamError)


@grouped
def transcribe(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE...", show_default=False,
            help="Recordings, or folders of them; - or none reads standard input.",
        ),
    ] = None,
    model: Model = None,
    language: Language = None,
    *,
    speakers: Speakers,
    file: File,
    binding: Binding = None,
    where: Where,
    how: How,
) -> int:  # fmt: skip
    """Write down what is said in recordings: as txt, srt, vtt, tsv or json, or as all of them.

    lollms transcribe talk.mp3 -o talk.srt

    A recording that cannot be read does not keep the others from being written down; the exit code tells of it.
    """
    names = recordings(files)
    target = _Target(file, len(names), as_json=how.json)
    flags = {"model": model, "language": language, **speakers.options()}
    code = 0
    with ExitStack() as stack:
        made = stack.enter_context(opened(Which.of("stt", binding, where, flags)))
        arguments = {**made.options(how.opt or ()), "timeout": how.timeout}
        _want_times(made, arguments, target.format)
        array = stack.enter_context(JsonArray()) if target.format == "json" and target.is_stdout else None
        writing = _Writing(made, arguments, target, array, len(names))
        for n, name in enumerate(names, 1):
            label = f"{Path(name).name} ({n} of {len(names)})" if len(names) > 1 else Path(name).name
            try:
                writing.one(name, label)
            except LollmsError as exc:
                if array is not None:
                    array.add({"file": name, "error": error_json(exc)})
                if isinstance(exc, (CallCancelled, *_OF_ALL)) or (len(names) == 1 and array is None):
                    raise
                code = max(code_of(exc), code)
                explain(exc)
    return code


class _Target:
    """Where transcripts go and as what, checked before any work is done.

    Raises:
        UsageError: that cannot be meant.
        OptionError: a place that cannot be written to.
    """

    def __init__(self, file: File, count: int, *, as_json: bool) -> None:
        elsewhere = bool(file.directory) or (bool(file.output) and not file.is_stdout)
        if as_json and (file.format not in (None, "json") or elsewhere):
            raise UsageError("--json prints JSON on standard output.", hint="For a file: -o FILE.json.")
        asked = None if file.format is None else file.format.lower().lstrip(".").replace("txt", "text")
        if asked is not None and asked not in (*_SUFFIXES, _ALL):
            raise UsageError(
                f"--format {file.format} is no format of a transcript.",
                hint=f"There are txt, {', '.join(_SUFFIXES)}, and all of them: {_ALL}.",
            )
        named, self.folder = file.given.checked()
        self.is_stdout = named in (None, STDOUT) and self.folder is None
        self.path = None if self.is_stdout or named is None else expanded(Path(named))
        self.format = "json" if as_json else asked or "text"
        if self.path is not None:
            self._named(self.path, str(named), asked, count)
        if not self.is_stdout:
            return
        if standard.closed("output"):
            raise standard.StandardStreamError("Standard output is closed.", hint="Name a file or a folder with -o.")
        if self.format == _ALL:
            raise UsageError("All formats cannot be one text.", hint="Name a folder with -d.")
        if count > 1 and self.format in _TIMED:
            raise UsageError(
                f"Several transcripts as {self.format} cannot be one text.",
                hint="Name a folder with -d, or take -f json.",
            )

    def _named(self, path: Path, named: str, wanted: str | None, count: int) -> None:
        if count > 1:
            raise UsageError(f"{named!r} is no folder for {count} transcripts.", hint="Name one with -d, or end in /.")
        found = next((format for format, suffix in _SUFFIXES.items() if suffix == path.suffix.lower()), None)
        if found is None:
            known = ", ".join(_SUFFIXES.values())
            raise UsageError(
                f"{named!r} has no suffix of a transcript.", hint=f"There are {known}, and -f for standard output."
            )
        if wanted not in (None, found):
            raise UsageError(f"-o {named} and --format {wanted} say two formats.", hint="Leave one out.")
        self.format = found
        check_folder(path)


class _Writing:
    """Writes down one recording after the other."""

    def __init__(
        self, made: Made, arguments: dict[str, Any], target: _Target, array: JsonArray | None, count: int
    ) -> None:
        self._made, self._arguments, self._target = made, arguments, target
        self._array, self._count = array, count

    def one(self, name: str, label: str) -> None:
        """Write down one, and put it where it goes.

        Raises:
            LollmsError: as of ``transcribe_audio``, or the transcript cannot be written; then it is printed.
        """
        target = self._target
        if target.path is not None:
            self._save(self._transcript(name, label), target.path)
        elif target.folder is not None:
            stem = "stdin" if name == STDIN else Path(name).stem
            suffixes = list(_SUFFIXES.values()) if target.format == _ALL else [_SUFFIXES[target.format]]
            with reserved_all(target.folder, stem, suffixes) as paths:
                transcript = self._transcript(name, label)
                for path in paths:
                    self._save(transcript, path)
                    (sys.stderr if standard.closed("output") else sys.stdout).write(f"{path}\n")
        elif self._array is not None:
            transcript = self._transcript(name, label)
            made = transcript.provenance
            told = {**transcript.to_dict(), "provenance": None if made is None else made.to_json()}
            self._array.add({"file": name, **told})
        elif target.format == "text":
            self._say(name, label)
        else:
            transcript = self._transcript(name, label)
            to_text = {"srt": transcript.to_srt, "vtt": transcript.to_vtt, "tsv": transcript.to_tsv}[target.format]
            sys.stdout.write(to_text())
            sys.stdout.flush()

    def _transcript(self, name: str, label: str) -> Transcript:
        verb = self._made.binding.transcribe_audio  # type: ignore[attr-defined]
        transcript: Transcript = call(verb, content_of(name), label=label, **self._arguments)
        return transcript

    def _say(self, name: str, label: str) -> None:
        """Print the text, as it is heard where the binding hears it bit by bit."""
        before = f"{name}: " if self._count > 1 else ""
        if not self._made.binding.capabilities.streaming:
            transcript = self._transcript(name, label)
            told = any(segment.speaker for segment in transcript.segments)
            text = "".join(_text_of(transcript.segments)) if told else transcript
            sys.stdout.write(f"{before}{text}\n")
            sys.stdout.flush()
            return
        keep_freed_memory()  # somebody waits for the first text
        said = False
        try:
            verb = self._made.binding.stream_transcript  # type: ignore[attr-defined]
            arguments = self._arguments
            if "first_window" in self._made.description["options"].get("properties", {}):
                arguments = {"first_window": _FIRST, **arguments}
            # A bar would be drawn across what is said.
            with watched(label, shown=not sys.stdout.isatty()) as watching:
                for text in _text_of(verb(content_of(name), **arguments, **watching)):
                    sys.stdout.write(text if said else before + text)
                    sys.stdout.flush()
                    said = True
            sys.stdout.write("" if said else before)
            said = True
        finally:
            sys.stdout.write("\n" if said else "")
            sys.stdout.flush()

    def _save(self, transcript: Transcript, path: Path) -> None:
        with signals.held():
            try:
                transcript.save(path)
            except SaveError:
                # The work is done, and may have taken long.
                heard = sys.stderr if standard.closed("output") else sys.stdout
                heard.write(f"{transcript}\n")
                raise


def _text_of(segments: Iterable[Segment]) -> Iterator[str]:
    """What is to be printed of each segment; another speaker begins another line."""
    first, speaker = True, None
    for segment in segments:
        between = "" if first else " "
        if segment.speaker is not None and segment.speaker != speaker:
            between = ("" if first else "\n") + f"{segment.speaker}: "
        yield between + segment.text.strip()
        first, speaker = False, segment.speaker


def _want_times(made: Made, arguments: dict[str, Any], wanted: str) -> None:
    """Ask for the times that subtitles are cut by: of words, where the engine tells them."""
    known = made.description["options"].get("properties", {}).get("timestamps", {})
    if wanted not in _TIMED or not known:
        return
    if "word" in made.binding.capabilities.timestamps:
        arguments.setdefault("timestamps", "word")
    elif known.get("default") == "none":
        arguments.setdefault("timestamps", "segment")
