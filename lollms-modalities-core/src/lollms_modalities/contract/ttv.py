"""Video: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.text import check_prompt
from lollms_modalities.contract.verbs import verb

if TYPE_CHECKING:
    from lollms_modalities.media.video import Video


class LollmsTTVBinding(LollmsBinding):
    """Turns a prompt into a video."""

    modality = "ttv"

    @abstractmethod
    @verb("Video", content="prompt")
    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        """Film ``prompt``.

        Args:
            prompt: what the video should be like.
            kwargs: the binding's options; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``.

        Returns:
            MP4 (H.264) unless ``output_format`` says otherwise.
        """

    @abstractmethod
    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the models that the binding knows. Loads none."""

    if TYPE_CHECKING:

        async def agenerate_video(self, prompt: str, **kwargs: Any) -> Video: ...

    def _check_content(self, kind: str, value: Any) -> Any:
        return check_prompt(value) if kind == "prompt" else value
