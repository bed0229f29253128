"""A program that plays what it gets on standard input: the system's own, or the one that ``LOLLMS_PLAYER`` names."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import Self

from lollms_modalities.errors import LollmsError

_KNOWN = (
    "ffplay -nodisp -autoexit -loglevel error -i -", "mpv --really-quiet --no-terminal -", "pw-cat --playback -",
    "aplay --quiet -", "play -q -t wav -",
)  # fmt: skip


class PlayerError(LollmsError):
    """There is no program that plays sound, or it failed."""


class Player:
    """``with Player() as player``: what is written to it is heard; ``finish`` waits until all of it was.

    Raises:
        PlayerError: there is none, or it cannot be started.
    """

    def __init__(self) -> None:
        command = _command()
        self._name = command[0]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the player
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said
            )
        except OSError as exc:
            self._said.close()
            raise PlayerError(
                f"{self._name!r} cannot be started: {exc.strerror}.", hint="LOLLMS_PLAYER names another command."
            ) from exc

    def write(self, data: bytes) -> None:
        """Play this, too. Waits while the player has enough."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._ended()
            raise  # it ended well: whoever listens has had enough

    def finish(self) -> None:
        """Wait until all was heard."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()
        self._said.close()

    def _ended(self) -> None:
        code = self._process.wait()
        if not code:
            return
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        said = f": {lines[-1][:200]}" if lines else ""
        raise PlayerError(
            f"The player {self._name!r} ended with code {code}{said}.", hint="LOLLMS_PLAYER names another command."
        )


def _command() -> list[str]:
    given = os.environ.get("LOLLMS_PLAYER", "").strip()
    try:
        words = shlex.split(given)
    except ValueError as exc:
        raise PlayerError(f"LOLLMS_PLAYER={given!r} is no command: {exc}.", hint="Mend it.") from exc
    if words:
        return words
    for known in map(shlex.split, _KNOWN):
        if shutil.which(known[0]):
            return known
    names = ", ".join(known.partition(" ")[0] for known in _KNOWN)
    raise PlayerError(
        "There is no program to play with.",
        hint=f"Install one of {names}, or name a command that plays WAV from standard input in LOLLMS_PLAYER.",
    )
