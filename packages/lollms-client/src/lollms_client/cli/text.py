"""Paragraphs: as wide as the terminal; for a file or a pipe each stays one line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def paragraph(text: str, stream: TextIO) -> str:
    """``text`` as it is to be written to ``stream``."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    return "\n".join(textwrap.fill(line, width, break_long_words=False) for line in text.splitlines())
