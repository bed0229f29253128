"""LoLLMs servers, of the distribution ``lollms-remote``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("lollms", "lollms_remote"):
    from lollms_remote import LollmsTTIBinding_Impl as LollmsTTIBinding_Impl

LollmsTTIBinding = LollmsTTIBinding_Impl  # its name in 1.x
