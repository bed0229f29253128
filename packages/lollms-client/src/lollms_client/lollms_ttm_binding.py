"""The documented home of the TTM contract, which lives in ``lollms_modalities.ttm``."""

from __future__ import annotations

from lollms_modalities.ttm import LollmsTTMBinding as LollmsTTMBinding
from lollms_modalities.ttm import LollmsTTMBindingManager as LollmsTTMBindingManager
