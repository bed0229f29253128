"""Which models the binding takes, with which engine: by path, by name, offline; and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import Trap, name_code, spoil
from lollms_audiocraft import AudioCraftTTMBinding
from lollms_audiocraft.models import KNOWN
from lollms_modalities import BindingDependencyError, ModelNotFoundError, SettingsError
from musicgen_model import make_musicgen
from programs import NO_NETWORK, refused_call, run


@pytest.fixture
def copy(tiny_musicgen: Path, tmp_path: Path) -> Path:
    """A checkpoint of one's own, to be spoilt."""
    return Path(shutil.copytree(tiny_musicgen, tmp_path / "copy"))


def refused(model: Any, **settings: Any) -> ModelNotFoundError:
    with (
        AudioCraftTTMBinding(str(model), n_threads=1, **settings) as binding,
        pytest.raises(ModelNotFoundError) as caught,
    ):
        binding.load()
    assert caught.value.hint
    return caught.value


def test_importing_and_listing_import_no_torch() -> None:
    program = (
        "import sys, lollms_audiocraft\n"
        "binding = lollms_audiocraft.AudioCraftTTMBinding()\n"
        "binding.list_models(), binding.get_settings(), binding.describe(), binding.capabilities\n"
        "print({'torch', 'transformers', 'audiocraft', 'numpy'} & sys.modules.keys())"
    )
    assert run(program) == "set()"


