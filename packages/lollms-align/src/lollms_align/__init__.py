"""When each word of an English text is said in a recording of it, with PocketSphinx: a provider for every binding."""

from __future__ import annotations

from lollms_align.aligner import EnglishAligner as EnglishAligner

__version__ = "2.0.0"
