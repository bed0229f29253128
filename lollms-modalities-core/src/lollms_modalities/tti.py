"""Images: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from lollms_modalities._text import check_prompt
from lollms_modalities.binding import LollmsBinding
from lollms_modalities.manager import BindingManager
from lollms_modalities.verbs import verb

if TYPE_CHECKING:
    from pathlib import Path

    from lollms_modalities.media import Image


class LollmsTTIBinding(LollmsBinding):
    """Turns a prompt into an image."""

    modality = "tti"

    @abstractmethod
    @verb("Image", content="prompt")
    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        """Draw ``prompt``.

        Args:
            prompt: what to show.
            negative_prompt: what not to show.
            width, height: in pixels; the settings ``default_width`` and ``default_height``, where the binding has them,
                hold when these are left out.
            kwargs: the binding's options; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``.

        Returns:
            PNG unless ``output_format`` says otherwise.
        """

    @abstractmethod
    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The services or models that draw, each with ``name``, ``caption`` and ``help``."""

    if TYPE_CHECKING:

        async def agenerate_image(
            self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
        ) -> Image: ...

    def _check_content(self, kind: str, value: Any) -> Any:
        return check_prompt(value) if kind == "prompt" else value


class LollmsTTIBindingManager(BindingManager[LollmsTTIBinding]):
    """Finds and makes TTI bindings.

    Args:
        tti_bindings_dir: an extra folder of installed distributions, such as ``pip install --target`` makes.
    """

    modality = "tti"

    def __init__(self, tti_bindings_dir: str | Path | None = None) -> None:
        super().__init__(tti_bindings_dir)
        self.tti_bindings_dir = tti_bindings_dir
