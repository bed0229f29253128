"""Each stage of a GPU day, with tiny models on a processor: every check runs and passes, and the report is whole."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu.models.known import MODELS
from gpu.run import STAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.full
@pytest.mark.parametrize("stage", STAGES)
def test_every_check_of_a_stage_passes(stage: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "gpu" / "run.py"), stage, "--tiny", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--seconds", "1500"], capture_output=True, text=True, timeout=1600, check=False, cwd=tmp_path
    )
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert done.returncode == 0, done.stdout + (tmp_path / "report.md").read_text("utf-8")
    found = {outcome["name"]: outcome["status"] for outcome in told["outcomes"]}
    expected = [check.name for check in importlib.import_module(f"gpu.stages.{stage}").CHECKS]
    assert sorted(found) == sorted(expected)
    assert set(found.values()) == {"passed"}, "on a processor, too, each has something to show"
    assert told["whole"]
    assert {"card", "driver"} & told["facts"].keys()
    assert told["facts"]["torch"] != "not installed"
    assert any(figure["ratio"] for outcome in told["outcomes"] for figure in outcome["figures"])


def gpt(layers: int, width: int, words: int) -> float:
    """Numbers of a transformer: twelve matrices of its width in each layer, and its tables of words."""
    return layers * 12 * width**2 + words * width


# Numbers of the part that works at each step: by the published configuration, or as the models' authors count them.
PUBLISHED = {
    "bark-small": ("semantic", gpt(12, 768, 129_600 + 10_048 + 1024)),
    "bark-large": ("semantic", gpt(24, 1024, 129_600 + 10_048 + 1024)),
    # With attention to the text, four matrices more.
    "musicgen-small": ("decoder", gpt(24, 1024, 8 * 2048) * 16 / 12),
    "musicgen-medium": ("decoder", gpt(48, 1536, 8 * 2048) * 16 / 12),
    "whisper-large-v3": ("decoder", gpt(32, 1280, 51_866) + 32 * 4 * 1280**2),
    "sdxl": ("unet", 2.567e9),
    "flux": ("transformer", 11.90e9),
    "wan": ("transformer", 1.419e9),
    "ltx": ("transformer", 1.923e9),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_real_size_have_as_many_numbers_as_published(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made where nothing takes memory, in the place of a card."""
    import diffusers
    import torch
    import transformers

    saved: list[Any] = []

    def keep(model: Any, *given: object, **more: object) -> None:
        saved.append(model)

    for cls in (diffusers.DiffusionPipeline, transformers.PreTrainedModel):
        monkeypatch.setattr(cls, "save_pretrained", keep)
    monkeypatch.setattr(torch.Tensor, "to_sparse", lambda self: self)  # of Whisper's, which is not possible there
    kept = torch.nn.Module.state_dict
    monkeypatch.setattr(torch, "save", lambda what, path: None)
    monkeypatch.setattr(
        torch.nn.Module, "state_dict", lambda self, *a, **k: (saved.append(self), kept(self, *a, **k))[1]
    )
    MODELS[name].make(tmp_path, "meta")
    part, numbers = PUBLISHED[name]
    count = sum(parameter.numel() for parameter in getattr(saved[0], part).parameters())
    assert count == pytest.approx(numbers, rel=0.02)