def test_models_are_listed_and_found_in_their_folder(tiny_musicgen: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_musicgen, tmp_path / "mine")
    shutil.copytree(tiny_musicgen, tmp_path / "facebook" / "musicgen-small")
    for name, file, text in (
        ("meta", "state_dict.bin", ""), ("other", "config.json", '{"model_type": "bark"}'), ("broken", "config.json", "{"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    with AudioCraftTTMBinding("mine", models_path=tmp_path, n_threads=1) as binding:
        assert binding.list_models() == ["facebook/musicgen-small", "meta", "mine", *KNOWN[1:]]
        assert not binding.loaded
        assert binding.generate_music("a piano", duration=0.2).provenance.model == "mine"  # type: ignore[union-attr]
        binding.set_settings({"model_name": "facebook/musicgen-small"})
        assert binding.generate_music("a piano", duration=0.2).duration == pytest.approx(0.2)
    assert AudioCraftTTMBinding().list_models() == list(KNOWN)
    assert AudioCraftTTMBinding().settings.model_name in KNOWN


def test_two_bindings_hold_one_copy_until_the_last_lets_go(tiny_musicgen: Path) -> None:
    one, other = (AudioCraftTTMBinding(str(tiny_musicgen), n_threads=1) for _ in range(2))
    one.load(), other.load()
    engine = one.model
    assert other.model is engine
    one.close()
    assert other.generate_music("a piano", duration=0.2).duration == pytest.approx(0.2)
    other.close()
    assert engine._model is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_precision(tiny_musicgen: Path, dtype: str) -> None:
    with AudioCraftTTMBinding(str(tiny_musicgen), n_threads=1, dtype=dtype) as binding:
        begun = binding.generate_music("a piano", duration=0.5, seed=1)
        made = binding.generate_music("a piano", duration=1, seed=1, continue_from=begun)
        assert abs(made.to_numpy()).max() > 0.01
        assert binding.model._model.decoder.dtype == getattr(torch, dtype)


# --- the engine -----------------------------------------------------------------------------------------------------


def test_audiocraft_that_is_not_installed_is_told(tiny_musicgen: Path, copy: Path, tmp_path: Path) -> None:
    for model in ("facebook/musicgen-small", "debug"):
        with (
            AudioCraftTTMBinding(model, engine="audiocraft") as binding,
            pytest.raises(BindingDependencyError) as caught,
        ):
            binding.load()
        assert "lollms env create audiocraft" in caught.value.hint
    with AudioCraftTTMBinding("debug") as binding, pytest.raises(BindingDependencyError, match="not installed"):
        binding.load()
    # A folder that holds both layouts is loaded with what is there; one that holds Meta's alone is not.
    (copy / "state_dict.bin").touch()
    with AudioCraftTTMBinding(str(copy), n_threads=1) as binding:
        assert binding.generate_music("a piano", duration=0.2).provenance.engine == "transformers"  # type: ignore[union-attr]
    (copy / "config.json").unlink()
    with AudioCraftTTMBinding(str(copy)) as binding, pytest.raises(BindingDependencyError, match="not installed"):
        binding.load()
    assert "engine='transformers'" in str(refused(copy, engine="transformers"))
    assert "config.json" in refused(copy, engine="transformers").hint
    assert "engine='audiocraft'" in str(refused(tiny_musicgen, engine="audiocraft"))


def test_an_engine_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match="engine"):
        AudioCraftTTMBinding(engine="audiocraf")


# --- offline --------------------------------------------------------------------------------------------------------


def unknown(arguments: str) -> str:
    return refused_call("lollms_audiocraft", "AudioCraftTTMBinding", 'generate_music("hi")', arguments)


@pytest.mark.parametrize("model", ["facebook/musicgen-small", "nobody/nothing-at-all"])
def test_offline_an_unknown_model_fails_at_once(model: str, tmp_path: Path) -> None:
    said = run(unknown(repr(model)), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    taken, torch_came, error, message = said.split(" ", 3)
    assert (torch_came, error) == ("False", "ModelNotFoundError")
    assert float(taken) < 20  # the goal is 2, on a machine with nothing else to do
    assert f"{model!r} is not on this machine" in message
    assert "hf download" in message
    assert "path of a folder" in message


def test_local_files_only_is_the_same_in_one_binding(tmp_path: Path) -> None:
    said = run(unknown("'nobody/nothing', local_files_only=True"), HF_HOME=str(tmp_path))
    assert "ModelNotFoundError The MusicGen model 'nobody/nothing' is not on this machine" in said


def test_a_path_that_is_not_there_never_reaches_the_hub(tmp_path: Path) -> None:
    said = run(unknown(repr(str(tmp_path / "none"))))
    assert "is no folder of a MusicGen model" in said


BLOCKED = """
from lollms_audiocraft import AudioCraftTTMBinding
binding = AudioCraftTTMBinding(MODEL, n_threads=1)
assert binding.generate_music("a slow piano", duration=0.3).duration
binding.list_models()
print(tried)
"""


def test_with_a_path_nobody_on_the_network_is_asked(tiny_musicgen: Path) -> None:
    assert run(NO_NETWORK + BLOCKED.replace("MODEL", repr(str(tiny_musicgen))), OMP_NUM_THREADS="1") == "[]"


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_pickle_with_code_is_refused_and_does_not_run(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({"decoder.lm_heads.0.weight": Trap()}, copy / "pytorch_model.bin")
    assert "could run anything" in str(refused(copy))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_a_checkpoint_is_never_run(copy: Path, name: str) -> None:
    name_code(copy, name)
    with AudioCraftTTMBinding(str(copy), n_threads=1) as binding:
        try:
            binding.load()
        except ModelNotFoundError as exc:
            assert "cannot be loaded" in str(exc)  # noqa: PT017 - it may also be loaded without that code
    assert not any("evil" in module for module in sys.modules)


@pytest.mark.parametrize("kind", ["bark", "musicgen_melody"])
def test_another_kind_of_model_is_told(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    error = refused(tmp_path)
    assert f"of the type {kind}" in str(error)
    assert "facebook/musicgen-small" in error.hint


@pytest.mark.parametrize(
    "damage", ["no weights", "half of the weights", "another width", "fewer layers", "no tokenizer", "no configuration"]
)
def test_a_damaged_model_is_told(copy: Path, tmp_path: Path, damage: str) -> None:
    if damage in ("fewer layers", "another width"):
        other = {"layers": 3} if damage == "fewer layers" else {"width": 64}
        shutil.copy(make_musicgen(tmp_path / "other", **other) / "config.json", copy)
    else:
        spoil(copy, damage)
    error = refused(copy)
    assert str(copy) in str(error)
    if damage in ("fewer layers", "no tokenizer"):
        assert "lacks" in str(error)
