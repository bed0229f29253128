"""A pipeline from its folder, or from the hub, onto the device."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lollms_modalities import BindingDependencyError, ModelNotFoundError, SettingsError, UnsupportedError
from lollms_modalities.kit import near_miss, relay_logs, without_bars
from lollms_modalities.kit.hub import explain_loading

MARKS = ("model_index.json",)
WHAT = "Diffusers model"


class How(NamedTuple):
    """How a model is loaded. Bindings whose models are loaded alike share one.

    Attributes:
        model: a folder, or the name of a repository.
        device, dtype: torch's.
        offload: "model" or "sequential" keeps the parts that do not work on the processor; "" is none.
    """

    model: Path | str
    device: Any
    dtype: Any
    pipeline_class_name: str | None
    variant: str | None
    use_safetensors: bool
    safety_checker: bool
    local_files_only: bool
    offload: Literal["", "model", "sequential"]
    xformers: bool
    attention_backend: str | None
    compile: bool


def load(how: How, token: str | None) -> Any:
    """The pipeline.

    Raises:
        ModelNotFoundError: it cannot be had, is damaged, or wants to run code of its own.
        SettingsError: the class or the attention back end is not known.
        BindingDependencyError: the device or a library for what was asked is missing.
        UnsupportedError: the model has no other attention than torch's own.
    """
    if how.offload and how.device.type == "cpu":
        raise BindingDependencyError(
            "Offloading to the processor was asked for, and the model runs on the processor.",
            hint="Turn enable_cpu_offload and enable_sequential_cpu_offload off, or use a machine with a GPU.",
        )
    import diffusers
    import transformers

    relay_logs("diffusers", "transformers")
    bars = (diffusers.utils.logging, transformers.utils.logging)
    hub: dict[str, Any] = {"local_files_only": how.local_files_only, "token": token}
    described = explain_loading(how.model, WHAT, mark="model_index.json", local_files_only=how.local_files_only)
    with without_bars(*bars), described:
        cls = _pipeline_class(how.pipeline_class_name)
        config = diffusers.DiffusionPipeline.load_config(str(how.model), **hub)
        _check_no_code(how.model, config)
        parts: dict[str, Any] = {}
        if not how.safety_checker and "safety_checker" in config:
            parts = {"safety_checker": None, "requires_safety_checker": False}
        pipe = cls.from_pretrained(
            str(how.model),
            dtype=how.dtype,
            variant=how.variant,
            use_safetensors=how.use_safetensors or None,  # None: pickles too, for weights alone
            trust_remote_code=False,
            **parts,
            **hub,
        )
    pipe.set_progress_bar_config(disable=True)
    _place(pipe, how)
    return pipe


def free(engine: object, kind: str) -> None:
    """Give the memory of a device back, when the last user has let go of what is in it."""
    vars(engine).clear()
    torch = sys.modules.get("torch")  # when Python ends, nothing can be imported any more
    if kind != "cpu" and torch is not None:
        gc.collect()
        getattr(torch, kind).empty_cache()


def _pipeline_class(name: str | None) -> Any:
    import diffusers

    if name is None:
        return diffusers.DiffusionPipeline  # the class that the model itself names
    cls = getattr(diffusers, name, None) if name.isidentifier() else None
    if not isinstance(cls, type) or not issubclass(cls, diffusers.DiffusionPipeline):
        known = [n for n in dir(diffusers) if n.endswith("Pipeline")]
        raise SettingsError(
            f"setting 'pipeline_class_name': diffusers {diffusers.__version__} has no pipeline {name!r:.60}.",
            hint=near_miss(name, known, "pipelines"),
            names=["pipeline_class_name"],
        )
    return cls


def _check_no_code(model: Path | str, config: dict[str, Any]) -> None:
    """Refuse a model with other code than that of diffusers and transformers, before any of it runs."""
    import diffusers

    for name, part in config.items():
        library = part[0] if isinstance(part, (list, tuple)) and part else None
        known = library in ("diffusers", "transformers") or hasattr(diffusers.pipelines, str(library))
        if isinstance(library, str) and (name == "_class_name" or not known):
            raise ModelNotFoundError(
                f"The {WHAT} {str(model)!r} brings code of its own ({name}: {library}), which is never run.",
                hint="Use a model that diffusers itself knows.",
            )


def _place(pipe: Any, how: How) -> None:
    """Put the pipeline where it runs, as it is to run."""
    if how.offload == "model":
        pipe.enable_model_cpu_offload(device=how.device)
    elif how.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=how.device)
    else:
        pipe.to(how.device)
    if how.xformers:
        try:
            pipe.enable_xformers_memory_efficient_attention()
        except (ImportError, ValueError) as exc:
            raise BindingDependencyError(
                f"enable_xformers was asked for: {str(exc).strip().splitlines()[0]}",
                hint="Leave it off: torch's own attention is used then, which is as quick.",
            ) from exc
    for denoiser in denoisers(pipe):
        if how.attention_backend is not None:
            _set_attention(denoiser, how.attention_backend)
        if how.compile:
            denoiser.compile()


def denoisers(pipe: Any) -> list[Any]:
    """The parts that work at each step."""
    parts = (getattr(pipe, name, None) for name in ("transformer", "transformer_2", "unet"))
    return [part for part in parts if part is not None]


def _set_attention(denoiser: Any, backend: str) -> None:
    from diffusers.models.attention_dispatch import attention_backend

    try:
        # Which leaves it to what is loaded later in this process, too; inside this it is put back as it was.
        with attention_backend("native"):
            denoiser.set_attention_backend(backend)
    except ValueError as exc:
        raise SettingsError(f"setting 'attention_backend': {exc}.", names=["attention_backend"]) from exc
    except (ImportError, RuntimeError) as exc:
        raise BindingDependencyError(
            f"attention_backend={backend!r} cannot be had here: {str(exc).strip().splitlines()[0]}",
            hint="Leave it out: torch's own attention is used then.",
        ) from exc
    if backend.lower() != "native" and not any(map(_takes_attention, denoiser.modules())):
        raise UnsupportedError(
            f"attention_backend={backend!r} was asked for: {type(denoiser).__name__} has no other than torch's own.",
            hint="Leave it out.",
        )


def _takes_attention(module: Any) -> bool:
    """Whether the kind of attention that was set is heeded there: the U-Nets of Stable Diffusion and SDXL do not."""
    return getattr(getattr(module, "processor", None), "_attention_backend", None) is not None
