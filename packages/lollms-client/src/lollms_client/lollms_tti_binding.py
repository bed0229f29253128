"""The documented home of the TTI contract, which lives in ``lollms_modalities.tti``."""

from __future__ import annotations

from lollms_modalities.tti import LollmsTTIBinding as LollmsTTIBinding
from lollms_modalities.tti import LollmsTTIBindingManager as LollmsTTIBindingManager
