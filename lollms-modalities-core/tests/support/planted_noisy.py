"""A binding whose import sets up logging."""

from __future__ import annotations

import logging

from planted import Whole

logging.basicConfig(level=logging.INFO)


class SetsUpLogging(Whole):
    """Sets up logging when it is imported."""
