"""Bindings whose engine does what its text says, and writes down what became of it: for tests of a server.

They stand in a distribution of their own, which ``plant`` writes into a folder for a server's process to find.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from distributions import install

POINTS = """[lollms_client.tts_bindings]
counting = counting_engine:CountingTTS
choir = counting_engine:ChoirTTS
various = various_options:VariousTTS

[lollms_client.stt_bindings]
counting = counting_engine:CountingSTT
ears = counting_ears:CountingEars

[lollms_client.tti_bindings]
counting = counting_pictures:CountingTTI

[lollms_client.ttm_bindings]
counting = counting_pictures:CountingTTM

[lollms_client.ttv_bindings]
counting = counting_pictures:CountingTTV
"""


def plant(folder: Path) -> Path:
    """Write the distribution into ``folder``, which is to be on the path of Python; gives the folder."""
    install(folder, "counting", POINTS)
    for name in ("counting_engine.py", "counting_ears.py", "counting_pictures.py", "various_options.py"):
        shutil.copy(Path(__file__).with_name(name), folder)
    return folder


class Counted:
    """What the engines have written down: one word a line, such as ``began hello``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self) -> list[str]:
        """All lines."""
        return self.path.read_text("utf-8").splitlines()

    def count(self, word: str) -> int:
        """How many lines begin with that word."""
        return sum(line.split(" ")[0] == word for line in self.lines())

    def note(self, line: str) -> None:
        """Write down a line for an engine that could not."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
