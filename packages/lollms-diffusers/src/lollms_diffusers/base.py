"""What the bindings for images, video and music share: settings of the model, where it lies, how it is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    LollmsBinding,
    LollmsError,
    Seed,
    SettingsError,
    SharedModel,
    current_call,
    option,
    setting,
)
from lollms_modalities.kit import hub
from lollms_modalities.kit.torch import Device, Precision, pick_device, pick_dtype, translate_error, use_threads
from pydantic import SecretStr

from lollms_diffusers.engine import Engine
from lollms_diffusers.loading import MARKS, WHAT, How, free, load
from lollms_diffusers.loras import Source, find_lora


class PipelineSettings(BindingSettings):
    """Of each binding; each adds ``model_id_or_path`` and the sizes."""

    lollms_paths: dict[str, Path | None] = setting(
        {},
        description="Where models lie: personal_models_path (in its diffusers_models), models_zoo_path.",
        reload=True,
    )
    models_path: Path | None = setting(None, description="Another folder of models.", shared=True, reload=True)
    device: Device = setting("auto", description="auto, cpu, cuda, cuda:1 or mps.", reload=True)
    torch_dtype_str: Precision = setting(
        "auto", description="Precision; auto is half on a GPU and single elsewhere.", reload=True
    )
    use_safetensors: bool = setting(
        True, description="Load safetensors only; else also pickles that hold nothing but numbers.", reload=True
    )
    scheduler_name: str = setting("default", description="Scheduler; the default is the model's own.", min_length=1)
    num_inference_steps: int | None = setting(
        None, description="Denoising steps; the model's own number when empty.", ge=1, le=10_000
    )
    guidance_scale: float | None = setting(
        None, description="How closely the prompt is followed; the model's own when empty.", ge=0, le=1000
    )
    default_width: int | None = setting(None, description="Pixels; the model's own when empty.", ge=1, le=16384)
    default_height: int | None = setting(None, description="Pixels; the model's own when empty.", ge=1, le=16384)
    seed: Seed = setting(None, description="Repeats a result; drawn anew for each call when empty or -1.")
    loras: dict[str, float] = setting(
        {},
        description="LoRAs by path or name, each with its weight, such as {'style.safetensors': 0.8}.",
        kind="path",
    )
    enable_cpu_offload: bool = setting(
        False, description="On a GPU: keep the parts that do not work in main memory.", reload=True
    )
    enable_sequential_cpu_offload: bool = setting(
        False, description="On a GPU: the same layer by layer; least memory, slow.", reload=True
    )
    enable_xformers: bool = setting(False, description="Attention by xformers, which must be installed.", reload=True)
    attention_backend: str | None = setting(
        None, description="Attention of the model, by diffusers' name, such as native or flash.", reload=True
    )
    enable_compile: bool = setting(
        False, description="Compile the model with torch.compile: slow at first, then quicker.", reload=True
    )
    hf_variant: str | None = setting(None, description="Variant of the files, such as fp16.", reload=True)
    hf_token: SecretStr | None = setting(None, description="Token for the model hub.", reload=True)
    local_files_only: bool = setting(False, description="Never fetch a model.", reload=True)
    pipeline_class_name: str | None = setting(
        None, description="Class of diffusers to load the model with; the model's own when empty.", reload=True
    )
    n_threads: int | None = setting(
        None, description="Threads of torch in this process; as torch has it when empty.", ge=1, le=256
    )


class PipelineOptions(CallOptions):
    """Of every verb."""

    width: int | None = option(None, description="Width in pixels; the model's own when empty.", ge=1, le=16384)
    height: int | None = option(None, description="Height in pixels; the model's own when empty.", ge=1, le=16384)
    num_inference_steps: int | None = option(
        None, description="Denoising steps; the model's own number when empty.", ge=1, le=10_000
    )
    guidance_scale: float | None = option(
        None, description="How closely the prompt is followed; the model's own when empty.", ge=0, le=1000
    )
    seed: Seed = None
    scheduler_name: str = option("default", description="Scheduler; the default is the model's own.", min_length=1)
    loras: dict[str, float] = option({}, description="LoRAs by path or name, each with its weight.", kind="path")


class DiffusersBinding(LollmsBinding):
    """The parts that all have.

    Attributes:
        known_models: repositories that many use, for lists.
    """

    engine = "diffusers"
    known_models: tuple[str, ...] = ()
    if TYPE_CHECKING:
        settings: Any

    def __init__(
        self, config: Mapping[str, Any] | None = None, lollms_paths: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        """Settings come in ``config``, as keyword arguments, or some in each."""
        if not isinstance(config, (Mapping, type(None))):
            raise SettingsError(
                f"config is {type(config).__name__}.", hint="Give a dict of settings.", names=["config"]
            )
        if lollms_paths is not None:
            settings["lollms_paths"] = lollms_paths
        twice = sorted({*(config or {})} & settings.keys())
        if twice:
            raise SettingsError(
                f"{', '.join(map(repr, twice))}: given in config and as a keyword.", hint="Give each once.", names=twice
            )
        super().__init__(**(config or {}), **settings)
        self._offload()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        made = inspect.signature(cls)
        first = inspect.Parameter("config", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
        paths = made.parameters.get("lollms_paths")
        if paths is not None and "config" not in made.parameters:
            rest = [p.replace(kind=p.KEYWORD_ONLY) for p in made.parameters.values() if p is not paths]
            cls.__signature__ = made.replace(parameters=[first, paths, *rest])  # type: ignore[attr-defined]

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models in the folders of ``lollms_paths`` and ``models_path``, and repositories that many use."""
        found = hub.list_models(self._folders(), MARKS)
        return [*(n for n in found if not n.startswith("diffusers_models/")), *self.known_models]

    def load_model(self) -> SharedModel[Engine]:
        settings = self.settings
        device = pick_device(settings.device)
        how = How(
            model=self._found(),
            device=device,
            dtype=pick_dtype(settings.torch_dtype_str, device),
            pipeline_class_name=settings.pipeline_class_name,
            variant=settings.hf_variant,
            use_safetensors=settings.use_safetensors,
            safety_checker=getattr(settings, "safety_checker_on", True),
            local_files_only=settings.local_files_only,
            offload=self._offload(),
            xformers=settings.enable_xformers,
            attention_backend=settings.attention_backend,
            compile=settings.enable_compile,
        )
        token = self._token()
        return SharedModel(
            key=("diffusers", how),
            load=lambda: Engine(load(how, token), str(how.model)),
            free=lambda engine: free(engine, device.type),
        )

    def translate_error(self, error: Exception) -> LollmsError | None:
        return translate_error(error)

    # -- the parts of a call -----------------------------------------------------------------------------------------

    def _prepare(self, pipe: Any, options: Any) -> None:
        """Threads, scheduler, LoRAs; and what provenance says."""
        if self.settings.n_threads is not None:
            use_threads(self.settings.n_threads)
        engine: Engine = self.model
        engine.prepare(pipe, options.scheduler_name, options.loras, self._find_lora)
        extra = {"pipeline": type(pipe).__name__, "scheduler": type(getattr(pipe, "scheduler", None)).__name__}
        current_call().record(model=engine.name, extra=extra)

    def _offload(self) -> Literal["", "model", "sequential"]:
        whole, layers = self.settings.enable_cpu_offload, self.settings.enable_sequential_cpu_offload
        if whole and layers:
            raise SettingsError(
                "enable_cpu_offload and enable_sequential_cpu_offload were both asked for.",
                hint="Choose one: the sequential one needs least memory, the other is quicker.",
                names=["enable_cpu_offload", "enable_sequential_cpu_offload"],
            )
        return "model" if whole else "sequential" if layers else ""

    def _found(self) -> Path | str:
        found = hub.find_model(self.settings.model_id_or_path, folders=self._folders(), marks=MARKS, what=WHAT)
        return found.resolve() if isinstance(found, Path) else found

    def _folders(self) -> list[Path]:
        paths = self.settings.lollms_paths
        personal, zoo = paths.get("personal_models_path"), paths.get("models_zoo_path")
        folders = [] if personal is None else [personal / "diffusers_models"]
        folders += [] if zoo is None else [zoo / "diffusers_models", zoo]
        return folders + ([] if self.settings.models_path is None else [self.settings.models_path])

    def _find_lora(self, name: str) -> Source:
        hub_arguments = {"local_files_only": self.settings.local_files_only, "token": self._token()}
        return Source(find_lora(name, self._folders()), hub_arguments)

    def _token(self) -> str | None:
        token = self.settings.hf_token
        return None if token is None else str(token.get_secret_value())
