"""The binding that makes images larger, and cuts them out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    CancelToken,
    Capabilities,
    Image,
    LollmsTTIBinding,
    ModelCache,
    OptionError,
    ProgressCallback,
    Scale,
    UnsupportedError,
    current_call,
    option,
    report_progress,
    setting,
    verb,
)

from lollms_enhance import models
from lollms_enhance.cutting import cut_out, loaded_cutters
from lollms_enhance.enlarging import enlarged, loaded_enlargers
from lollms_enhance.models import Enlarger

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class EnlargeOptions(CallOptions):
    """Of ``upscale_image``."""

    scale: Scale = None
    model: str | None = option(None, description="Name or path of the network; the setting's when empty.")
    tile: int = option(128, description="Pixels of a side of what is done at once.", ge=32, le=2048)


class CutOptions(CallOptions):
    """Of ``remove_background``."""

    model: str | None = option(None, description="Name or path of the network; the setting's when empty.")
    smooth: bool = option(False, description="Smooth the edge.")
    matting: bool = option(False, description="Look along the edge for what is half transparent, such as hair: slow.")
    decontaminate: bool = option(False, description="Take the background's colour out of the edge.")


class _Loaded(NamedTuple):
    enlargers: ModelCache[Enlarger, Any]
    cutters: ModelCache[Path, Any]

    def clear(self) -> None:
        """Let go of both."""
        self.enlargers.clear()
        self.cutters.clear()


class EnhanceTTIBinding(LollmsTTIBinding):
    """Images made larger with Real-ESRGAN on ncnn, and cut out of their background with rembg; it draws none.

    ``enlarger`` and ``cutter`` are paths, or names of files in ``enhance_path``. Real-ESRGAN's networks come with the
    extra ``lollms-enhance[realesrgan]``; ``download_model`` fetches those that cut out.
    """

    engine = "ncnn"
    capabilities = Capabilities()

    class Settings(BindingSettings):
        enlarger: str | None = setting(
            None, description="Network that enlarges: the path of a .param file, or its name.", kind="path"
        )
        cutter: str | None = setting(
            None, description="Network that cuts out: the path of an .onnx file, or its name.", kind="path"
        )
        enhance_path: Path | None = setting(
            None, description="Folder of networks; if empty, enhance in lollms/models in the folder for data."
        )
        n_threads: int = setting(
            min(4, os.cpu_count() or 1), description="Threads of the engines.", ge=1, le=256, reload=True
        )
        release_url: str = setting(models.RELEASE_URL, description="Where download_model() finds what cuts out.")

    class Options(CallOptions):
        """Of ``generate_image``, which it has not."""

    settings: Settings

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        raise UnsupportedError(
            "enhance draws no images: it enlarges them, and removes their background.",
            hint="Use upscale_image or remove_background, or a binding that draws.",
        )

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The networks that are there, and what each is for."""
        larger = [(name, "enlarges") for name in models.list_enlargers(self._folder)]
        cut = [(name, "removes the background") for name in models.list_cutters(self._folder)]
        return [{"name": name, "caption": name, "help": what} for name, what in [*larger, *cut]]

    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the networks that are there, and of those that ``download_model`` fetches."""
        names = [*models.list_enlargers(self._folder), *models.list_cutters(self._folder), *models.CUTTERS]
        return list(dict.fromkeys(names))

    @verb("Image", content="image", options=EnlargeOptions)
    def upscale_image(self, image: Any, scale: float | None = None, **kwargs: Any) -> Image:
        """``image`` enlarged; transparency is kept. For less than the network's own scale it is made smaller again."""
        import numpy as np
        from PIL import Image as pillow

        options = EnlargeOptions(**{**kwargs, "scale": scale})
        how = models.find_enlarger(options.model or self.settings.enlarger, self._folder)
        wanted = float(options.scale or how.scale)
        if wanted > how.scale:
            raise OptionError(
                f"scale={wanted:g}: {how.param.stem} enlarges {how.scale} times.",
                hint="Choose another network with model=, or call it twice.",
                names=["scale"],
            )
        current_call().record(model=how.param.stem, extra={"scale": wanted})
        before = _opened(image)
        loaded: _Loaded = self.model
        with loaded.enlargers.using(how) as net:
            made = enlarged(net, how, np.asarray(before.convert("RGB")), options.tile, self.settings.n_threads)
        after = pillow.fromarray(made)
        if "A" in before.getbands():
            after.putalpha(before.getchannel("A").resize(after.size, pillow.Resampling.LANCZOS))
        if wanted < how.scale:
            size = round(before.width * wanted), round(before.height * wanted)
            after = after.resize(size, pillow.Resampling.LANCZOS)
        return Image.from_pil(after)

    @verb("Image", content="image", options=CutOptions)
    def remove_background(self, image: Any, **kwargs: Any) -> Image:
        """What stands before the background of ``image``, as PNG with an alpha channel."""
        options = CutOptions(**kwargs)
        path = models.find_cutter(options.model or self.settings.cutter, self._folder)
        current_call().record(model=path.stem, engine="rembg", engine_version=_version("rembg"))
        before = _opened(image).convert("RGB")
        loaded: _Loaded = self.model
        report_progress(0, 1)
        session = loaded.cutters.get(path)
        made = cut_out(
            session, before, smooth=options.smooth, matting=options.matting, decontaminate=options.decontaminate
        )
        report_progress(1, 1)
        return Image.from_pil(made)

    def download_model(
        self,
        name: str = models.CUTTER,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Fetch a network that cuts out, such as ``isnet-general-use`` (179 MB), into ``enhance_path``; by its MD5.

        Raises:
            SettingsError: the folder cannot be made.
            ModelNotFoundError: there is none of that name.
            ServiceError: it cannot be fetched, or came damaged.
        """
        from lollms_modalities.kit import download, folder_for_downloads

        md5 = models.check_cutter(name)
        folder = folder_for_downloads(self._folder, "models", "enhance_path")
        with self.task("download_model", progress=progress, cancel=cancel, timeout=timeout):
            return download(f"{self.settings.release_url.rstrip('/')}/{name}.onnx", folder / f"{name}.onnx", md5=md5)

    def load_model(self) -> _Loaded:
        threads = self.settings.n_threads
        return _Loaded(loaded_enlargers(threads), loaded_cutters(threads))

    @property
    def _folder(self) -> Path:
        return self.settings.enhance_path or models.own_folder()


def _opened(image: Path | bytes) -> Picture:
    """The image as it stands: turned as its camera says."""
    from PIL import ImageOps

    data = image.read_bytes() if isinstance(image, Path) else image
    upright = ImageOps.exif_transpose(Image(data).to_pil())
    return upright.convert("RGBA") if "transparency" in upright.info or upright.mode in ("PA", "LA") else upright


def _version(distribution: str) -> str:
    from importlib.metadata import version

    return version(distribution)
