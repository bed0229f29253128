"""Commands that other distributions add: entry points in the group ``lollms_client.commands``.

They are listed by metadata alone; the one that is asked for is imported then.
"""

from __future__ import annotations

from lollms_modalities.calls.failures import said
from lollms_modalities.entry_points.metadata import read_entry_points
from lollms_modalities.entry_points.refs import Told
from lollms_modalities.errors import LollmsError

from lollms_client.cli import COMMANDS

TYPE_CHECKING = False  # without importing typing, which `lollms --help` needs for nothing else
if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lollms_client.commands"
HELP_GROUP = "lollms_client.command_help"


class CommandUnavailableError(LollmsError, ImportError):
    """A command of another distribution cannot be imported."""


class Command:
    """One command of another distribution, by metadata.

    Attributes:
        name: how it is typed.
        help: one line: that of ``lollms_client.command_help``, else the distribution's summary.
        distribution: whose it is.
    """

    def __init__(self, entry: EntryPoint, line: str) -> None:
        told = Told(entry.dist)
        self.name = entry.name
        self.distribution = told["Name"] or "a distribution without a name"
        self.help = " ".join((line or told["Summary"] or f"Of {self.distribution}.").split())
        self._entry = entry

    def run(self, words: list[str]) -> int:
        """Import it and run it with the words after its name; the exit code.

        Raises:
            CommandUnavailableError: it cannot be imported.
        """
        try:
            run = self._entry.load()
        except (Exception, SystemExit) as exc:
            raise CommandUnavailableError(
                f"The command {self.name!r} of {self.distribution} cannot be imported: {said(exc).rstrip('.')}.",
                hint=f"Install {self.distribution} again, with all that it requires.",
            ) from exc
        code = run(words)
        return code if isinstance(code, int) else 0


def commands() -> tuple[dict[str, Command], list[str]]:
    """The commands of other distributions by name, in the order of their names, and what is to be said of clashes."""
    entries = read_entry_points(GROUP, HELP_GROUP)
    lines = {}
    for entry in entries:
        if entry.group == HELP_GROUP:
            name, _, line = entry.name.partition(":")
            lines[_owner(entry), name.strip()] = line.strip()
    found: dict[str, Command] = {}
    clashes = []
    for entry in sorted((e for e in entries if e.group == GROUP), key=lambda e: (e.name, _owner(e), e.value)):
        command = Command(entry, lines.get((_owner(entry), entry.name), ""))
        if entry.name in COMMANDS:
            clashes.append(f"The command {entry.name!r} of {command.distribution} is hidden by our own of that name.")
        elif (first := found.setdefault(entry.name, command)).distribution != command.distribution:
            clashes.append(
                f"The command {entry.name!r} is claimed by {first.distribution} and {command.distribution}: "
                f"{first.distribution} is used."
            )
    return found, clashes


def find(name: str) -> tuple[Command | None, list[str]]:
    """The command of that name, and what is to be said of clashes about it."""
    if name in COMMANDS or name.startswith("-"):
        return None, []
    found, clashes = commands()
    return found.get(name), [clash for clash in clashes if repr(name) in clash]


def _owner(entry: EntryPoint) -> str:
    return Told(entry.dist)["Name"]
