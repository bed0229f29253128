"""One program that speaks, hears, draws and composes at the same time, each binding in an environment of its own.

``environments.py`` runs it, with the environments that it has made; by itself it takes those of ``XDG_DATA_HOME``.
Exit 1 where a promise is broken.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lollms_modalities import (
    LollmsSTTBindingManager,
    LollmsTTIBindingManager,
    LollmsTTMBindingManager,
    LollmsTTSBindingManager,
    list_environments,
)

SUPPORT = Path(__file__).parents[1] / "tests" / "support"


def tell(what: str, fine: bool) -> bool:
    print(f"{what}   {'fine' if fine else 'BROKEN'}", flush=True)
    return fine


# What makes a tiny model, in the environment whose library makes it; ``place`` is where it goes.
MAKERS = {
    "bark": "from bark_model import make_bark; make_bark(place)",
    "diffusers": "from diffusers_models import stable_diffusion; stable_diffusion(place)",
    "xtts": "from xtts_model import make_xtts_model; make_xtts_model(place)",
    "whisper": "from whisper_weights import make_openai; make_openai(place)",
    "audiocraft": "from audiocraft_checkpoint import make_checkpoint; make_checkpoint(place)",
}
TEXT = "The birch canoe slid on the smooth planks."


def checkpoints(folder: Path) -> dict[str, str]:
    """Tiny models by the name of the environment, for those that are there."""
    there = {environment.name: environment for environment in list_environments()}
    made: dict[str, str] = {}
    for name, maker in MAKERS.items():
        if name not in there:
            continue
        place = folder / (f"{name}.pt" if name == "whisper" else name)
        # After what the environment has: openai-whisper's model is converted from one that another brings.
        beside = [str(SUPPORT)] + (there["faster_whisper"].site_packages if "faster_whisper" in there else [])
        code = f"import sys; sys.path += {beside!r}; from pathlib import Path; place = Path(sys.argv[1]); {maker}"
        done = subprocess.run(
            [str(there[name].python), "-c", code, str(place)], check=False, capture_output=True, text=True,
            env=there[name].variables_inside,
        )  # fmt: skip
        if done.returncode:
            tell(f"no model for {name}: {done.stderr[-1500:]}", False)
        else:
            made[name] = str(place)
    return made


def together() -> bool:
    """One program that speaks, hears, draws and composes, each in an environment of its own, at the same time."""
    there = {environment.name for environment in list_environments()}
    if "piper" not in there:
        return True
    managers: dict[str, Any] = {
        "tts": LollmsTTSBindingManager(), "tti": LollmsTTIBindingManager(),
        "stt": LollmsSTTBindingManager(), "ttm": LollmsTTMBindingManager(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:

        def opened(modality: str, name: str, **settings: Any) -> Any:
            return stack.enter_context(managers[modality].require_binding(name, environment=name, **settings))

        models = checkpoints(Path(folder))
        piper = opened("tts", "piper")
        spoken = piper.generate_audio(TEXT)
        works: dict[str, Callable[[], Any]] = {"piper speaks": lambda: piper.generate_audio(TEXT).duration}
        if "faster_whisper" in there:
            faster = opened("stt", "faster_whisper")
            works["faster-whisper hears"] = lambda: str(faster.transcribe_audio(spoken))
        if "whisper" in models:
            whisper = opened("stt", "whisper", model_name=models["whisper"], device="cpu")
            works["whisper hears"] = lambda: str(whisper.transcribe_audio(spoken))
        if "bark" in models:
            bark = opened("tts", "bark", model_name=models["bark"], device="cpu")
            works["bark speaks"] = lambda: bark.generate_audio("Hello there.", seed=1).duration
        if "xtts" in models:
            xtts = opened("tts", "xtts", model_name=models["xtts"], device="cpu")
            works["xtts speaks"] = lambda: xtts.generate_audio("Hello there.", seed=1).duration
        if "diffusers" in models:
            painter = opened("tti", "diffusers", model_id_or_path=models["diffusers"], device="cpu")
            works["diffusers draws"] = lambda: (
                painter.generate_image("a boat", width=64, height=64, num_inference_steps=2, seed=1).width
            )
        for what, model in {"its own": "debug", "a tiny model": models.get("audiocraft", "")}.items():
            if "audiocraft" in there and model:
                composer = opened("ttm", "audiocraft", model_name=model, engine="audiocraft", device="cpu")
                works[f"audiocraft composes with {what}"] = lambda composer=composer: (
                    composer.generate_music(  # type: ignore[misc]
                        "a slow piano", duration=1, seed=1
                    ).duration
                )
        began = time.monotonic()
        fine = True
        with ThreadPoolExecutor(len(works)) as pool:
            for what, future in [(what, pool.submit(work)) for what, work in works.items()]:
                try:
                    result = future.result(900)
                except Exception as exc:
                    fine = tell(f"{what}: {type(exc).__name__}: {exc}", False)
                else:
                    fine &= tell(f"{what}: {result}", bool(result))
        told = f"{len(there)} environments in one program, at once, in {time.monotonic() - began:.0f} s"
        return tell(told, fine)


if __name__ == "__main__":
    sys.exit(0 if together() else 1)
