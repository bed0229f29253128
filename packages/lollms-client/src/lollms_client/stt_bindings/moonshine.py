"""Moonshine, of the distribution ``lollms-moonshine``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("moonshine", "lollms_moonshine"):
    from lollms_moonshine import MoonshineSTTBinding as MoonshineSTTBinding
