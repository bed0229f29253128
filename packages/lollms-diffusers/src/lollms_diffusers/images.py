"""The binding for images."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import (
    Capabilities,
    Count,
    EditOptions,
    Image,
    ImageInput,
    LollmsTTIBinding,
    MediaInput,
    OptionError,
    current_call,
    option,
    read_media,
    setting,
    verb,
)

from lollms_diffusers import engine as engines
from lollms_diffusers.base import DiffusersBinding, PipelineOptions, PipelineSettings
from lollms_diffusers.enlarging import EnlargeOptions, enlarger_of, padded
from lollms_diffusers.loading import MARKS
from lollms_diffusers.previews import preview

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class ImageOptions(PipelineOptions):
    """Of every verb."""

    true_cfg_scale: float | None = option(
        None, description="Where the model has it (Flux): above 1 it heeds the negative prompt.", ge=0, le=1000
    )
    preview_every: int = option(
        0,
        description="A preview with the progress every so many steps; each takes a decoding. 0 is none.",
        ge=0,
        le=10_000,
    )


class ImagesOptions(ImageOptions):
    """Of ``generate_images``."""

    n: Count = 1
    batch_size: int = option(8, description="How many are drawn at once.", ge=1, le=1024)


class ChangeOptions(ImagesOptions, EditOptions):
    """Of ``edit_images``."""

    strength: float | None = option(
        None, description="How much is changed, up to 1; the model's own when empty.", gt=0, le=1
    )


class DiffusersTTIBinding_Impl(DiffusersBinding, LollmsTTIBinding):
    """Images from any text-to-image model of Diffusers: Stable Diffusion, SDXL, Flux and many more.

    ``model_id_or_path`` is a folder's path, a folder in ``lollms_paths`` or ``models_path``, or a repository of the
    model hub, which is fetched when first used.
    """

    capabilities = Capabilities(seed=True, output_formats=("png", "jpeg", "webp"))
    known_models = (
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "stabilityai/stable-diffusion-3.5-medium",
        "black-forest-labs/FLUX.1-schnell",
        "black-forest-labs/FLUX.1-dev",
        "black-forest-labs/FLUX.2-klein-4B",
        "Tongyi-MAI/Z-Image-Turbo",
        "Qwen/Qwen-Image",
        "Qwen/Qwen-Image-Edit-2509",
        "stabilityai/stable-diffusion-x4-upscaler",
        "stabilityai/sd-x2-latent-upscaler",
    )
    Options = ImageOptions

    class Settings(PipelineSettings):
        model_id_or_path: str = setting(
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            description="Path or name of the model.",
            reload=True,
            env="HF_TOKEN",
        )
        safety_checker_on: bool = setting(
            True, description="Let the model's safety checker, where it has one, black out images.", reload=True
        )
        batch_size: int = setting(8, description="How many images are drawn at once.", ge=1, le=1024)

    settings: Settings

    # -- verbs -------------------------------------------------------------------------------------------------------

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int | None = None, height: int | None = None, **kwargs: Any
    ) -> Image:
        return self._generate(prompt, negative_prompt, ImagesOptions(width=width, height=height, **kwargs))[0]

    @verb("Image", content="prompt", options=ImagesOptions)
    def generate_images(self, prompt: str, negative_prompt: str = "", **kwargs: Any) -> list[Image]:
        """``n`` images of one prompt, drawn in batches; the seed of each is one more than that of the one before."""
        return self._generate(prompt, negative_prompt, ImagesOptions(**kwargs))

    @verb("Image", content="images", options=ChangeOptions)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        strength: float | None = None, **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        """``images`` changed as ``prompt`` says, only where ``mask`` allows it if there is one; ``n`` of them.

        The result is ``width`` by ``height``; without these as large as the first image, or the nearest that the model
        makes. Most models take one image, brought to that size; those that take several are given each in its shape.
        """
        options = ImagesOptions(**kwargs)
        engine: engines.Engine = self.model
        pipe = engine.to_change(masked=mask is not None)
        engines.check_count(pipe, len(images))
        before = [picture(image) for image in images]
        step = engines.multiple(pipe)
        width = options.width or engines.fitted(before[0].width, step)
        height = options.height or engines.fitted(before[0].height, step)
        engines.check_size(pipe, width, height)
        sizes = [(engines.fitted(one.width, step), engines.fitted(one.height, step)) for one in before]
        if not engines.takes_several(pipe):
            sizes = [(width, height)]
        resized = [one.resize(size) for one, size in zip(before, sizes, strict=True)]
        if strength is not None and engines.takes_several(pipe):
            warnings.warn(f"{type(pipe).__name__} has no strength: it is ignored, the prompt alone says.", stacklevel=2)
            strength = None
        given: dict[str, Any] = {"image": resized[0] if len(resized) == 1 else resized, "strength": strength}
        if mask is not None:
            given["mask_image"] = where_transparent(mask).resize((width, height), 0)
        sized = {
            name: side for name, side in (("width", width), ("height", height)) if name in engines.parameters(pipe)
        }
        made = self._draw(pipe, prompt, negative_prompt, options, {**given, **sized})
        if mask is not None:
            # The decoder changes a little everywhere: what the mask keeps comes from the image itself.
            made = [_laid_over(one, resized[0], given["mask_image"]) for one in made]
        return [_encoded(one) for one in made]

    @verb("Image", content="image", options=EnlargeOptions)
    def upscale_image(self, image: ImageInput, scale: float | None = None, **kwargs: Any) -> Image:
        """``image`` enlarged, by a model that does: Stable Diffusion's for 4 times, its latent one for 2 times."""
        import torch

        options = EnlargeOptions(**{**kwargs, "scale": scale})
        engine: engines.Engine = self.model
        pipe = engine.pipe
        how = enlarger_of(pipe)
        if options.scale not in (None, how.scale):
            raise OptionError(
                f"scale={options.scale:g}: {type(pipe).__name__} enlarges {how.scale} times.",
                hint="Leave scale out, or load another model.",
                names=["scale"],
            )
        before = picture(image)
        given = engines.taken(
            pipe,
            prompt=options.prompt,
            image=padded(before, how.step),
            num_inference_steps=options.num_inference_steps,
            guidance_scale=options.guidance_scale,
            noise_level=options.noise_level,
        )
        given |= engines.negative(pipe, options.negative_prompt, given)
        self._prepare(pipe, options)
        current_call().record(extra={"scale": how.scale})
        generator = torch.Generator("cpu").manual_seed(options.seed or 0)
        made = engines.run(pipe, {**given, "generator": generator}).images[0]
        return _encoded(made.crop((0, 0, before.width * how.scale, before.height * how.scale)))

    def _generate(self, prompt: str, negative_prompt: str, options: ImagesOptions) -> list[Image]:
        engine: engines.Engine = self.model
        pipe = engine.to_draw()
        engines.check_size(pipe, options.width, options.height)
        given = {"width": options.width, "height": options.height}
        return [_encoded(one) for one in self._draw(pipe, prompt, negative_prompt, options, given)]

    def _draw(
        self, pipe: Any, prompt: str, negative_prompt: str, options: ImagesOptions, given: dict[str, Any]
    ) -> list[Picture]:
        """The engine calls, a batch in each."""
        import torch

        arguments = engines.taken(
            pipe,
            prompt=prompt,
            num_inference_steps=options.num_inference_steps,
            guidance_scale=options.guidance_scale,
            true_cfg_scale=options.true_cfg_scale,
            **given,
        )
        arguments |= engines.negative(pipe, negative_prompt, arguments)
        engines.check_strength(pipe, arguments)
        engines.warn_of_cut(pipe, prompt)
        self._prepare(pipe, options)

        def shown(step: int, latents: Any) -> Image | None:
            wanted = options.preview_every and step % options.preview_every == 0
            return preview(pipe, latents, arguments.get("width"), arguments.get("height")) if wanted else None

        seeds = [((options.seed or 0) + number) % 2**63 for number in range(options.n)]
        batches = [seeds[n : n + options.batch_size] for n in range(0, options.n, options.batch_size)]
        pictures: list[Picture] = []
        flagged = 0
        for number, batch in enumerate(batches):
            generators = [torch.Generator("cpu").manual_seed(seed) for seed in batch]
            several = {"num_images_per_prompt": len(batch)} if len(batch) > 1 else {}
            made = engines.run(
                pipe, {**arguments, **several, "generator": generators}, engines.Part(number, len(batches)), shown
            )
            pictures += made.images
            flagged += sum(map(bool, getattr(made, "nsfw_content_detected", None) or ()))
        current_call().record(extra={"seeds": seeds})
        if flagged:
            current_call().record(extra={"safety_checker": f"{flagged} of {options.n} blacked out"})
            warnings.warn(
                f"The model's safety checker blacked out {flagged} of {options.n} images.",
                stacklevel=2,
            )
        return pictures

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The model, with what is known of it once it is loaded; then the other models in the folders."""
        current = self.settings.model_id_or_path
        if self.loaded:
            facts = self.model.facts()
            said = "; ".join(f"{name}: {value}" for name, value in facts.items())
            rows = [{"name": current, "caption": facts["pipeline"], "help": f"Loaded. {said}.", **facts}]
        else:
            rows = [{"name": current, "caption": self._caption(current), "help": "Not loaded."}]
        others = [name for name in self.list_models() if name != current and name not in self.known_models]
        return rows + [{"name": name, "caption": self._caption(name), "help": "Not loaded."} for name in others]

    def _caption(self, name: str) -> str:
        """The pipeline that the folder of a model names; the name itself where there is no such folder."""
        for folder in (Path(), *self._folders()):
            try:
                return str(json.loads((folder / name / MARKS[0]).read_text("utf-8"))["_class_name"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return name


def _encoded(image: Picture) -> Image:
    """As it was asked for at once, rather than as PNG first."""
    return Image.from_pil(image, current_call().output_format or "png")


def picture(media: MediaInput) -> Picture:
    """An image that was given, upright, in RGB."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(Image(read_media(media)).to_pil()).convert("RGB")


def where_transparent(media: MediaInput) -> Picture:
    """A mask that is white where the given one is transparent; one without transparency is white where it is white."""
    from PIL import ImageOps

    mask = ImageOps.exif_transpose(Image(read_media(media)).to_pil())
    if "A" in mask.getbands() or "transparency" in mask.info:
        return ImageOps.invert(mask.convert("RGBA").getchannel("A"))
    return mask.convert("L")


def _laid_over(made: Picture, kept: Picture, mask: Picture) -> Picture:
    from PIL import Image as pillow

    return pillow.composite(made.convert("RGB"), kept, mask)
