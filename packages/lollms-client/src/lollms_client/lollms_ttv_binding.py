"""The documented home of the TTV contract, which lives in ``lollms_modalities.ttv``."""

from __future__ import annotations

from lollms_modalities.ttv import LollmsTTVBinding as LollmsTTVBinding
from lollms_modalities.ttv import LollmsTTVBindingManager as LollmsTTVBindingManager
