"""The command ``lollms``: which command is meant, and what a failure looks like.

``lollms --help`` and a plain ``lollms list`` are answered without typer, which takes longer to import than they take to
run. Of the other commands only the module of the one that is asked for is imported. Other distributions add commands of
theirs: see ``others``.
"""

from __future__ import annotations

import os
import sys

# Each command: module here, what in it (a function, or a typer application with commands of its own), one line of help.
COMMANDS = {
    "list": ("checking", "list_bindings", "Which bindings there are; --check imports each and explains the broken."),
    "info": ("info", "info", "What a binding is: settings, options, capabilities, licence, place."),
    "voices": ("voices", "voices", "The voices of a speech binding; describe, add or remove one."),
    "models": ("asking", "models", "The models that a binding knows."),
    "speak": ("speaking", "speak", "Speak a text."),
    "transcribe": ("transcribing", "transcribe", "Write down what is said in recordings."),
    "listen": ("listen", "listen", "Write down what is said while it is being said."),
    "image": ("making", "image", "Draw an image."),
    "edit": ("images", "edit", "Change an image."),
    "upscale": ("images", "upscale", "Enlarge an image."),
    "cut-out": ("images", "cut_out", "Make the background of an image transparent."),
    "music": ("making", "music", "Compose music."),
    "video": ("making", "video", "Film a video."),
    "install": ("install", "install", "Install bindings into this environment, with uv or pip."),
    "pull": ("pull", "pull", "Fetch a voice or a model."),
    "doctor": ("doctor", "doctor", "Python, packages, devices, caches, and what would be used."),
    "env": ("env", "app", "Environments, for engines that cannot live together."),
    "new-binding": ("new_binding", "new_binding", "Make a binding of your own, from the template."),
    "test-binding": ("testing", "try_binding", "Run the conformance suite on a binding, for a report."),
    "man": ("manual", "man", "Show the manual page."),
    "config": ("configuring", "config", "Show or change the configuration file."),
}
MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")
CANCELLED = 130  # as shells have it for SIGINT
_HELP = """\
Usage: lollms [OPTIONS] COMMAND [ARGS]...

  Speech, transcription, images, music and video, whatever engine does it.

Options:
  --version             Show the version.
  --debug               Show the traceback of a failure; may stand anywhere.
  --install-completion  Install completion for the current shell.
  --show-completion     Show completion for the current shell, to copy it.
  -h, --help            Show this; lollms COMMAND --help tells of a command.

Commands:
"""


def main() -> int:
    """Run the command that ``sys.argv`` gives; the exit code: 0, 1 for a failure, 2 for a usage error."""
    from lollms_client.cli import signals, standard

    signals.leave_at_once()
    standard.mend()
    words, debug = _without_debug(sys.argv[1:])
    try:
        code = _run(words, debug)
        standard.flush()
    except KeyboardInterrupt:
        code = _cancelled()
    except BrokenPipeError:
        code = 1  # whoever read our output has had enough
    except Exception as exc:
        from lollms_client.cli.errors import explain

        code = _cancelled() if signals.asked() else explain(exc, debug=debug)
    signals.leave_at_once()
    return code


def _cancelled() -> int:
    sys.stderr.write("Cancelled.\n")
    return CANCELLED


def _run(words: list[str], debug: bool) -> int:
    if "_LOLLMS_COMPLETE" not in os.environ:
        if not words or words in (["-h"], ["--help"]):
            sys.stdout.write(help_text(warn=True))
            return 0
        if words == ["--version"]:
            from lollms_client import __version__

            sys.stdout.write(f"lollms {__version__}\n")
            return 0
        if words[0] == "list" and {*words[1:]} <= {"--json", *MODALITIES}:
            from lollms_client.cli.listing import show

            return show([word for word in words[1:] if word != "--json"], as_json="--json" in words)
        if words[0] not in COMMANDS and not words[0].startswith("-"):
            from lollms_client.cli import others

            command, clashes = others.find(words[0])
            if command is not None:
                from lollms_client.cli import signals
                from lollms_client.cli.errors import listen

                listen(debug=debug)
                _warn(clashes)
                signals.interrupt()
                return command.run(words[1:])
    from lollms_client.cli.app import run

    return run(words, debug)


def help_text(*, warn: bool = False) -> str:
    """What ``lollms --help`` prints; ``warn``: say on stderr which commands of other distributions are hidden."""
    from lollms_client.cli import others

    found, clashes = others.commands()
    if warn:
        _warn(clashes)
    wide = max(map(len, [*COMMANDS, *found]))
    text = _HELP + "".join(f"  {name:{wide}}  {line}\n" for name, (_, _, line) in COMMANDS.items())
    if found:
        text += "\nCommands of other distributions:\n"
        text += "".join(f"  {name:{wide}}  {command.help}\n" for name, command in found.items())
    return text


def _warn(clashes: list[str]) -> None:
    for clash in clashes:
        sys.stderr.write(f"lollms: warning: {clash}\n")


def _without_debug(words: list[str]) -> tuple[list[str], bool]:
    """The words without ``--debug``, which every command takes; after ``--`` it is a word like any other."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return kept + words[end:], len(kept) < end
