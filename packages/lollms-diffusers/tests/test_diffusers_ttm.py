"""Music, by tiny models of ACE-Step 1.5, Stable Audio and AudioLDM 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_diffusers import DiffusersTTMBinding, DiffusersTTVBinding
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    LollmsTTMBindingManager,
    OptionError,
    Progress,
    UnsupportedError,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning"),  # of the autoencoder of sound
    pytest.mark.filterwarnings("ignore:`past_key_values`:FutureWarning"),  # of AudioLDM 2's language model
    pytest.mark.filterwarnings("ignore:The prompt has"),  # CLAP reads 64 tokens here
]
STEPS = {"num_inference_steps": 2, "n_threads": 1}


@pytest.fixture(scope="module", params=["ace_step", "stable_audio", "audioldm2"])
def either(request: pytest.FixtureRequest, model: Callable[[str], Path]) -> Iterator[tuple[DiffusersTTMBinding, Path]]:
    path = model(request.param)
    with DiffusersTTMBinding(model_id_or_path=str(path), **STEPS) as binding:
        yield binding, path


@pytest.fixture(scope="module")
def songs(model: Callable[[str], Path]) -> Iterator[DiffusersTTMBinding]:
    with DiffusersTTMBinding(model_id_or_path=str(model("ace_step")), **STEPS) as binding:
        yield binding


def test_it_is_what_the_library_makes(either: tuple[DiffusersTTMBinding, Path]) -> None:
    import torch
    from diffusers import DiffusionPipeline

    binding, path = either
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    length = {"AceStepPipeline": "audio_duration", "StableAudioPipeline": "audio_end_in_s"}.get(
        type(pipe).__name__, "audio_length_in_s"
    )
    generator = torch.Generator("cpu").manual_seed(7)
    alone = pipe(prompt="a slow waltz", num_inference_steps=2, generator=generator, **{length: 1.0}).audios[0]
    made = binding.generate_music("a slow waltz", duration=1.0, seed=7)
    expected = Audio.from_samples(np.asarray(alone, np.float32).T, 4000)
    channels = 1 if path.name == "audioldm2" else 2
    assert (made.sample_rate, made.channels, made.duration) == (4000, channels, 1.0)
    assert made == expected
    assert np.abs(made.to_numpy()).max() > 0.01


def test_seeds_prompts_and_durations(either: tuple[DiffusersTTMBinding, Path]) -> None:
    binding, _ = either
    made = binding.generate_music("a slow waltz", duration=1.0, seed=1)
    assert binding.generate_music("a slow waltz", duration=1.0, seed=1) == made
    assert binding.generate_music("a slow waltz", duration=1.0, seed=2) != made
    assert binding.generate_music("fast drums", duration=1.0, seed=1) != made
    for seconds in (0.5, 1.37, 2.0):
        assert binding.generate_music("x", duration=seconds).duration == pytest.approx(seconds, abs=0.011)
    assert made.provenance is not None
    assert made.provenance.seed == 1


def test_lyrics_are_sung_where_a_model_sings(either: tuple[DiffusersTTMBinding, Path]) -> None:
    binding, path = either
    plain = binding.generate_music("a song", duration=1.0, seed=1)
    if path.name == "ace_step":
        sung = binding.generate_music("a song", duration=1.0, seed=1, lyrics="[verse]\nla la la")
        assert sung != plain
        assert binding.generate_music(
            "a song", duration=1.0, seed=1, lyrics="[verse]\nla la la", vocal_language="fr"
        ) not in (sung, plain)
        with pytest.warns(UserWarning, match="no negative prompt"):
            binding.generate_music("a song", duration=1.0, negative_prompt="noise")
    else:
        with pytest.raises(OptionError, match="lyrics"):
            binding.generate_music("a song", lyrics="la la la")
        assert binding.generate_music("a song", duration=1.0, seed=1, negative_prompt="noise") != plain


def piece(seconds: float, rate: int = 4000, channels: int = 2) -> Audio:
    """A chord that is a little different in each channel."""
    times = np.arange(round(seconds * rate)) / rate
    sound = [0.3 * np.sin(2 * np.pi * (220 + 30 * n) * times) for n in range(channels)]
    return Audio.from_samples(np.stack(sound, axis=1).astype(np.float32), rate)


def test_a_part_is_made_anew_and_the_rest_stays_to_the_sample(songs: DiffusersTTMBinding) -> None:
    given = piece(2.0)
    made = songs.generate_music("quick drums", audio=given, start=0.5, end=1.25, seed=3)
    assert (made.sample_rate, made.channels, made.duration) == (4000, 2, 2.0)
    before, after = given.to_numpy(), made.to_numpy()
    assert np.array_equal(before[:2000], after[:2000])
    assert np.array_equal(before[5000:], after[5000:])
    # Another sound, which does not begin with a click, as loud as what is around it could make it.
    inside = after[2000:5000]
    assert np.abs(inside[100:-100] - before[2100:4900]).max() > 0.05
    assert np.abs(np.diff(after[1999:2004], axis=0)).max() < 0.2
    assert np.abs(after).max() <= 1
    assert songs.generate_music("quick drums", audio=given, start=0.5, end=1.25, seed=3) == made
    assert songs.generate_music("quick drums", audio=given, start=0.5, end=1.25, seed=4) != made
    assert songs.generate_music("a waltz", audio=given, start=0.5, end=1.25, seed=3) != made


@pytest.mark.parametrize(("start", "end", "kept"), [(None, 0.7, slice(2800, None)), (1.3, None, slice(0, 5200))])
def test_a_part_may_be_the_beginning_or_the_end(
    songs: DiffusersTTMBinding, start: float | None, end: float | None, kept: slice
) -> None:
    given = piece(1.987)  # no whole number of the autoencoder's steps
    made = songs.generate_music("drums", audio=given, start=start, end=end, seed=1).to_numpy()
    assert len(made) == len(given.to_numpy())
    assert np.array_equal(made[kept], given.to_numpy()[kept])
    assert not np.array_equal(made, given.to_numpy())


def test_what_is_made_anew_is_what_the_library_makes(songs: DiffusersTTMBinding) -> None:
    import torch
    from lollms_modalities.kit.torch import seeded

    given = piece(2.0)
    made = songs.generate_music("drums", audio=given, start=0.5, end=1.5, seed=3).to_numpy()[2100:5900]
    pipe = songs.model.pipe
    with seeded(3, torch.device("cpu")):
        alone: Any = pipe(
            prompt="drums",
            task_type="repaint",
            src_audio=torch.from_numpy(given.to_numpy().T.copy()),
            audio_duration=2.0,
            repainting_start=0.5,
            repainting_end=1.5,
            num_inference_steps=2,
            generator=torch.Generator("cpu").manual_seed(3),
            output_type="np",
        )
    alone = alone.audios[0].T[2100:5900]
    # But for its loudness, and the sixteen bits of a result.
    loudness = float((made * alone).sum() / (alone * alone).sum())
    assert np.abs(made - loudness * alone).max() < 1e-4


def test_a_song_goes_on(songs: DiffusersTTMBinding, tmp_path: Path) -> None:
    path = tmp_path / "intro.wav"
    given = piece(1.0, rate=8000, channels=1)
    path.write_bytes(bytes(given))
    longer = songs.generate_music("strings join", audio=path, duration=2.5, lyrics="la la", seed=1)
    assert longer.duration == 2.5
    heard = longer.to_numpy()
    assert np.abs(heard[:3900, 0] - given.to_numpy()[: 2 * 3900 : 2, 0]).max() < 0.05
    assert np.array_equal(heard[:4000, 0], heard[:4000, 1])
    assert np.abs(heard[4000:]).max() > 0.01


def test_what_cannot_be_made_of_given_music_is_told(
    songs: DiffusersTTMBinding, either: tuple[DiffusersTTMBinding, Path]
) -> None:
    given = piece(1.0)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"audio": given, "duration": 0.9}, "lasts 1.00 s, the result is to last 0.90 s"),
        ({"audio": given, "start": 1.0}, "no part from 1 to 1 s"),
        ({"audio": given, "start": 0.2, "end": 1.5}, "no part from 0.2 to 1.5 s"),
        ({"audio": given, "start": 0.5, "end": 0.5}, "after start"),
        ({"audio": piece(0.05), "duration": 1}, "0.050 s only"),
        ({"start": 0.5}, "give audio"),
    ]
    for options, told in wrong:
        with pytest.raises(OptionError, match=told):
            songs.generate_music("drums", **options)
    binding, path = either
    if path.name != "ace_step":
        with pytest.raises(OptionError, match="takes no music"):
            binding.generate_music("drums", audio=given, duration=2.0)


def test_progress_and_cancel(either: tuple[DiffusersTTMBinding, Path]) -> None:
    binding, _ = either
    seen: list[Progress] = []
    binding.generate_music("x", duration=0.5, num_inference_steps=4, progress=seen.append)
    assert [p.done for p in seen] == [0, 1, 2, 3, 4]
    assert (seen[-1].total, seen[-1].unit) == (4, "step")
    token = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.done == 2:
            token.cancel()

    with pytest.raises(CallCancelled):
        binding.generate_music("x", duration=0.5, num_inference_steps=500, cancel=token, progress=stop)
    assert binding.generate_music("x", duration=0.5)


@pytest.mark.parametrize(
    ("option", "wrong"), [("duration", 0), ("duration", 601), ("num_inference_steps", 0), ("width", 64), ("fps", 3)]
)
def test_wrong_options_are_told(songs: DiffusersTTMBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        songs.generate_music("x", **{option: wrong})


def test_a_model_of_another_kind_says_so(model: Callable[[str], Path]) -> None:
    music = DiffusersTTMBinding(model_id_or_path=str(model("ltx")), **STEPS)
    with music, pytest.raises(UnsupportedError, match="makes no music"):
        music.generate_music("x")
    films = DiffusersTTVBinding(model_id_or_path=str(model("ace_step")), **STEPS)
    with films, pytest.raises(UnsupportedError, match="films nothing"):
        films.generate_video("x")


def test_found_and_listed(songs: DiffusersTTMBinding) -> None:
    assert "diffusers" in LollmsTTMBindingManager().get_available_bindings()
    assert "ACE-Step/acestep-v15-xl-turbo-diffusers" in songs.list_models()
    assert songs.capabilities.seed
