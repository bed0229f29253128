"""A loaded pipeline: others that share its weights, what it takes, and the engine call."""

from __future__ import annotations

import functools
import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lollms_modalities import OptionError, UnsupportedError, report_progress
from lollms_modalities.kit import near_miss

from lollms_diffusers import schedulers
from lollms_diffusers.enlarging import refuse_enlarger
from lollms_diffusers.loras import Loras


class Engine:
    """A pipeline in memory. A call uses it alone.

    Attributes:
        pipe: the pipeline as it was loaded.
        name: of its model.
    """

    def __init__(self, pipe: Any, name: str) -> None:
        self.pipe = pipe
        self.name = name
        self._others: dict[str, Any] = {}
        self._scheduler = pipe.scheduler if hasattr(pipe, "scheduler") else None
        self._schedulers: dict[str, Any] = {"default": self._scheduler}
        self._loras = Loras(pipe)

    # -- pipelines that share the weights ----------------------------------------------------------------------------

    def to_draw(self) -> Any:
        """The pipeline that draws from text alone."""
        known = parameters(self.pipe)
        refuse_enlarger(self.pipe, "draws none")
        if _needs(self.pipe, "image") or ("image" in known and "strength" in known):
            return self._auto("AutoPipelineForText2Image", "draws nothing from text alone")
        return self.pipe

    def to_change(self, *, masked: bool) -> Any:
        """The pipeline that changes an image, all of it or where a mask says."""
        refuse_enlarger(self.pipe, "changes none otherwise")
        if "image" in parameters(self.pipe) and ("mask_image" in parameters(self.pipe)) == masked:
            return self.pipe
        if masked:
            return self._auto("AutoPipelineForInpainting", "changes no part of an image")
        return self._auto("AutoPipelineForImage2Image", "changes no images")

    def to_film(self, *, from_image: bool) -> Any:
        """The pipeline that films, beginning with an image or not."""
        pipe, kind = self.pipe, type(self.pipe).__name__
        if not {"num_frames", "video_length"} & parameters(pipe).keys():
            raise UnsupportedError(f"{kind} films nothing.", hint="Load a model that makes videos.")
        if not from_image and _needs(pipe, "image"):
            raise OptionError(f"{kind} begins with an image.", hint="Give the option image.", names=["image"])
        if not from_image or "image" in parameters(pipe):
            return pipe
        # Of these two the same weights do both.
        if kind in ("LTXPipeline", "LTX2Pipeline") or (kind == "WanPipeline" and pipe.config.get("expand_timesteps")):
            other = kind.replace("Pipeline", "ImageToVideoPipeline")
            if other not in self._others:
                self._others[other] = _sharing(pipe, other)
            return self._others[other]
        raise UnsupportedError(
            f"{kind} does not begin with an image.",
            hint="Leave image out, or load a model that makes videos of images.",
        )

    def _auto(self, auto: str, otherwise: str) -> Any:
        import diffusers

        if auto not in self._others:
            try:
                other = getattr(diffusers, auto).from_pipe(self.pipe)
            except ValueError as exc:
                raise UnsupportedError(
                    f"{type(self.pipe).__name__} {otherwise}: {exc}", hint="Load another model."
                ) from exc
            other.set_progress_bar_config(disable=True)
            self._others[auto] = other
        return self._others[auto]

    # -- how it is to run --------------------------------------------------------------------------------------------

    def prepare(
        self, pipe: Any, scheduler_name: str | None, loras: dict[str, float], find: Callable[[str], Any]
    ) -> None:
        """Give a pipeline the scheduler and the LoRAs of one call."""
        wanted = scheduler_name or "default"
        if wanted not in self._schedulers:
            self._schedulers[wanted] = schedulers.make(wanted, self._scheduler)
        if self._scheduler is not None:
            pipe.scheduler = self._schedulers[wanted]
        self._loras.use(loras, find)

    def facts(self) -> dict[str, str]:
        """What is loaded, in words, for lists."""
        pipe = self.pipe
        own = self._scheduler
        told = {
            "pipeline": type(pipe).__name__,
            "device": str(pipe.device),
            "precision": str(pipe.dtype).removeprefix("torch."),
            "scheduler": "" if own is None else type(own).__name__,
            "schedulers": "" if own is None else ", ".join(schedulers.names_for(own)),
            "negative_prompt": "yes" if has_negative_prompt(pipe) else "no",
            "sides": f"multiples of {multiple(pipe)}",
            "loras": ", ".join(self._loras.used),
        }
        return {name: value for name, value in told.items() if value}


