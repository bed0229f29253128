"""What is shown at the terminal."""

from __future__ import annotations

import sys


def out(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")


def say(text: str) -> None:
    """A line for whoever sits there."""
    sys.stderr.write(f"{text}\n")
