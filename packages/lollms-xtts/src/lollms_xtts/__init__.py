"""Speech in a cloned voice with XTTS, behind the lollms-modalities contract."""

from __future__ import annotations

__version__ = "2.0.0"
