"""Bark on a tiny checkpoint: text, voices, temperatures, seeds, streams, stopping."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bark_model import make_bark
from checkpoints import Trap
from kept import made_by
from lollms_bark import BarkTTMBinding, BarkTTSBinding
from lollms_bark.engine import Bark
from lollms_modalities import (
    Audio,
    BindingDependencyError,
    CallCancelled,
    CancelToken,
    GenerationError,
    OptionError,
    Progress,
    SettingsError,
    VoiceNotFoundError,
)

SENTENCE = "A short one here."
WORDS = "A first sentence here. Then another one. And now, a third one comes."


@pytest.fixture(scope="module")
def tts(tiny_bark: Path) -> Iterator[BarkTTSBinding]:
    with BarkTTSBinding(str(tiny_bark), n_threads=1) as binding:
        yield binding


@pytest.fixture(scope="module")
def ttm(tiny_bark: Path) -> Iterator[BarkTTMBinding]:
    with BarkTTMBinding(str(tiny_bark), n_threads=1) as binding:
        yield binding


@pytest.fixture(scope="module")
def voiceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has one voice only, which is not the default."""
    return made_by(make_bark, tmp_path_factory.mktemp("bark") / "voiceless", voices=["v2/de_speaker_3"])


@pytest.fixture(scope="module")
def breathless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that always goes on until it can no more."""
    return made_by(make_bark, tmp_path_factory.mktemp("bark") / "breathless", longest=160, shortest=160)


Spy = Callable[[BarkTTSBinding | BarkTTMBinding, str], list[tuple[tuple[Any, ...], dict[str, Any]]]]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Writes down the calls of a method of the library's model, which runs as ever."""

    def spy(binding: BarkTTSBinding | BarkTTMBinding, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        owner = binding.model._model
        *parts, last = name.split(".")
        for part in parts:
            owner = getattr(owner, part)
        real = getattr(owner, last)

        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append((args, kwargs))
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, last, call)
        return seen

    return spy


# --- text -----------------------------------------------------------------------------------------------------------


def test_voices_have_the_language_of_their_name() -> None:
    rows = BarkTTSBinding().describe_voices()
    assert len(rows) == 130
    found = {row["name"]: (row["language"], row["default"]) for row in rows}
    assert found["v2/en_speaker_6"] == ("en", True)
    assert found["v2/zh_speaker_0"] == ("zh", False)
    assert [row["language"] for row in BarkTTSBinding().describe_voices(language="de-AT")] == ["de"] * 10


def test_a_sentence_sounds_as_the_library_alone_makes_it(tts: BarkTTSBinding, tiny_bark: Path) -> None:
    from transformers import BarkModel, BarkProcessor

    model: Any = BarkModel.from_pretrained(tiny_bark)
    processor: Any = BarkProcessor.from_pretrained(tiny_bark)
    inputs = processor([SENTENCE], voice_preset="v2/en_speaker_6")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        alone, _ = model.generate(**inputs, return_output_lengths=True)
    assert tts.generate_audio(SENTENCE, seed=5) == Audio.from_samples(alone[0].numpy(), 24000)


def test_sentences_are_made_together_after_the_first_and_joined_with_even_pauses(tts: BarkTTSBinding, spy: Spy) -> None:
    calls = spy(tts, "generate")
    text = " ".join(f"Sentence {word} of it." for word in ("one", "two", "three", "four", "five", "six"))
    chunks = list(tts.stream_audio(text, seed=1, batch_size=3))
    assert [len(kwargs["input_ids"]) for _, kwargs in calls] == [1, 3, 2]
    assert [chunk.text for chunk in chunks[::2]] == [f"{part.strip()}." for part in text.split(".")[:-1]]
    assert all(chunk.duration > 0.1 for chunk in chunks[::2])
    pauses = chunks[1::2]
    assert len(pauses) == 5
    assert {(pause.duration, pause.text, pause.samples.any()) for pause in pauses} == {(0.25, "", False)}
    assert Audio.from_chunks(chunks) == tts.generate_audio(text, seed=1, batch_size=3)
    gapless = tts.generate_audio(text, seed=1, batch_size=3, sentence_silence=0)
    assert gapless.duration == pytest.approx(sum(chunk.duration for chunk in chunks[::2]))


