"""Images, video and music with Diffusers, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_diffusers.images import DiffusersTTIBinding_Impl as DiffusersTTIBinding_Impl
from lollms_diffusers.music import DiffusersTTMBinding as DiffusersTTMBinding
from lollms_diffusers.videos import DiffusersTTVBinding as DiffusersTTVBinding

__version__ = "2.0.0"
