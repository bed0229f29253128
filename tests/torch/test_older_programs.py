"""Programs of the same calls as upstream's examples of 1.x and before, with their defaults, on tiny models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from bark_model import make_bark
from diffusers_models import stable_diffusion
from kept import made_by
from lollms_client import LollmsClient
from lollms_client.lollms_tti_binding import LollmsTTIBindingManager
from lollms_client.tti_bindings.diffusers import DiffusersTTIBinding, DiffusersTTIBinding_Impl
from lollms_client.tts_bindings.bark import BarkClientBinding, BarkTTSBinding
from lollms_modalities import Audio, Image, OptionError, SettingsError
from musicgen_model import make_musicgen

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def bark(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("older") / "bark"
    made_by(make_bark, folder)
    return str(folder)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of personal models, as LoLLMS has it."""
    folder = tmp_path_factory.mktemp("personal")
    made_by(stable_diffusion, folder / "diffusers_models" / "sd-v1-5-test-model")
    return folder


def test_a_program_for_images_of_diffusers(zoo: Path, tmp_path: Path) -> None:
    paths = {
        "personal_models_path": zoo, "models_zoo_path": tmp_path / "zoo", "shared_cache_path": tmp_path / "cache",
        "tti_bindings_path": tmp_path / "bindings",
    }  # fmt: skip
    config = {
        "model_id_or_path": "sd-v1-5-test-model", "pipeline_class_name": None, "device": "cpu", "hf_variant": None,
        "torch_dtype_str": "float32", "num_inference_steps": 2, "default_width": 64, "default_height": 64,
        "safety_checker_on": False, "lollms_paths": paths,
    }  # fmt: skip
    lc = LollmsClient(tti_binding_name="diffusers", binding_config=config, service_key="my_client_id")
    assert lc.tti
    assert lc.tti.binding_name == "diffusers"
    assert all(service.get("name") for service in lc.tti.list_services())
    steps = next(row["value"] for row in lc.tti.get_settings() if row["name"] == "num_inference_steps")
    assert lc.tti.set_settings([{"name": "num_inference_steps", "value": int(steps) + 1}])
    assert next(row["value"] for row in lc.tti.get_settings() if row["name"] == "num_inference_steps") == 3
    width, height = lc.tti.config.get("default_width", 512), lc.tti.config.get("default_height", 512)
    drawn = lc.tti.generate_image(prompt="A majestic griffin", negative_prompt="ugly", width=width, height=height)
    PIL.Image.open(io.BytesIO(drawn)).save(tmp_path / "griffin.png")
    assert "my_client_id" not in repr(lc.tti.config)
    lc.close()


def test_a_model_by_its_name_of_1x(zoo: Path) -> None:
    """And the server that 1.x started, which there is none of."""
    config: dict[str, Any] = {
        "model_name": "sd-v1-5-test-model", "models_path": zoo / "diffusers_models", "device": None, "port": 9632,
        "host": "127.0.0.1", "auto_start_server": True, "wait_for_server": False, "service_key": None,
        "width": 64, "height": 64, "num_inference_steps": 2, "dtype": "float32",
    }  # fmt: skip
    with LollmsClient(tti_binding_name="diffusers", tti_binding_config=config) as lc:
        drawn = lc.generate_image("a griffin", seed=1)
        assert (drawn.width, drawn.height) == (64, 64)
        assert lc.tti is not None
        assert lc.tti.settings.device == "auto"  # type: ignore[attr-defined]
        again = lc.edit_image(drawn, "at night", "people", seed=1, strength=0.9)
        assert isinstance(again, Image)
        assert len(lc.tti.edit_images([bytes(drawn)], "at night", n=2, seed=1, strength=0.9)) == 2  # type: ignore[attr-defined]
        mask = np.full((64, 64, 4), 255, np.uint8)
        mask[:32, :, 3] = 0
        kept = np.asarray(lc.edit_image(drawn, "night", mask=Image.from_pixels(mask), seed=1).to_pil().convert("RGB"))
        assert (kept[32:] == np.asarray(drawn.to_pil().convert("RGB"))[32:]).all()
        with pytest.raises(OptionError, match="changes one image, and was given 2"):
            lc.edit_image([drawn, drawn], "both")
        assert lc.tti.set_settings({"model_name": str(zoo / "diffusers_models" / "sd-v1-5-test-model")})
        assert lc.generate_image("a griffin", seed=1) == drawn
    with pytest.raises(SettingsError, match="one setting"):
        LollmsTTIBindingManager().create_binding("diffusers", model_name="a", model_id_or_path="b")


def test_a_program_for_the_effects_of_a_game(bark: str, tmp_path: Path) -> None:
    made_by(make_musicgen, tmp_path / "musicgen")
    asked: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "audiocraft": (
            {"device": None, "model_name": str(tmp_path / "musicgen"), "output_format": "wav"},
            {"progress": True, "duration": 0.5, "temperature": 1.0, "cfg_coef": 3.0},
        ),
        "bark": (
            {"device": None, "model_name": bark},
            {"progress": True, "voice_preset": None, "fine_temperature": 0.5, "coarse_temperature": 0.7},
        ),
    }
    for name, (config, options) in asked.items():
        lc = LollmsClient(llm_binding_name="lollms", ttm_binding_name=name, ttm_binding_config=config)
        assert lc.ttm
        assert lc.ttm.binding_name == name
        made = lc.ttm.generate_music(prompt="A short, sharp sword clash", **options)
        (tmp_path / f"sword_{name}.wav").write_bytes(made)
        assert Audio((tmp_path / f"sword_{name}.wav").read_bytes()).duration > 0
        assert lc.update_ttm_binding(name, config)
        lc.close()


def test_a_program_that_speaks_with_bark(bark: str) -> None:
    lc = LollmsClient(
        binding_name="ollama", model_name="mistral", host_address=None, models_path=None, llm_binding_config={},
        tts_binding_name="bark", tts_host_address=None, verify_ssl_certificate=True,
        tts_binding_config={"device": None, "model_name": bark, "default_voice": "v2/en_speaker_6"},
    )  # fmt: skip
    assert lc.tts
    assert lc.tts.generate_audio(text="Hello there.").duration > 0
    assert "v2/en_speaker_6" in lc.tts.list_voices()
    lc.close()


def test_the_older_names_of_classes() -> None:
    assert DiffusersTTIBinding is DiffusersTTIBinding_Impl
    assert BarkClientBinding is BarkTTSBinding