@pytest.mark.parametrize(
    "text",
    [
        "One sentence that goes on and on, clause after clause, until the model could say no more of it, if it were not cut.",
        "words without any stop or comma " * 8,
        "你好世界，" * 12,
        "abcdefghij" * 20,
    ],
)  # fmt: skip
def test_text_beyond_what_the_model_can_say_is_cut_in_pieces_and_none_is_lost(
    tts: BarkTTSBinding, spy: Spy, text: str
) -> None:
    calls = spy(tts, "generate")
    spoken = [chunk.text for chunk in tts.stream_audio(text, seed=2) if chunk.text]
    assert len(spoken) > 1
    assert "".join("".join(spoken).split()) == "".join(text.split())
    bark: Bark = tts.model
    read = [int(n) for _, kwargs in calls for n in kwargs["attention_mask"].sum(1)]
    assert read == [bark.tokens(piece) for piece in spoken]
    assert max(read) <= bark.text_limit == 46  # of 768 semantic tokens, 49.9 a second, 3 tokens of text a second


def test_sound_as_long_as_it_can_be_is_made_again_in_halves(breathless: Path) -> None:
    with BarkTTSBinding(str(breathless), n_threads=1) as tts, BarkTTMBinding(str(breathless), n_threads=1) as ttm:
        chunks = [chunk for chunk in tts.stream_audio("a b c d", sentence_silence=0) if chunk.text]
        assert tts.model.text_limit == 9
        assert [chunk.text for chunk in chunks] == ["a", "b", "c d"]
        assert {round(chunk.duration, 2) for chunk in chunks} == {3.2}
        assert [chunk.text for chunk in tts.stream_audio("hi")] == ["hi"]  # too short to be cut off
        assert ttm.generate_music("boom [X]").duration == pytest.approx(3.2, abs=0.01)


def test_text_of_which_nothing_is_known_is_refused(tts: BarkTTSBinding) -> None:
    with pytest.raises(OptionError, match="knows nothing of the text") as caught:
        tts.generate_audio("ΞΨΩ ЖЩ")
    assert "zh" in caught.value.hint
    # What can be said of a text is said.
    assert [chunk.text for chunk in tts.stream_audio("Hello you. ΞΨΩ! ... Bye.") if chunk.text] == [
        "Hello you.",
        "Bye.",
    ]


# --- voices ---------------------------------------------------------------------------------------------------------


def test_there_are_130_voices_ten_of_each_language(tts: BarkTTSBinding, ttm: BarkTTMBinding) -> None:
    voices = tts.list_voices()
    assert len(set(voices)) == len(voices) == 130
    assert voices == ttm.list_voice_presets()
    assert all(len(tts.list_voices(language=language)) == 10 for language in tts.capabilities.languages)
    german = [f"v2/de_speaker_{n}" for n in range(10)]
    assert tts.list_voices(language="de") == ttm.list_voice_presets(language="de-AT") == german
    assert tts.list_voices(language="DE_ch") == german
    assert tts.list_voices(language="nl") == tts.list_voices(language="") == []
    with pytest.raises(OptionError):
        tts.list_voices(language=3)  # type: ignore[arg-type]


def test_voices_differ(tts: BarkTTSBinding, ttm: BarkTTMBinding) -> None:
    said = [tts.generate_audio(SENTENCE, voice, seed=1) for voice in (None, "v2/en_speaker_6", "v2/de_speaker_3")]
    assert said[0] == said[1] != said[2]
    sung = [ttm.generate_music(SENTENCE, voice_preset=voice, seed=1) for voice in (None, "v2/en_speaker_6")]
    assert sung[0] != sung[1] == said[1]


@pytest.mark.parametrize("form", ["{path}", "{path}.npz", "v2/en_speaker_66", "v2/xx_speaker_0", "../{path}", "\0"])
def test_names_that_are_no_presets_never_reach_the_library(
    tts: BarkTTSBinding, ttm: BarkTTMBinding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = tmp_path / "voice"
    empty = np.zeros((1, 1), dtype=np.int64)
    np.savez(path, semantic_prompt=empty[0], coarse_prompt=empty, fine_prompt=empty)
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: pytest.fail("a file was opened"))
    name = form.format(path=path)
    with pytest.raises(VoiceNotFoundError, match="no voice preset") as caught:
        tts.generate_audio(SENTENCE, name)
    assert "v2/" in caught.value.hint
    with pytest.raises(VoiceNotFoundError):
        ttm.generate_music(SENTENCE, voice_preset=name)
    for settings in ({"default_voice": name}, {"default_voice_preset": name}):
        with pytest.raises(SettingsError, match="default_voice"):
            (BarkTTSBinding if "default_voice" in settings else BarkTTMBinding)(**settings)


