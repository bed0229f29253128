"""LoLLMs servers, of the distribution ``lollms-remote``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("lollms", "lollms_remote"):
    from lollms_remote import LollmsTTSBinding_Impl as LollmsTTSBinding_Impl
