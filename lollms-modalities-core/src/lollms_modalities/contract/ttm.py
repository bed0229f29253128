"""Music: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.text import check_prompt
from lollms_modalities.contract.verbs import verb

if TYPE_CHECKING:
    from lollms_modalities.media.audio import Audio


class LollmsTTMBinding(LollmsBinding):
    """Turns a prompt into music or sounds."""

    modality = "ttm"

    @abstractmethod
    @verb("Audio", content="prompt")
    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        """Compose ``prompt``.

        Args:
            prompt: what the music should be like.
            kwargs: the binding's options; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``.

        Returns:
            16-bit PCM WAV unless ``output_format`` says otherwise.
        """

    @abstractmethod
    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the models that the binding knows. Loads none."""

    if TYPE_CHECKING:

        async def agenerate_music(self, prompt: str, **kwargs: Any) -> Audio: ...

    def _check_content(self, kind: str, value: Any) -> Any:
        return check_prompt(value) if kind == "prompt" else value