def test_a_default_voice_that_the_model_lacks_is_left_out_and_a_named_one_raises(voiceless: Path) -> None:
    with BarkTTSBinding(str(voiceless), n_threads=1) as tts:
        with pytest.warns(UserWarning, match=r"lacks the voice preset 'v2/en_speaker_6', which is the default"):
            left_out = tts.generate_audio(SENTENCE, seed=1)
        assert left_out.provenance is not None
        assert left_out.provenance.extra == {"left_out": "v2/en_speaker_6"}
        for named in ("v2/en_speaker_6", "announcer"):
            with pytest.raises(VoiceNotFoundError, match=f"lacks the voice preset '{named}'"):
                tts.generate_audio(SENTENCE, named)
        assert tts.generate_audio(SENTENCE, "v2/de_speaker_3", seed=1) != left_out
        tts.set_settings({"default_voice": None})
        assert tts.generate_audio(SENTENCE, seed=1) == left_out
    with BarkTTMBinding(str(voiceless), n_threads=1, default_voice_preset="v2/en_speaker_6") as ttm:
        with pytest.warns(UserWarning, match="lacks the voice preset"):
            assert ttm.generate_music(SENTENCE, seed=1) == left_out
        with pytest.raises(VoiceNotFoundError):
            ttm.generate_music(SENTENCE, voice_preset="v2/en_speaker_6")


@pytest.mark.parametrize("damage", ["a pickle", "no file", "codes of a larger model", "floats", "a wrong shape"])
def test_a_damaged_voice_is_told(tmp_path: Path, damage: str) -> None:
    folder = made_by(make_bark, tmp_path / "bark", voices=["v2/de_speaker_3", "v2/en_speaker_6"])
    path = folder / "speaker_embeddings/v2/en_speaker_6_coarse_prompt.npy"
    codes = np.load(path)
    if damage == "a pickle":
        np.save(path, np.array([[Trap()], [Trap()]], dtype=object), allow_pickle=True)
    elif damage == "no file":
        path.unlink()
    else:
        changed = {"codes of a larger model": codes + 1000, "floats": codes / 2, "a wrong shape": codes[0]}[damage]
        np.save(path, changed)
    with BarkTTSBinding(str(folder), n_threads=1) as tts:
        with pytest.raises(VoiceNotFoundError, match="missing or damaged"):
            tts.generate_audio(SENTENCE)
        assert tts.generate_audio(SENTENCE, "v2/de_speaker_3").duration > 0


def test_a_table_of_voices_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = made_by(make_bark, tmp_path / "bark", voices=["v2/en_speaker_6"])
    table = folder / "speaker_embeddings_path.json"
    told = json.loads(table.read_text())
    (folder / "speaker_embeddings/v2/en_speaker_6_fine_prompt.npy").rename(tmp_path / "outside.npy")
    told["v2/en_speaker_6"]["fine_prompt"] = "../outside.npy"
    table.write_text(json.dumps(told))
    with BarkTTSBinding(str(folder), n_threads=1) as tts, pytest.raises(VoiceNotFoundError, match="damaged"):
        tts.generate_audio(SENTENCE)


# --- temperatures and seeds -----------------------------------------------------------------------------------------


def test_each_stage_has_its_temperature(tts: BarkTTSBinding, spy: Spy) -> None:
    stages = [spy(tts, f"{stage}.generate") for stage in ("semantic", "coarse_acoustics", "fine_acoustics")]

    def heats() -> list[tuple[Any, Any]]:
        return [(calls[-1][1].get("do_sample"), calls[-1][1].get("temperature")) for calls in stages]

    tts.generate_audio(SENTENCE)
    assert heats() == [(None, None), (None, None), (None, None)]  # the checkpoint's own
    tts.generate_audio(SENTENCE, temperature=0.4, coarse_temperature=0.9)
    assert heats() == [(True, 0.4), (True, 0.9), (None, 0.4)]
    tts.generate_audio(SENTENCE, semantic_temperature=0, fine_temperature=1)
    assert heats()[:2] == [(False, None), (None, None)]
    assert heats()[2][1] == pytest.approx(1, abs=1e-5)
    assert heats()[2][1] != 1  # which the library takes for none


