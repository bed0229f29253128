"""``python -m lollms_marks FILE...``: as ``lollms verify``, where nothing else of ours is installed."""

from __future__ import annotations

import os
import sys

from lollms_marks.verifying import run

if __name__ == "__main__":
    try:
        code = run(sys.argv[1:], "python -m lollms_marks")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
