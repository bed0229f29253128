"""Which models Bark takes: by path, by name, offline; and what it refuses."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from bark_model import make_bark
from checkpoints import Trap, name_code, spoil
from lollms_bark import BarkTTMBinding, BarkTTSBinding
from lollms_modalities import LollmsTTMBindingManager, LollmsTTSBindingManager, ModelNotFoundError
from programs import NO_NETWORK, refused_call, run


@pytest.fixture
def copy(tiny_bark: Path, tmp_path: Path) -> Path:
    """A checkpoint of one's own, to be spoilt."""
    return Path(shutil.copytree(tiny_bark, tmp_path / "copy"))


def refused(folder: Path) -> ModelNotFoundError:
    with BarkTTSBinding(str(folder), n_threads=1) as tts, pytest.raises(ModelNotFoundError) as caught:
        tts.load()
    assert caught.value.hint
    return caught.value


def test_importing_the_bindings_imports_no_torch() -> None:
    program = "import sys, lollms_bark; lollms_bark.BarkTTSBinding(); print({'torch', 'transformers'} & {*sys.modules})"
    assert run(program) == "set()"


def test_the_bindings_are_found_by_name(tiny_bark: Path) -> None:
    tts = LollmsTTSBindingManager().require_binding("bark", model_name=str(tiny_bark))
    ttm = LollmsTTMBindingManager().require_binding("bark", model_name=str(tiny_bark))
    assert (type(tts), type(ttm)) == (BarkTTSBinding, BarkTTMBinding)


def test_models_are_listed_and_found_in_their_folder(tiny_bark: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bark, tmp_path / "mine")
    shutil.copytree(tiny_bark, tmp_path / "suno" / "bark")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "whisper"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    with BarkTTMBinding("mine", models_path=tmp_path, n_threads=1) as ttm:
        assert ttm.list_models() == ["mine", "suno/bark", "suno/bark-small"]
        assert not ttm.loaded
        ttm.load()
    assert BarkTTSBinding().list_models() == ["suno/bark-small", "suno/bark"]


# --- offline --------------------------------------------------------------------------------------------------------


def unknown(arguments: str) -> str:
    return refused_call("lollms_bark", "BarkTTSBinding", 'generate_audio("hi")', arguments)


@pytest.mark.parametrize("model", ["suno/bark-small", "nobody/nothing-at-all"])
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
    assert "ModelNotFoundError The Bark model 'nobody/nothing' is not on this machine" in said
    assert "local_files_only is set" in said


def test_a_path_that_is_not_there_never_reaches_the_hub(tmp_path: Path) -> None:
    said = run(unknown(repr(str(tmp_path / "none"))))
    assert "ModelNotFoundError" in said
    assert "is no folder of a Bark model" in said


BLOCKED = """
from lollms_bark import BarkTTMBinding, BarkTTSBinding
tts, ttm = (binding(MODEL, n_threads=1) for binding in (BarkTTSBinding, BarkTTMBinding))
assert tts.generate_audio("hi", "v2/de_speaker_3").duration
assert ttm.generate_music("[SFX: rain]").duration
tts.list_voices(), ttm.list_models()
print(tried)
"""


def test_with_a_path_nobody_on_the_network_is_asked(tiny_bark: Path) -> None:
    assert run(NO_NETWORK + BLOCKED.replace("MODEL", repr(str(tiny_bark))), OMP_NUM_THREADS="1") == "[]"


@pytest.mark.parametrize("how", [pytest.param("", marks=pytest.mark.full), ", local_files_only=True"])
def test_a_model_that_was_fetched_is_taken_from_the_cache(tiny_bark: Path, tmp_path: Path, how: str) -> None:
    cached = tmp_path / "hub" / "models--suno--bark-small"
    shutil.copytree(tiny_bark, cached / "snapshots" / ("a" * 40))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40)
    offline = {} if how else {"HF_HUB_OFFLINE": "1"}
    program = NO_NETWORK + BLOCKED.replace("MODEL", f"'suno/bark-small'{how}")
    assert run(program, OMP_NUM_THREADS="1", HF_HOME=str(tmp_path), **offline) == "[]"


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_pickle_with_code_is_refused_and_does_not_run(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({"semantic.lm_head.weight": Trap()}, copy / "pytorch_model.bin")
    assert "could run anything" in str(refused(copy))


def test_a_pickle_of_weights_alone_is_taken(copy: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with BarkTTSBinding(str(copy), n_threads=1) as tts:
        assert tts.generate_audio("hi").duration > 0


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_a_checkpoint_is_never_run(copy: Path, name: str) -> None:
    name_code(copy, name)
    with BarkTTSBinding(str(copy), n_threads=1) as tts:
        try:
            tts.load()
        except ModelNotFoundError as exc:
            assert "cannot be loaded" in str(exc)  # noqa: PT017 - it may also be loaded without that code
    assert not any("evil" in module for module in sys.modules)


def test_another_kind_of_model_is_no_bark(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}')
    assert "of the type whisper, which is not Bark" in str(refused(tmp_path))
    (tmp_path / "config.json").unlink()
    assert "lacks config.json" in str(refused(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        "no weights",
        "half of the weights",
        "half of a pickle",
        "another width",
        "fewer layers",
        "no tokenizer",
        "no configuration",
    ],
)
def test_a_damaged_model_is_told(copy: Path, tmp_path: Path, damage: str) -> None:
    if damage == "half of a pickle":
        torch.save({"semantic.lm_head.weight": torch.ones(1000)}, copy / "whole.bin")
        (copy / "pytorch_model.bin").write_bytes((copy / "whole.bin").read_bytes()[:2000])
        (copy / "model.safetensors").unlink()
    elif damage in ("fewer layers", "another width"):
        other = {"layers": 2} if damage == "fewer layers" else {"width": 64}
        deeper = make_bark(tmp_path / "deeper", voices=[], **other)
        shutil.copy(deeper / "config.json", copy)
    else:
        spoil(copy, damage)
    error = refused(copy)
    assert str(copy) in str(error)
    if damage in ("fewer layers", "no tokenizer"):
        assert "lacks" in str(error)