def test_at_no_temperature_there_is_no_chance(ttm: BarkTTMBinding) -> None:
    cold = {"temperature": 0, "voice_preset": "v2/en_speaker_6"}
    assert ttm.generate_music("hi", seed=1, **cold) == ttm.generate_music("hi", seed=2, **cold)
    first, second = (ttm.generate_music("hi", seed=seed, fine_temperature=1, **cold) for seed in (1, 2))
    assert first.duration == second.duration
    assert first != second


def test_a_seed_repeats_and_leaves_torch_s_own_as_it_was(tts: BarkTTSBinding) -> None:
    state = torch.get_rng_state()
    first = tts.generate_audio(WORDS, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert tts.generate_audio(WORDS, seed=3) == first != tts.generate_audio(WORDS, seed=4)
    stream = tts.stream_audio(WORDS, seed=3)
    chunks = [next(stream)]
    torch.rand(5)
    assert Audio.from_chunks([*chunks, *stream]) == first


# --- streams and stopping -------------------------------------------------------------------------------------------


def test_a_stream_gives_the_first_sentence_before_the_second_is_made(tts: BarkTTSBinding, spy: Spy) -> None:
    calls = spy(tts, "generate")
    with tts.stream_audio(WORDS) as stream:  # type: ignore[attr-defined]
        assert next(stream).text == "A first sentence here."
        assert len(calls) == 1
    assert len(calls) == 1
    assert tts.generate_audio(SENTENCE).duration > 0


def test_progress_grows_within_a_sentence(tts: BarkTTSBinding) -> None:
    seen: list[Progress] = []
    tts.generate_audio(SENTENCE, progress=seen.append, seed=1)
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert (done[0], done[-1], seen[0].total, seen[0].unit) == (0, len(SENTENCE), len(SENTENCE), "character")
    assert len(set(done)) > 10


@pytest.mark.parametrize(("stage", "part"), [("semantic", 0.01), ("coarse", 0.4), ("fine", 0.92)])
def test_every_stage_can_be_stopped(tts: BarkTTSBinding, spy: Spy, stage: str, part: float) -> None:
    decoded = spy(tts, "codec_decode")
    token = CancelToken()
    steps_after = 0
    long_words = "o " * 23

    def stop(progress: Progress) -> None:
        nonlocal steps_after
        steps_after += token.cancelled
        if progress.done >= part * len(long_words.strip()):
            token.cancel(stage)

    with pytest.raises(CallCancelled, match=stage):
        tts.generate_audio(long_words, progress=stop, cancel=token, seed=1)
    assert steps_after == 0
    assert not decoded
    assert not any(layer._forward_pre_hooks for layer in tts.model._model.fine_acoustics.layers)
    assert tts.generate_audio(SENTENCE).duration > 0


def test_out_of_memory_says_what_to_do(tts: BarkTTSBinding, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(tts.model._model.coarse_acoustics, "generate", fail)
    with pytest.raises(GenerationError, match="ran out of memory") as caught:
        tts.generate_audio(SENTENCE)
    assert "smaller model" in caught.value.hint


def test_nothing_is_printed_even_by_a_first_call(tiny_bark: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with BarkTTSBinding(str(tiny_bark), n_threads=1, dtype="bfloat16") as fresh:
        fresh.generate_audio(WORDS)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


# --- sound effects --------------------------------------------------------------------------------------------------


def test_a_prompt_that_fits_is_one_sound(ttm: BarkTTMBinding, spy: Spy) -> None:
    calls = spy(ttm, "generate")
    sound = ttm.generate_music("[SFX: rain. Thunder.]", seed=1)
    assert [len(kwargs["input_ids"]) for _, kwargs in calls] == [1]
    assert sound.sample_rate == 24000
    assert sound.provenance is not None
    assert sound.provenance.options["voice_preset"] is None
    ttm.generate_music("♪ A line to sing. ♪ " * 4)
    assert len(calls) > 1
    with pytest.raises(OptionError, match="empty"):
        ttm.generate_music("  ")


# --- one copy of the weights ----------------------------------------------------------------------------------------


def test_both_bindings_hold_one_copy_which_goes_with_the_last(tiny_bark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_bark.parent)
    tts = BarkTTSBinding(str(tiny_bark), n_threads=1, dtype="float16")
    ttm = BarkTTMBinding(f"./{tiny_bark.name}", n_threads=1, dtype="float16")
    other = BarkTTMBinding(str(tiny_bark), n_threads=1, dtype="float32")
    for binding in (tts, ttm, other):
        binding.load()
    assert tts.model is ttm.model is not other.model
    weights = weakref.ref(tts.model._model)
    assert tts.generate_audio("hi").duration > 0
    tts.close()
    assert weights() is not None
    assert ttm.generate_music("hi").duration > 0
    gc.disable()  # nothing but the binding itself lets go of it
    try:
        ttm.unload()
        assert weights() is None
    finally:
        gc.enable()
    other.close()


def test_both_may_be_asked_at_once(tts: BarkTTSBinding, ttm: BarkTTMBinding) -> None:
    assert tts.model is ttm.model
    expected = tts.generate_audio(WORDS, seed=1), ttm.generate_music("[SFX: rain]", seed=2)
    found: dict[int, Audio] = {}

    def ask(n: int) -> None:
        found[n] = ttm.generate_music("[SFX: rain]", seed=2) if n % 2 else tts.generate_audio(WORDS, seed=1)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] == expected[n % 2] for n in range(6)] == [True] * 6


# --- device and precision -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_the_transformers_and_not_the_codec_s(tiny_bark: Path, dtype: Any) -> None:
    with BarkTTSBinding(str(tiny_bark), n_threads=1, dtype=dtype) as tts:
        sound = tts.generate_audio(SENTENCE, seed=1)
        assert sound.duration > 0.1
        assert float(np.abs(sound.to_numpy()).max()) > 0.01
        model = tts.model._model
        assert {p.dtype for p in model.semantic.parameters()} == {getattr(torch, dtype)}
        assert {p.dtype for p in model.codec_model.parameters()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "cuda:7"}, "device='cuda:7' was asked for"),
        ({"attention": "flash_attention_2"}, "It needs an NVIDIA GPU, half precision"),
        ({"cpu_offload": True}, "runs on the processor itself"),
    ],
)
def test_what_this_machine_cannot_do_is_told(tiny_bark: Path, settings: dict[str, Any], said: str) -> None:
    with BarkTTSBinding(str(tiny_bark), **settings) as tts, pytest.raises(BindingDependencyError, match=said):
        tts.load()