def parameters(pipe: Any) -> dict[str, Any]:
    """What a pipeline takes, and the defaults."""
    cls: Any = type(pipe)
    return _parameters(cls)


@functools.cache
def _parameters(cls: Any) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(cls.__call__).parameters.items()}


def _needs(pipe: Any, name: str) -> bool:
    return parameters(pipe).get(name) is inspect.Parameter.empty


def _sharing(pipe: Any, kind: str) -> Any:
    """A pipeline of another class on the same parts. (``from_pipe`` would change their precision.)"""
    import diffusers

    cls = getattr(diffusers, kind)
    known = {**pipe.config, **pipe.components}
    wanted = inspect.signature(cls.__init__).parameters
    made = cls(**{name: known[name] for name in wanted if name in known})
    made.set_progress_bar_config(disable=True)
    return made


# --- arguments ------------------------------------------------------------------------------------------------------


def taken(pipe: Any, **options: Any) -> dict[str, Any]:
    """The options that were given, as the pipeline's arguments.

    Raises:
        OptionError: the pipeline has no such argument.
    """
    known = parameters(pipe)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known:
            raise OptionError(
                f"option {name!r}: {type(pipe).__name__} has none.",
                hint=near_miss(name, [n for n in options if n in known], "options"),
                names=[name],
            )
    return given


def multiple(pipe: Any) -> int:
    """What the sides of a result are multiples of, as far as the pipeline tells before it is asked."""
    processor = getattr(pipe, "image_processor", None) or getattr(pipe, "video_processor", None)
    factor = int(processor.config.vae_scale_factor) if processor is not None else 8
    patch = getattr(getattr(getattr(pipe, "transformer", None), "config", None), "patch_size", 1)
    if isinstance(patch, (list, tuple)):
        factor *= int(patch[-1])
    return math.lcm(8, factor)


def takes_several(pipe: Any) -> bool:
    """Whether a pipeline makes one image of several: only these take a list, others would take it for a batch."""
    return type(pipe).__name__.startswith(("Flux2", "QwenImageEditPlus"))


def check_count(pipe: Any, images: int) -> None:
    """Refuse several images where the pipeline changes one."""
    if images > 1 and not takes_several(pipe):
        kind = type(pipe).__name__
        raise OptionError(f"{kind} changes one image, and was given {images}.", hint="Give one.", names=["images"])


def check_size(pipe: Any, width: int | None, height: int | None) -> None:
    """Refuse a size that the pipeline cannot make, with the nearest that it can."""
    step = multiple(pipe)
    if any(side is not None and side % step for side in (width, height)):
        raise _unfit(pipe, width, height, step)


def fitted(side: int, step: int) -> int:
    """The nearest multiple of ``step``, but one."""
    return max(step, step * round(side / step))


def _unfit(pipe: Any, width: int | None, height: int | None, step: int) -> OptionError:
    nearest = "x".join(str(fitted(side, step)) for side in (width, height) if side is not None)
    asked = "x".join(str(side) for side in (width, height) if side is not None)
    return OptionError(
        f"{type(pipe).__name__} cannot make {asked} pixels.",
        hint=f"Its width and height are multiples of {step}; the nearest is {nearest}.",
        names=["width", "height"],
    )


def check_strength(pipe: Any, arguments: dict[str, Any]) -> None:
    """Refuse a strength of which so few steps are left that nothing would be changed."""
    known = parameters(pipe)
    strength, steps = (arguments.get(name, known.get(name)) for name in ("strength", "num_inference_steps"))
    if isinstance(strength, (int, float)) and isinstance(steps, int) and int(steps * strength) < 1:
        raise OptionError(
            f"strength {strength:g} of {steps} steps is less than one step.",
            hint=f"Give a strength of at least {math.ceil(100 / steps) / 100:g}, or more steps.",
            names=["strength", "num_inference_steps"],
        )


