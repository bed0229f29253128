"""What is typed: ``lollms serve``, and its words ``key``, ``ps``, ``load``, ``unload``, ``cancel``, ``systemd``.

``arguments`` says what there is; ``serving`` runs the server; ``keys`` and ``asking`` do the rest. Imports all else.
"""

from __future__ import annotations


def serve(words: list[str]) -> int:
    """Run what the words after ``lollms serve`` say; the exit code."""
    from lollms_server.commands.arguments import parse

    given = parse(words)
    code: int = given.run(given)
    return code
