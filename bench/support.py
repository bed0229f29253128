"""What the benchmarks take from the tests: speech, and the makers of models and programs."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "tests" / "support"
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))
