"""Diffusers, of the distribution ``lollms-diffusers``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("diffusers", "lollms_diffusers"):
    from lollms_diffusers import DiffusersTTMBinding as DiffusersTTMBinding
