"""Schedulers by the names that users know, checked against what a pipeline takes."""

from __future__ import annotations

import inspect
from typing import Any

from lollms_modalities import BindingDependencyError, OptionError
from lollms_modalities.kit import near_miss

# The class in diffusers without its ending "Scheduler", and what is changed in its config.
_KARRAS = {"use_karras_sigmas": True}
_SDE = {"algorithm_type": "sde-dpmsolver++"}
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIM", {}),
    "ddpm": ("DDPM", {}),
    "deis": ("DEISMultistep", {}),
    "dpm++_2m": ("DPMSolverMultistep", {}),
    "dpm++_2m_karras": ("DPMSolverMultistep", _KARRAS),
    "dpm++_2m_sde": ("DPMSolverMultistep", _SDE),
    "dpm++_2m_sde_karras": ("DPMSolverMultistep", {**_SDE, **_KARRAS}),
    "dpm++_2s": ("DPMSolverSinglestep", {}),
    "dpm++_2s_karras": ("DPMSolverSinglestep", _KARRAS),
    "dpm++_sde": ("DPMSolverSDE", {}),
    "dpm++_sde_karras": ("DPMSolverSDE", _KARRAS),
    "dpm2": ("KDPM2Discrete", {}),
    "dpm2_karras": ("KDPM2Discrete", _KARRAS),
    "dpm2_ancestral": ("KDPM2AncestralDiscrete", {}),
    "dpm2_ancestral_karras": ("KDPM2AncestralDiscrete", _KARRAS),
    "euler": ("EulerDiscrete", {}),
    "euler_karras": ("EulerDiscrete", _KARRAS),
    "euler_ancestral": ("EulerAncestralDiscrete", {}),
    "heun": ("HeunDiscrete", {}),
    "heun_karras": ("HeunDiscrete", _KARRAS),
    "lcm": ("LCM", {}),
    "lms": ("LMSDiscrete", {}),
    "lms_karras": ("LMSDiscrete", _KARRAS),
    "pndm": ("PNDM", {"skip_prk_steps": True}),
    "unipc": ("UniPCMultistep", {}),
    "unipc_karras": ("UniPCMultistep", _KARRAS),
    "flow_match_euler": ("FlowMatchEulerDiscrete", {}),
}
_OTHER_NAMES = {
    "deis_multistep": "deis", "dpm_multistep": "dpm++_2m", "dpm_multistep_karras": "dpm++_2m_karras",
    "dpm_single": "dpm++_2s", "dpm_single_karras": "dpm++_2s_karras", "euler_a": "euler_ancestral",
    "euler_ancestral_discrete": "euler_ancestral", "euler_discrete": "euler", "heun_discrete": "heun",
    "lms_discrete": "lms", "unipc_multistep": "unipc",
}  # fmt: skip
NAMES = sorted([*ALIASES, *_OTHER_NAMES, "default"])


def make(name: str, own: Any) -> Any:
    """The scheduler of that name for a pipeline whose own scheduler is ``own``.

    Args:
        name: an alias, or a class of diffusers such as "EulerDiscreteScheduler"; "default" is the pipeline's own.

    Raises:
        OptionError: the name is not known, or the pipeline does not take such a scheduler.
        BindingDependencyError: the scheduler needs torchsde, which is not installed.
    """
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    plain = _OTHER_NAMES.get(plain, plain)
    if plain == "default":
        return own
    if plain not in ALIASES and not name.endswith("Scheduler"):
        raise OptionError(
            f"option 'scheduler_name': there is no scheduler {name!r:.60}.",
            hint=near_miss(name, NAMES, "schedulers"),
            names=["scheduler_name"],
        )
    kind, changes = ALIASES.get(plain, (name.removesuffix("Scheduler"), {}))
    fitting = {cls.__name__.removesuffix("Scheduler"): cls for cls in own.compatibles if _fits(cls, own)}
    if kind == "EulerDiscrete" and not changes and kind not in fitting and "FlowMatchEulerDiscrete" in fitting:
        kind = "FlowMatchEulerDiscrete"  # Euler's method for the models that learn a flow
    if kind not in fitting:
        raise OptionError(
            f"option 'scheduler_name': a model made for {type(own).__name__} does not take {name!r:.60}.",
            hint=f"It takes: {', '.join(_names_of(fitting))}.",
            names=["scheduler_name"],
        )
    if _lacks_torchsde(fitting[kind]):
        raise BindingDependencyError(
            f"The scheduler {name!r} needs torchsde, which is not installed.",
            hint="Run pip install torchsde, or choose another scheduler.",
        )
    return fitting[kind].from_config(own.config, **changes)


def names_for(own: Any) -> list[str]:
    """The aliases that a pipeline takes whose own scheduler is ``own``."""
    fitting = [cls for cls in own.compatibles if _fits(cls, own) and not _lacks_torchsde(cls)]
    return _names_of({cls.__name__.removesuffix("Scheduler") for cls in fitting})


def _lacks_torchsde(cls: Any) -> bool:
    """Whether it is what diffusers puts in the place of the class where torchsde is not installed."""
    return "torchsde" in getattr(cls, "_backends", ())


def _fits(cls: Any, own: Any) -> bool:
    """Whether the class can do what the model learned: one that learned a flow needs a scheduler that knows flows."""
    if cls.__name__ == "EDMEulerScheduler" and cls is not type(own):
        return False  # named as compatible, but it needs a range of sigmas that the others do not have
    learned_flow = own.config.get("use_flow_sigmas") or own.config.get("prediction_type") == "flow_prediction"
    return cls is type(own) or not learned_flow or "use_flow_sigmas" in inspect.signature(cls.__init__).parameters


def _names_of(kinds: Any) -> list[str]:
    known = {kind for kind, _ in ALIASES.values()}
    return sorted(
        [name for name, (kind, _) in ALIASES.items() if kind in kinds]
        + [f"{kind}Scheduler" for kind in kinds if kind not in known]
    )
