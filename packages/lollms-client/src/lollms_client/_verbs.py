"""What a client does with the bindings that it has: one verb of each kind; a binding, or why there is none."""

from __future__ import annotations

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, overload

    from lollms_modalities.contract.editing import ImageInput
    from lollms_modalities.contract.stt import LollmsSTTBinding
    from lollms_modalities.contract.tti import LollmsTTIBinding
    from lollms_modalities.contract.ttm import LollmsTTMBinding
    from lollms_modalities.contract.tts import LollmsTTSBinding
    from lollms_modalities.contract.ttv import LollmsTTVBinding
    from lollms_modalities.errors import LollmsError
    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.image import Image
    from lollms_modalities.media.input import MediaInput
    from lollms_modalities.media.transcript import Transcript
    from lollms_modalities.media.video import Video

_MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")


class Verbs:
    """A base of ``LollmsClient``."""

    unavailable: dict[str, LollmsError]

    if TYPE_CHECKING:

        @overload
        def require(self, modality: Literal["tts"]) -> LollmsTTSBinding: ...
        @overload
        def require(self, modality: Literal["tti"]) -> LollmsTTIBinding: ...
        @overload
        def require(self, modality: Literal["stt"]) -> LollmsSTTBinding: ...
        @overload
        def require(self, modality: Literal["ttm"]) -> LollmsTTMBinding: ...
        @overload
        def require(self, modality: Literal["ttv"]) -> LollmsTTVBinding: ...

    def require(self, modality: str) -> Any:
        """The binding of a modality, as ``lc.tts`` has it, and never None.

        Args:
            modality: "tts", "tti", "stt", "ttm" or "ttv".

        Raises:
            BindingUnavailableError: there is none; the error that ``unavailable`` holds, with what to do.
            ValueError: no such modality.
        """
        if modality not in _MODALITIES:
            raise ValueError(f"{modality!r} is no modality. There are {', '.join(_MODALITIES)}.")
        binding = getattr(self, modality)
        if binding is None:
            raise self.unavailable[modality]
        return binding

    # -- one verb of each kind, as in 1.x ----------------------------------------------------------------------------

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        """``lc.tts.generate_audio``. Without such a binding the error that ``unavailable`` holds is raised."""
        return self.require("tts").generate_audio(text, voice, **kwargs)

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int | None = None, height: int | None = None, **kwargs: Any
    ) -> Image:
        """``lc.tti.generate_image``. Without such a binding the error that ``unavailable`` holds is raised."""
        kwargs |= {"width": width, "height": height}
        return self.require("tti").generate_image(prompt, negative_prompt, **kwargs)

    def edit_image(
        self, images: ImageInput | Sequence[ImageInput], prompt: str, negative_prompt: str = "",
        mask: ImageInput | None = None, **kwargs: Any,
    ) -> Image:  # fmt: skip
        """``lc.tti.edit_image``. Without such a binding the error that ``unavailable`` holds is raised."""
        return self.require("tti").edit_image(images, prompt, negative_prompt, mask, **kwargs)

    def transcribe_audio(
        self, audio_path: MediaInput | None = None, model: str | None = None, **kwargs: Any
    ) -> Transcript:
        """``lc.stt.transcribe_audio``. Without such a binding the error that ``unavailable`` holds is raised."""
        if audio_path is not None:  # else it is in kwargs as audio_source, its name in 1.x
            kwargs["audio_path"] = audio_path
        return self.require("stt").transcribe_audio(model=model, **kwargs)

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        """``lc.ttm.generate_music``. Without such a binding the error that ``unavailable`` holds is raised."""
        return self.require("ttm").generate_music(prompt, **kwargs)

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        """``lc.ttv.generate_video``. Without such a binding the error that ``unavailable`` holds is raised."""
        return self.require("ttv").generate_video(prompt, **kwargs)
