"""XTTS, Bark, Diffusers and Whisper in one environment and one process: one program, four modalities, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bark_model import make_bark
from diffusers_models import stable_diffusion
from kept import made_by
from whisper_tiny import make_tiny
from xtts_model import SPEAKERS, make_xtts_model

PROGRAM = """
import json, sys
from pathlib import Path

asked = []
sys.addaudithook(lambda event, args: asked.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)

from lollms_client import LollmsClient

folder = Path(sys.argv[1])
common = {"device": "cpu", "n_threads": 1}
bark = {"model_name": str(folder / "bark"), **common}
with LollmsClient(
    tts_binding_name="xtts", tts_binding_config={"model_name": str(folder / "xtts"), **common},
    tti_binding_name="diffusers", tti_binding_config={"model_id_or_path": str(folder / "diffusers"), **common},
    stt_binding_name="whisper", stt_binding_config={"model_name": str(folder / "whisper.pt"), **common},
    ttm_binding_name="bark", ttm_binding_config=bark,
) as lc, LollmsClient(tts_binding_name="bark", tts_binding_config=bark) as other:
    somebody = other.tts.generate_audio("Hello.", seed=1)
    made = {
        "bark": somebody,
        # One engine's sound is the other's voice, and the third hears it.
        "xtts": (speech := lc.tts.generate_audio("Hello from one environment.", voice=somebody, seed=1)),
        "whisper": lc.stt.transcribe_audio(speech, language="en", beam_size=1, temperature=0),
        "diffusers": lc.tti.generate_image("a red square", width=64, height=64, num_inference_steps=2, seed=1),
        "bark music": lc.ttm.generate_music("[SFX: rain]", seed=1),
    }
    told = {
        name: {"kind": type(result).__name__, "engine": result.provenance.engine, "size": len(result)}
        for name, result in made.items()
    }
    told["xtts"]["voices"] = lc.tts.list_voices()
    told["diffusers"]["shape"] = [made["diffusers"].width, made["diffusers"].height]
    told["shared"] = lc.ttm.model is other.tts.model
    told["loaded"] = sorted({"torch", "TTS", "transformers", "diffusers", "whisper"} & sys.modules.keys())
    told["asked"] = asked
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model for each of the four."""
    folder = tmp_path_factory.mktemp("models")
    made_by(make_xtts_model, folder / "xtts", tokens=12)
    made_by(make_bark, folder / "bark", shortest=40)
    made_by(stable_diffusion, folder / "diffusers")
    make_tiny(folder / "whisper.pt")
    return folder


@pytest.mark.full
def test_one_program_uses_four_engines_offline(models: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(models)], capture_output=True, text=True, timeout=600, check=False,
        # Little of this environment, in which a library may think that it is tested and keep quiet for that.
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    kinds = {name: (told[name]["kind"], told[name]["engine"]) for name in list(told)[:5]}
    assert kinds == {
        "bark": ("Audio", "transformers"),
        "xtts": ("Audio", "coqui-tts"),
        "whisper": ("Transcript", "openai-whisper"),
        "diffusers": ("Image", "diffusers"),
        "bark music": ("Audio", "transformers"),
    }
    assert all(told[name]["size"] > 1000 for name in ("bark", "xtts", "diffusers", "bark music"))
    assert told["xtts"]["voices"] == list(SPEAKERS)
    assert told["diffusers"]["shape"] == [64, 64]
    assert told["shared"], "speech and music of one Bark hold one copy of its weights"
    assert told["loaded"] == ["TTS", "diffusers", "torch", "transformers", "whisper"]
    assert told["asked"] == [], "nobody on the network is asked"
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")]
    assert [name for name in left if "telemetry" in name.lower() or "Microsoft" in name] == []
