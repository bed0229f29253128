"""The five managers. A program that uses one loads that one's contract only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lollms_modalities.finding.manager import BindingManager

if TYPE_CHECKING:
    from pathlib import Path

    from lollms_modalities.contract.stt import LollmsSTTBinding  # noqa: F401 (named below as text)
    from lollms_modalities.contract.tti import LollmsTTIBinding  # noqa: F401 (named below as text)
    from lollms_modalities.contract.ttm import LollmsTTMBinding  # noqa: F401 (named below as text)
    from lollms_modalities.contract.tts import LollmsTTSBinding  # noqa: F401 (named below as text)
    from lollms_modalities.contract.ttv import LollmsTTVBinding  # noqa: F401 (named below as text)


class LollmsTTSBindingManager(BindingManager["LollmsTTSBinding"]):
    """Finds and makes TTS bindings.

    Args:
        tts_bindings_dir: an extra folder of installed distributions, such as ``pip install --target`` makes.
    """

    modality = "tts"

    def __init__(self, tts_bindings_dir: str | Path | None = None) -> None:
        super().__init__(tts_bindings_dir)
        self.tts_bindings_dir = tts_bindings_dir


class LollmsTTIBindingManager(BindingManager["LollmsTTIBinding"]):
    """Finds and makes TTI bindings.

    Args:
        tti_bindings_dir: an extra folder of installed distributions, such as ``pip install --target`` makes.
    """

    modality = "tti"

    def __init__(self, tti_bindings_dir: str | Path | None = None) -> None:
        super().__init__(tti_bindings_dir)
        self.tti_bindings_dir = tti_bindings_dir


class LollmsSTTBindingManager(BindingManager["LollmsSTTBinding"]):
    """Finds and makes STT bindings.

    Args:
        stt_bindings_dir: an extra folder of installed distributions, such as ``pip install --target`` makes.
    """

    modality = "stt"

    def __init__(self, stt_bindings_dir: str | Path | None = None) -> None:
        super().__init__(stt_bindings_dir)
        self.stt_bindings_dir = stt_bindings_dir


class LollmsTTMBindingManager(BindingManager["LollmsTTMBinding"]):
    """Finds and makes TTM bindings.

    Args:
        ttm_bindings_dir: an extra folder of installed distributions, such as ``pip install --target`` makes.
    """

    modality = "ttm"

    def __init__(self, ttm_bindings_dir: str | Path | None = None) -> None:
        super().__init__(ttm_bindings_dir)
        self.ttm_bindings_dir = ttm_bindings_dir


class LollmsTTVBindingManager(BindingManager["LollmsTTVBinding"]):
    """Finds and makes TTV bindings.

    Args:
        ttv_bindings_dir: an extra folder of installed distributions, such as ``pip install --target`` makes.
    """

    modality = "ttv"

    def __init__(self, ttv_bindings_dir: str | Path | None = None) -> None:
        super().__init__(ttv_bindings_dir)
        self.ttv_bindings_dir = ttv_bindings_dir
