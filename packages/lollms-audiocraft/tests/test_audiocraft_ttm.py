"""Music with MusicGen of transformers, on a tiny checkpoint: what a call gives, and that it is what the library gives."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lollms_audiocraft import AudioCraftTTMBinding
from lollms_audiocraft.engine import Sampling, Window
from lollms_modalities import Audio, CallCancelled, CancelToken, MediaError, OptionError, Progress
from musicgen_model import FRAME_RATE, RATE

HOP = RATE // FRAME_RATE
WINDOW = 2.0  # seconds, of the tiny checkpoint
PROMPT = "a slow piano"


@pytest.fixture(scope="module")
def musicgen(tiny_musicgen: Path) -> Iterator[AudioCraftTTMBinding]:
    with AudioCraftTTMBinding(str(tiny_musicgen), n_threads=1) as binding:
        yield binding


@pytest.fixture(scope="module")
def library(tiny_musicgen: Path) -> Callable[..., np.ndarray[Any, Any]]:
    """What transformers gives without us: float32, shape (n, channels)."""
    from transformers import AutoProcessor, MusicgenForConditionalGeneration

    model: Any = MusicgenForConditionalGeneration.from_pretrained(tiny_musicgen)
    processor = AutoProcessor.from_pretrained(tiny_musicgen)

    def generate(seed: int, new_tokens: int, given: Any = None, **options: Any) -> np.ndarray[Any, Any]:
        sound = {} if given is None else {"audio": given, "sampling_rate": RATE}
        inputs = processor(text=[PROMPT], return_tensors="pt", **sound)
        inputs.pop("padding_mask", None)
        torch.manual_seed(seed)
        made = model.generate(**inputs, max_new_tokens=new_tokens, **options)
        samples: np.ndarray[Any, Any] = made[0].T.numpy()
        return samples

    return generate


@pytest.fixture
def windows(musicgen: AudioCraftTTMBinding, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, int, Window]]:
    """What each window heard, its frames, and what came of it."""
    seen: list[tuple[Any, int, Window]] = []
    engine: Any = musicgen.model
    generate = engine.generate

    def watched(prompt: str, heard: Any, frames: int, sampling: Sampling, report: Any) -> Window:
        made: Window = generate(prompt, heard, frames, sampling, report)
        seen.append((heard, frames, made))
        return made

    monkeypatch.setattr(engine, "generate", watched)
    return seen


def equal(audio: Audio, samples: np.ndarray[Any, Any]) -> bool:
    return bool(Audio.from_samples(samples, audio.sample_rate) == audio)


# --- what it makes --------------------------------------------------------------------------------------------------


def test_music_is_what_the_library_makes(musicgen: AudioCraftTTMBinding, library: Any) -> None:
    made = musicgen.generate_music(PROMPT, duration=1.5, seed=7)
    assert (made.sample_rate, made.channels, made.duration, made.format) == (RATE, 1, 1.5, "wav")
    # Four codebooks, each a step behind the one before it.
    assert equal(made, library(7, 75 + 3, do_sample=True, temperature=1.0, top_k=250, guidance_scale=3.0))
    told = made.provenance
    assert told is not None
    assert (told.engine, told.seed, told.options["top_k"], told.options["cfg_coef"]) == ("transformers", 7, 250, 3.0)
    assert told.engine_version
    assert told.model == musicgen.settings.model_name


def test_options_are_the_library_s(musicgen: AudioCraftTTMBinding, library: Any) -> None:
    made = musicgen.generate_music(PROMPT, duration=1, seed=3, temperature=0.5, top_k=9, cfg_coef=1)
    assert equal(made, library(3, 53, do_sample=True, temperature=0.5, top_k=9, guidance_scale=None))
    made = musicgen.generate_music(PROMPT, duration=1, seed=3, top_p=0.3, top_k=1)
    assert equal(made, library(3, 53, do_sample=True, top_p=0.3, top_k=0, guidance_scale=3.0)), "top_p displaces top_k"
    made = musicgen.generate_music(PROMPT, duration=1, seed=3, temperature=0)
    assert equal(made, library(4, 53, do_sample=False, guidance_scale=3.0))


def test_each_option_counts(musicgen: AudioCraftTTMBinding) -> None:
    plain = musicgen.generate_music(PROMPT, duration=1, seed=1)
    for other in ({"seed": 2}, {"temperature": 3.0}, {"top_k": 2}, {"top_p": 0.2}, {"cfg_coef": 9.0}):
        assert musicgen.generate_music(PROMPT, **{"duration": 1, "seed": 1, **other}) != plain, other
    assert musicgen.generate_music("quick drums", duration=1, seed=1) != plain


def test_no_temperature_is_no_chance(musicgen: AudioCraftTTMBinding) -> None:
    certain = {musicgen.generate_music(PROMPT, duration=0.5, seed=n, temperature=0) for n in (1, 2)}
    certain.add(musicgen.generate_music(PROMPT, duration=0.5, seed=3, top_k=1))
    assert len(certain) == 1


@pytest.mark.parametrize("duration", [1e-9, 0.001, 0.02, 0.0755, 1.999, WINDOW, 2.0001, 3.3])
def test_any_duration_to_the_sample(musicgen: AudioCraftTTMBinding, duration: float) -> None:
    made = musicgen.generate_music(PROMPT, duration=duration, seed=1)
    assert len(made.to_numpy()) == max(1, round(duration * RATE))


def test_the_binding_s_settings_are_the_defaults(tiny_musicgen: Path, musicgen: AudioCraftTTMBinding) -> None:
    defaults: dict[str, Any] = {"duration": 0.5, "temperature": 0.7, "top_k": 20, "top_p": 0.9, "cfg_coef": 2.0}
    settings = {f"default_{name}": value for name, value in defaults.items()}
    with AudioCraftTTMBinding(str(tiny_musicgen), n_threads=1, output_format="flac", **settings) as other:
        made = other.generate_music(PROMPT, seed=1)
        assert made.format == "flac"
        assert made.convert("wav") == musicgen.generate_music(PROMPT, seed=1, **defaults)
        assert other.generate_music(PROMPT, seed=1, output_format="wav").format == "wav"


@pytest.mark.parametrize("form", ["wav", "mp3", "flac", "ogg", "opus"])
def test_formats(musicgen: AudioCraftTTMBinding, tmp_path: Path, form: str) -> None:
    made = musicgen.generate_music(PROMPT, duration=1, seed=1, output_format=form)
    assert (made.format, made.channels) == (form, 1)
    assert made.duration == pytest.approx(1, abs=0.1)
    assert np.abs(made.to_numpy()).max() > 0.01
    written = musicgen.generate_music(PROMPT, duration=1, seed=1, output_path=tmp_path / f"x.{form}")
    assert written.path == tmp_path / f"x.{form}"
    assert written.format == form


def test_two_channels(tiny_stereo: Path) -> None:
    with AudioCraftTTMBinding(str(tiny_stereo), n_threads=1) as stereo:
        made = stereo.generate_music(PROMPT, duration=3, seed=1)
        left, right = made.to_numpy().T
        assert (made.channels, made.duration) == (2, 3)
        assert not np.array_equal(left, right)
        one = Audio.from_samples(left[:RATE], RATE)
        more = stereo.generate_music(PROMPT, duration=2, seed=1, continue_from=one).to_numpy()
        assert np.array_equal(more[: RATE - 320, 0], more[: RATE - 320, 1]), "sound of one channel is heard in both"
        # A codebook of the left, one of the right, and so on, as the model was told.
        engine: Any = stereo.model
        ours = engine.encode(more[: 640 * 20])
        with torch.no_grad():
            inputs: Any = engine._model._prepare_audio_encoder_kwargs_for_generation(
                torch.from_numpy(more[: 640 * 20].T.copy())[None], {}
            )
        assert torch.equal(ours, inputs["decoder_input_ids"])


# --- beyond one window ----------------------------------------------------------------------------------------------


def test_a_long_piece_is_made_of_windows_that_overlap(musicgen: AudioCraftTTMBinding, windows: Any) -> None:
    made = musicgen.generate_music(PROMPT, duration=5, seed=1).to_numpy()[:, 0]
    # 2 s, and three times 1.2 s after 0.8 s that are known.
    assert [frames for _, frames, _ in windows] == [100, 100, 100, 70]
    assert windows[0][0] is None
    for before, after in pairwise(windows):
        heard, codes = after[0], after[2].codes
        assert torch.equal(heard, before[2].codes[:, -40:])
        assert torch.equal(codes[:, :40], heard), "a window begins with what it heard"
    # Away from its edges each window is there as the codec made it.
    at = 0
    for n, (_, frames, window) in enumerate(windows):
        first, last = (0 if n == 0 else 22 * HOP), (frames - (0 if n == 3 else 22)) * HOP
        assert np.array_equal(to_16_bit(window.samples[first:last, 0]), made[at + first : at + last])
        at += (frames - 40) * HOP


def test_what_comes_first_does_not_depend_on_the_length(musicgen: AudioCraftTTMBinding) -> None:
    short = musicgen.generate_music(PROMPT, duration=2, seed=1).to_numpy()
    long = musicgen.generate_music(PROMPT, duration=4, seed=1).to_numpy()
    assert np.array_equal(short[: round(1.5 * RATE)], long[: round(1.5 * RATE)])


def test_windows_meet_where_both_know_the_sound(musicgen: AudioCraftTTMBinding, windows: Any) -> None:
    musicgen.generate_music(PROMPT, duration=3, seed=1)
    one, two = (window.samples for _, _, window in windows)
    middle = slice(round(1.59 * RATE), round(1.61 * RATE))
    shifted = slice(middle.start - round(1.2 * RATE), middle.stop - round(1.2 * RATE))
    assert np.abs(one[middle] - two[shifted]).max() < 0.1 * np.abs(one[middle]).max()


@pytest.mark.parametrize(("overlap", "count"), [(0.1, 3), (1.0, 4), (1.9, 31), (None, 4)])
def test_overlap(musicgen: AudioCraftTTMBinding, windows: Any, overlap: float | None, count: int) -> None:
    made = musicgen.generate_music(PROMPT, duration=5, seed=1, overlap=overlap, temperature=0)
    assert len(windows) == count
    assert made.duration == 5


@pytest.mark.parametrize("overlap", [2.0, 60])
def test_an_overlap_that_leaves_nothing_new_is_told(musicgen: AudioCraftTTMBinding, overlap: float) -> None:
    with pytest.raises(OptionError, match=r"nothing new in a window of 2 s"):
        musicgen.generate_music(PROMPT, duration=5, overlap=overlap)


def to_16_bit(samples: Any) -> Any:
    return Audio.from_samples(samples, RATE).to_numpy()[:, 0]


# --- continuation ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun() -> Audio:
    """Half a second of a chord."""
    time = np.arange(RATE // 2) / RATE
    return Audio.from_samples(sum(0.2 * np.sin(2 * np.pi * f * time) for f in (220, 277, 330)), RATE)


def test_a_continuation_is_the_library_s(musicgen: AudioCraftTTMBinding, library: Any, begun: Audio) -> None:
    made = musicgen.generate_music(PROMPT, duration=1.5, seed=7, continue_from=begun).to_numpy()
    given = begun.to_numpy()[:, 0]
    theirs = library(7, 75 + 3 - 25, given, do_sample=True, top_k=250, guidance_scale=3.0)
    assert len(made) == len(theirs)
    assert np.array_equal(made[: len(given) - 320, 0], given[:-320]), "the result begins with what was given"
    assert np.array_equal(made[len(given) :, 0], to_16_bit(theirs[len(given) :, 0]))


def test_the_common_name_of_what_goes_on(musicgen: AudioCraftTTMBinding, begun: Audio) -> None:
    older = musicgen.generate_music(PROMPT, duration=1.5, seed=7, continue_from=begun)
    assert musicgen.generate_music(PROMPT, duration=1.5, seed=7, audio=begun) == older
    with pytest.raises(OptionError, match="one option"):
        musicgen.generate_music(PROMPT, duration=1.5, audio=begun, continue_from=begun)
    for absent in ("lyrics", "start", "negative_prompt"):
        with pytest.raises(OptionError, match=absent):
            musicgen.generate_music(PROMPT, **{absent: "x"})


def test_a_continuation_hears_what_was_given(musicgen: AudioCraftTTMBinding, begun: Audio) -> None:
    silence = Audio.from_samples(np.zeros(RATE // 2, np.float32), RATE)
    one = musicgen.generate_music(PROMPT, duration=1, seed=1, continue_from=begun).to_numpy()
    other = musicgen.generate_music(PROMPT, duration=1, seed=1, continue_from=silence).to_numpy()
    assert not np.array_equal(one[RATE // 2 :], other[RATE // 2 :])


def test_of_a_long_piece_the_end_is_heard(musicgen: AudioCraftTTMBinding, windows: Any) -> None:
    piece = musicgen.generate_music("drums", duration=4.5, seed=1)
    windows.clear()
    made = musicgen.generate_music(PROMPT, duration=6, seed=1, continue_from=piece)
    assert [(heard.shape, frames) for heard, frames, _ in windows] == [((4, 40), 100), ((4, 40), 55)]
    assert np.array_equal(made.to_numpy()[: 4 * RATE], piece.to_numpy()[: 4 * RATE])


@pytest.mark.parametrize("form", ["path", "str", "bytes", "file", "mp3", "other rate", "stereo"])
def test_what_is_given_may_be_any_media(
    musicgen: AudioCraftTTMBinding, begun: Audio, tmp_path: Path, form: str
) -> None:
    samples = begun.to_numpy()
    given: Any = {
        "path": lambda: begun.save(tmp_path / "x.wav"),
        "str": lambda: str(begun.save(tmp_path / "x.flac")),
        "bytes": lambda: bytes(begun),
        "file": lambda: io.BytesIO(begun),
        "mp3": lambda: begun.convert("mp3"),
        "other rate": lambda: Audio.from_samples(samples[::2], RATE // 2),
        "stereo": lambda: Audio.from_samples(np.repeat(samples, 2, axis=1), RATE),
    }[form]()
    made = musicgen.generate_music(PROMPT, duration=1.5, seed=1, continue_from=given)
    assert made.duration == 1.5
    heard, plain = made.to_numpy()[2000:12000, 0], samples[2000:12000, 0]
    # A lossy format moves the sound by some samples.
    match = max(float(np.corrcoef(heard, np.roll(plain, shift))[0, 1]) for shift in range(-1500, 1500, 10))
    assert match > 0.95


@pytest.mark.parametrize(("seconds", "said"), [(2.0, "duration counts the given sound"), (0.01, "0.010 s only")])
def test_a_continuation_that_is_none_is_told(musicgen: AudioCraftTTMBinding, seconds: float, said: str) -> None:
    given = Audio.from_samples(np.zeros(round(seconds * RATE), np.float32), RATE)
    with pytest.raises(OptionError, match=said):
        musicgen.generate_music(PROMPT, duration=2, continue_from=given)


def test_what_is_no_sound_is_told(musicgen: AudioCraftTTMBinding) -> None:
    with pytest.raises(MediaError):
        musicgen.generate_music(PROMPT, continue_from=b"no sound at all")
    with pytest.raises(OptionError, match="continue_from"):
        musicgen.generate_music(PROMPT, continue_from="no/such.wav")


# --- progress and stopping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [0.0, 0.5])
def test_progress_is_in_seconds_of_music(musicgen: AudioCraftTTMBinding, begun: Audio, given: float) -> None:
    seen: list[Progress] = []
    more = {"continue_from": begun} if given else {}
    musicgen.generate_music(PROMPT, duration=4, seed=1, progress=seen.append, **more)
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 4 - given)
    assert {(p.total, p.unit) for p in seen} == {(4 - given, "s")}
    assert len(set(done)) > 4 * FRAME_RATE * 0.8, "each step tells"


@pytest.mark.parametrize("after", [0.3, 2.5])
def test_cancel_stops_between_steps(musicgen: AudioCraftTTMBinding, after: float) -> None:
    token, seen = CancelToken(), list[float]()

    def tell(progress: Progress) -> None:
        seen.append(progress.done)
        if progress.done >= after:
            token.cancel()

    before = musicgen.generate_music(PROMPT, duration=0.5, seed=1)
    with pytest.raises(CallCancelled):
        musicgen.generate_music(PROMPT, duration=60, cancel=token, progress=tell)
    assert seen[-1] <= after + 2 / FRAME_RATE
    assert musicgen.generate_music(PROMPT, duration=0.5, seed=1) == before


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("duration", 0), ("duration", 3601), ("duration", float("nan")), ("temperature", -1), ("top_k", -1), ("top_p", 1.5),
        ("cfg_coef", 0.5), ("cfg_coef", float("nan")), ("overlap", 0), ("seed", -5), ("cfg_coeff", 3),
    ],
)  # fmt: skip
def test_wrong_options_are_told(musicgen: AudioCraftTTMBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        musicgen.generate_music(PROMPT, **{option: wrong})


def test_a_top_k_beyond_the_codes_is_all_of_them(musicgen: AudioCraftTTMBinding) -> None:
    every = musicgen.generate_music(PROMPT, duration=0.5, seed=1, top_k=10**6)
    assert every == musicgen.generate_music(PROMPT, duration=0.5, seed=1, top_k=0)


def test_words_that_the_tokenizer_does_not_know(musicgen: AudioCraftTTMBinding) -> None:
    for prompt in ("♪♪♪ 你好", "", "x" * 3000):
        assert musicgen.generate_music(prompt, duration=0.3, seed=1).duration == pytest.approx(0.3)
