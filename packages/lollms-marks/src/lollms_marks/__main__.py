"""``python -m lollms_marks FILE...``: as ``lollms verify``, where nothing else of ours is installed."""

from __future__ import annotations

import sys

from lollms_marks.verifying import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "python -m lollms_marks"))
