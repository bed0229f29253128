"""Music with Meta's audiocraft, for real: its debug model, and tiny checkpoints in its own layout.

Runs in the environment that ``environment.toml`` describes, and is named to pytest, which does not find it by itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audiocraft_checkpoint
import numpy as np
import pytest
import torch
from audiocraft.models import MusicGen
from audiocraft_checkpoint import FRAME_RATE, RATE
from checkpoints import Trap
from lollms_audiocraft import AudioCraftTTMBinding
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    ModelNotFoundError,
    Progress,
    SettingsError,
    UnsupportedError,
)
from musicgen_model import make_musicgen
from omegaconf import OmegaConf
from programs import NO_NETWORK

PROMPT = "a slow piano"

# Where the tests use the library without us.
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")


@pytest.fixture(scope="module")
def musicgen(checkpoint: Path) -> Iterator[AudioCraftTTMBinding]:
    with AudioCraftTTMBinding(str(checkpoint), n_threads=1) as binding:
        yield binding


@pytest.fixture(scope="module")
def library(checkpoint: Path) -> Any:
    """MusicGen without us."""
    return MusicGen.get_pretrained(str(checkpoint), device="cpu")


def equal(audio: Audio, samples: torch.Tensor) -> bool:
    return bool(Audio.from_samples(samples[0].T.numpy(), audio.sample_rate) == audio)


def test_music_is_what_the_library_makes(musicgen: AudioCraftTTMBinding, library: Any) -> None:
    made = musicgen.generate_music(PROMPT, duration=3, seed=7)
    assert (made.sample_rate, made.channels, made.duration) == (RATE, 1, 3)
    library.set_generation_params(duration=3, extend_stride=12, top_k=library.lm.card)
    torch.manual_seed(7)
    assert equal(made, library.generate([PROMPT]))
    told = made.provenance
    assert told is not None
    assert (told.engine, told.engine_version, told.seed) == ("audiocraft", "1.3.0", 7)


@pytest.mark.parametrize("duration", [1e-9, 0.001, 0.25])
def test_a_short_piece(musicgen: AudioCraftTTMBinding, duration: float) -> None:
    assert len(musicgen.generate_music(PROMPT, duration=duration).to_numpy()) == max(1, round(duration * RATE))


def test_options_are_the_library_s(musicgen: AudioCraftTTMBinding, library: Any) -> None:
    options: tuple[dict[str, Any], ...] = (
        {"temperature": 0.5, "top_k": 9, "cfg_coef": 1.0}, {"top_p": 0.3}, {"temperature": 0.0}, {"top_k": 0},
    )  # fmt: skip
    for given in options:
        made = musicgen.generate_music(PROMPT, duration=2, seed=3, **given)
        sampled = given.get("temperature", 1.0) > 0
        library.set_generation_params(
            duration=2, extend_stride=12, use_sampling=sampled, **{"top_k": min(250, library.lm.card), **given}
        )
        torch.manual_seed(3)
        assert equal(made, library.generate([PROMPT])), given


def test_a_long_piece_is_the_library_s(musicgen: AudioCraftTTMBinding, library: Any) -> None:
    made = musicgen.generate_music(PROMPT, duration=45, seed=1).to_numpy()[:, 0]
    library.set_generation_params(duration=45, extend_stride=12, top_k=library.lm.card)
    torch.manual_seed(1)
    theirs, tokens = library.generate([PROMPT], return_tokens=True)
    assert tokens.shape[-1] == 45 * FRAME_RATE
    # The codes are the same; the library decodes all of them at once, which is heard nowhere but at the seams.
    apart = Audio.from_samples(theirs[0, 0].numpy(), RATE).to_numpy()[:, 0] - made
    assert len(made) == len(apart) == 45 * RATE
    assert float(np.sqrt((apart**2).mean())) < 0.02 * float(made.std())


def test_a_continuation_is_the_library_s(musicgen: AudioCraftTTMBinding, library: Any) -> None:
    begun = musicgen.generate_music("drums", duration=4, seed=5)
    made = musicgen.generate_music(PROMPT, duration=6, seed=7, continue_from=begun).to_numpy()
    library.set_generation_params(duration=6, extend_stride=12, top_k=library.lm.card)
    torch.manual_seed(7)
    theirs = library.generate_continuation(torch.from_numpy(begun.to_numpy().T.copy()), RATE, [PROMPT])
    expected = Audio.from_samples(theirs[0].T.numpy(), RATE).to_numpy()
    assert np.array_equal(made[: 4 * RATE - 320], begun.to_numpy()[:-320])
    assert np.array_equal(made[4 * RATE :], expected[4 * RATE :])


def test_two_channels(stereo: Path) -> None:
    with AudioCraftTTMBinding(str(stereo), n_threads=1) as binding:
        made = binding.generate_music(PROMPT, duration=2, seed=1)
        left, right = made.to_numpy().T
        assert (made.channels, made.duration) == (2, 2)
        assert not np.array_equal(left, right)
        more = binding.generate_music(PROMPT, duration=3, seed=1, continue_from=made)
        assert (more.channels, more.duration) == (2, 3)


def test_the_debug_model_makes_sound() -> None:
    with AudioCraftTTMBinding("debug", n_threads=1) as binding:
        made = binding.generate_music("a slow piano, 2 drums!", duration=2, seed=1)
        assert (made.sample_rate, made.duration) == (32000, 2)
        assert np.abs(made.to_numpy()).max() > 0.01
        assert made == binding.generate_music("a slow piano, 2 drums!", duration=2, seed=1)
        assert made != binding.generate_music("a quick trumpet, 2 drums!", duration=2, seed=1), "words count"


def test_progress_is_in_seconds_of_music(musicgen: AudioCraftTTMBinding) -> None:
    seen: list[Progress] = []
    musicgen.generate_music(PROMPT, duration=30, seed=1, progress=seen.append)
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert (done[0], done[-1], seen[-1].total) == (0, 30, 30)
    assert len(set(done)) > 30 * FRAME_RATE * 0.8


def test_cancel_stops_between_steps(musicgen: AudioCraftTTMBinding) -> None:
    token, seen = CancelToken(), list[float]()

    def tell(progress: Progress) -> None:
        seen.append(progress.done)
        if progress.done >= 2:
            token.cancel()

    before = musicgen.generate_music(PROMPT, duration=2, seed=1)
    with pytest.raises(CallCancelled):
        musicgen.generate_music(PROMPT, duration=600, cancel=token, progress=tell)
    assert seen[-1] <= 2 + 2 / FRAME_RATE
    assert musicgen.generate_music(PROMPT, duration=2, seed=1) == before


def test_one_setting_chooses_the_engine(checkpoint: Path, tmp_path: Path) -> None:
    both = make_musicgen(tmp_path / "both")
    for name in ("state_dict.bin", "compression_state_dict.bin"):
        shutil.copy(checkpoint / name, both)
    for asked, given in (("auto", "audiocraft"), ("audiocraft", "audiocraft"), ("transformers", "transformers")):
        with AudioCraftTTMBinding(str(both), engine=asked, n_threads=1) as binding:
            made = binding.generate_music(PROMPT, duration=1, seed=1)
            assert (made.provenance.engine, made.duration) == (given, 1)  # type: ignore[union-attr]
    alone = make_musicgen(tmp_path / "alone")
    with AudioCraftTTMBinding(str(alone), n_threads=1) as binding:
        assert binding.generate_music(PROMPT, duration=1).provenance.engine == "transformers"  # type: ignore[union-attr]


def test_a_precision_that_is_not_its_own_is_told(checkpoint: Path) -> None:
    with (
        AudioCraftTTMBinding(str(checkpoint), dtype="bfloat16") as binding,
        pytest.raises(SettingsError, match="float32"),
    ):
        binding.load()


# --- the text encoder of the published models -----------------------------------------------------------------------

PROGRAM = """
from lollms_audiocraft import AudioCraftTTMBinding
from lollms_modalities import ModelNotFoundError
binding = AudioCraftTTMBinding(MODEL, n_threads=1)
try:
    made = binding.generate_music("a slow piano", duration=1, seed=1)
    print(tried, made.duration, made != binding.generate_music("drums", duration=1, seed=1))
