"""What is typed: ``lollms serve``, and its words ``key``, ``ps``, ``load``, ``unload``, ``cancel``, ``systemd``.

``arguments`` says what there is; ``serving`` runs the server; ``keys`` and ``asking`` do the rest. ``jobs`` is ``lollms
jobs``, which reaches a server as ``reaching`` says. Imports all else.
"""

from __future__ import annotations


def serve(words: list[str]) -> int:
    """Run what the words after ``lollms serve`` say; the exit code."""
    from lollms_server.commands.arguments import parse

    given = parse(words)
    code: int = given.run(given)
    return code


def jobs(words: list[str]) -> int:
    """Run what the words after ``lollms jobs`` say; the exit code."""
    from lollms_server.commands.jobs import run

    return run(words)