def has_negative_prompt(pipe: Any) -> bool:
    """Whether the pipeline takes a negative prompt."""
    return "negative_prompt" in parameters(pipe)


def negative(pipe: Any, text: str, given: dict[str, Any]) -> dict[str, str]:
    """The negative prompt as an argument; a warning where the pipeline has none, or where it would do nothing."""
    if not text.strip():
        return {}
    known = parameters(pipe)
    name = type(pipe).__name__
    if not has_negative_prompt(pipe):
        warnings.warn(f"{name} has no negative prompt: it is ignored.", stacklevel=2)
        return {}
    by = "true_cfg_scale" if "true_cfg_scale" in known else "guidance_scale"
    scale = given.get(by, known.get(by))
    if isinstance(scale, (int, float)) and scale <= 1:
        warnings.warn(
            f"The negative prompt is ignored: {name} heeds one where {by} is above 1, and it is {scale:g}.",
            stacklevel=2,
        )
        return {}
    return {"negative_prompt": text}


def warn_of_cut(pipe: Any, prompt: str) -> None:
    """Warn where the model does not read the whole prompt."""
    from transformers import PreTrainedTokenizerBase

    names = ("tokenizer_3", "tokenizer_2", "tokenizer")  # the last one reads most
    found = [t for t in (getattr(pipe, name, None) for name in names) if isinstance(t, PreTrainedTokenizerBase)]
    if not found:
        return
    limit = parameters(pipe).get("max_sequence_length")
    limit = limit if isinstance(limit, int) else found[0].model_max_length
    count = len(found[0](prompt)["input_ids"])
    if count > limit:
        warnings.warn(
            f"The prompt has {count} tokens, of which {type(pipe).__name__} reads the first {limit}: the rest is cut.",
            stacklevel=2,
        )


# --- the call -------------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """Which run of how many of one call this is."""

    number: int
    of: int


_WHOLE = Part(0, 1)


def run(
    pipe: Any, arguments: dict[str, Any], part: Part = _WHOLE, preview: Callable[[int, Any], Any] | None = None
) -> Any:
    """The engine call. It reports after each step, and stops there when the call is to stop.

    Args:
        preview: given the number of steps done and the latents, gives a preview or None.
    """

    def report(done: int, total: int, shown: Any = None) -> None:
        report_progress(part.number * total + done, part.of * total, unit="step", preview=shown)

    def after_step(pipe: Any, step: int, timestep: Any, kept: dict[str, Any]) -> dict[str, Any]:
        total = max(step + 1, getattr(pipe, "num_timesteps", None) or steps or 0)
        report(step + 1, total, preview(step + 1, kept.get("latents")) if preview is not None else None)
        return {}

    steps = arguments.get("num_inference_steps") or parameters(pipe).get("num_inference_steps")
    if part.number == 0 and isinstance(steps, int):
        report(0, steps)
    try:
        if "callback_on_step_end" in parameters(pipe):
            return pipe(**arguments, callback_on_step_end=after_step)
        with _reporting_bar(pipe, report):
            return pipe(**arguments)
    except BaseException as exc:
        pipe.maybe_free_model_hooks()  # what is offloaded goes back, as it does at a good end
        found = re.search(r"(?:divisible by|multiples? of)\D{0,3}(\d+)", str(exc)) if type(exc) is ValueError else None
        if found:
            raise _unfit(pipe, arguments.get("width"), arguments.get("height"), int(found[1])) from exc
        raise


@contextmanager
def _reporting_bar(pipe: Any, report: Callable[[int, int], None]) -> Iterator[None]:
    """For the pipelines that tell nobody of their steps, but have a progress bar."""

    class Bar:
        def __init__(self, iterable: Any = None, total: int | None = None) -> None:
            self.items = iterable
            self.total = len(iterable) if total is None else total
            self.done = 0

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *exc: object) -> None:
            return None

        def __iter__(self) -> Iterator[Any]:
            for item in self.items:
                yield item
                self.update()

        def update(self, n: int = 1) -> None:
            self.done = min(self.done + n, self.total)
            report(self.done, self.total)

    pipe.progress_bar = Bar
    try:
        yield
    finally:
        del pipe.progress_bar