except ModelNotFoundError as exc:
    print(tried, exc)
"""


def test_with_a_path_nobody_on_the_network_is_asked(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    model = tmp_path / "tiny"
    maker = [sys.executable, audiocraft_checkpoint.__file__, str(model), str(hub)]
    subprocess.run(
        maker, check=True, capture_output=True, env=os.environ | {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    )
    program = NO_NETWORK + PROGRAM.replace("MODEL", repr(str(model)))
    assert run(program, HF_HUB_CACHE=str(hub)) == "[] 1.0 True"
    said = run(program, HF_HUB_CACHE=str(tmp_path / "empty"))
    assert said.startswith("[] The MusicGen model")
    assert "hf download t5-small" in said


def run(program: str, **variables: str) -> str:
    """What a program prints in a Python of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False,
        env=environment | variables | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


# --- what is refused ------------------------------------------------------------------------------------------------


def refused(model: Path) -> ModelNotFoundError:
    with AudioCraftTTMBinding(str(model), n_threads=1) as binding, pytest.raises(ModelNotFoundError) as caught:
        binding.load()
    return caught.value


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint of one's own, to be spoilt."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
def test_a_pickle_with_code_is_refused_and_does_not_run(copy: Path, name: str) -> None:
    torch.save({"xp.cfg": "", "best_state": Trap()}, copy / name)
    assert "could run anything" in str(refused(copy))


@pytest.mark.parametrize("damage", ["no codec", "half a file", "another file", "other sizes", "no configuration"])
def test_a_damaged_model_is_told(copy: Path, damage: str) -> None:
    weights = copy / "state_dict.bin"
    if damage == "no codec":
        (copy / "compression_state_dict.bin").unlink()
    elif damage == "half a file":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif damage == "another file":
        weights.write_bytes(b"no weights at all")
    else:
        held = torch.load(weights)
        if damage == "other sizes":
            held["xp.cfg"] = held["xp.cfg"].replace("dim: 32", "dim: 64")
        else:
            del held["xp.cfg"]
        torch.save(held, weights)
    assert str(copy) in str(refused(copy))


def test_a_model_that_wants_a_melody_is_told(copy: Path) -> None:
    held = torch.load(copy / "state_dict.bin")
    config = OmegaConf.create(held["xp.cfg"])
    config.conditioners.self_wav = {
        "model": "chroma_stem", "chroma_stem": {"sample_rate": RATE, "n_chroma": 12, "radix2_exp": 14},
    }  # fmt: skip
    held["xp.cfg"] = OmegaConf.to_yaml(config)
    torch.save(held, copy / "state_dict.bin")
    with AudioCraftTTMBinding(str(copy)) as binding, pytest.raises(UnsupportedError, match="melody"):
        binding.load()