def test_settings_change_the_loaded_model(tiny_bark: Path) -> None:
    threads = torch.get_num_threads()
    with BarkTTSBinding(str(tiny_bark), "v2/de_speaker_3", "cpu", n_threads=2) as tts:
        assert tts.settings.default_voice == "v2/de_speaker_3"
        tts.generate_audio("hi")
        assert torch.get_num_threads() == 2
        first = tts.model
        tts.set_settings({"n_threads": 1, "default_voice": "v2/fr_speaker_1"})
        assert tts.model is first
        tts.generate_audio("hi")
        assert torch.get_num_threads() == 1
        tts.set_settings({"dtype": "bfloat16"})
        assert tts.model is not first
    torch.set_num_threads(threads)


# -- several texts ---------------------------------------------------------------------------------------------------


def test_several_texts_are_made_together(tts: BarkTTSBinding, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[str]] = []
    generate = Bark.generate

    def seen(self: Bark, texts: list[str], *args: Any) -> Any:
        batches.append(list(texts))
        return generate(self, texts, *args)

    monkeypatch.setattr(Bark, "generate", seen)
    made = tts.generate_audios([WORDS, SENTENCE, WORDS], seed=3, sentence_silence=0)
    assert [len(batch) for batch in batches[:1]] == [7], "sentences of all of them, the first ones too"
    assert len(made) == 3
    assert all(isinstance(sound, Audio) and sound.duration for sound in made)
    assert made[1].provenance is not None
    assert made[1].provenance.options["seed"] == 3
    batches.clear()
    again = tts.generate_audios([WORDS, SENTENCE, WORDS], seed=3, sentence_silence=0)
    assert [bytes(sound) for sound in again] == [bytes(sound) for sound in made]
    spaced = tts.generate_audios([WORDS, SENTENCE, WORDS], seed=3, sentence_silence=1)
    longer = [b.duration - a.duration for a, b in zip(made, spaced, strict=True)]
    assert longer == pytest.approx([2.0, 0.0, 2.0], abs=0.01), "each has what was said in it, and no other's"
    batches.clear()
    tts.generate_audios([SENTENCE] * 5, batch_size=2)
    assert [len(batch) for batch in batches] == [2, 2, 1]


@pytest.mark.parametrize("texts", [[], "text", [1], ["...", "a"], None])
def test_what_are_no_texts(tts: BarkTTSBinding, texts: Any) -> None:
    with pytest.raises(OptionError, match="text"):
        tts.generate_audios(texts)
