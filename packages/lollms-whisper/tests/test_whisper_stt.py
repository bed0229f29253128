"""openai-whisper on real weights, hearing a real voice; and on small ones that know nothing, beside the bare library."""

from __future__ import annotations

import gc
import hashlib
import io
import shutil
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import whisper as openai_whisper
from harvard import HARVARD, spoken, word_error_rate
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingDependencyError,
    CallCancelled,
    CancelToken,
    GenerationError,
    MediaError,
    ModelNotFoundError,
    OptionError,
    Progress,
    SettingsError,
    Transcript,
)
from lollms_modalities.kit import decode_audio
from lollms_whisper import WhisperSTTBinding, engine
from lollms_whisper.engine import _SIZES
from lollms_whisper.hearing import Part, Written, split
from lollms_whisper.models import KNOWN
from loopback import Reply, serving
from whisper_tiny import make_tiny
from whisper_weights import make_openai

# Whisper's tokenizer leaves the file open from which it reads its words.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*tiktoken:ResourceWarning")

# Twenty sentences, 40 s: two windows.
MANY = HARVARD.partition(" The soft cushion")[0]
SENTENCE = "The stale smell of old beer lingers."
RATE = 16000


def sound(samples: Any) -> Audio:
    return Audio.from_samples(np.asarray(samples, np.float32), RATE)


def noise(level: float, seconds: float) -> Audio:
    return sound(np.random.default_rng(0).normal(0, level, round(RATE * seconds)))


@pytest.fixture(scope="module")
def sentence() -> Audio:
    return spoken(SENTENCE)


@pytest.fixture(scope="module")
def harvard() -> Audio:
    return spoken(MANY)


@pytest.fixture(scope="module")
def tiny_en(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real weights, in a file whose name tells nothing."""
    return make_openai(tmp_path_factory.mktemp("models") / "english.pt")


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("models") / "random.pt")


@pytest.fixture(scope="module")
def whisper(tiny_en: Path) -> Iterator[WhisperSTTBinding]:
    with WhisperSTTBinding(str(tiny_en), device="cpu", n_threads=1, default_beam_size=1) as binding:
        yield binding


@pytest.fixture(scope="module")
def babel(random_model: Path) -> Iterator[WhisperSTTBinding]:
    """The model that knows nothing, in all languages."""
    with WhisperSTTBinding(str(random_model), device="cpu", n_threads=1, default_beam_size=1) as binding:
        yield binding


def bare(binding: WhisperSTTBinding, audio: Audio, **arguments: Any) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """What the library alone hears: all, its segments, its words."""
    model = binding.model.get(Path(binding.settings.model_name))  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heard = openai_whisper.transcribe(model, decode_audio(audio, RATE), fp16=False, **arguments)
    kept = [s for s in heard["segments"] if s["text"]]
    ends = audio.duration
    segments = [(s["text"].strip(), pytest.approx(s["start"]), pytest.approx(min(s["end"], ends))) for s in kept]
    words = [
        (w["word"], pytest.approx(w["start"]), pytest.approx(min(w["end"], ends)))
        for s in kept
        for w in s.get("words", [])
    ]
    return heard, segments, words


def segments_of(heard: Transcript) -> list[Any]:
    return [(s.text, s.start, s.end) for s in heard.segments]


# --- hearing --------------------------------------------------------------------------------------------------------


def test_a_sentence_is_understood(whisper: WhisperSTTBinding, sentence: Audio) -> None:
    heard = whisper.transcribe_audio(sentence, beam_size=5)
    assert word_error_rate(SENTENCE, heard) == 0
    assert isinstance(heard, Transcript)
    assert (heard.language, heard.language_probability, heard.words) == ("en", 1.0, ())
    assert heard.duration == pytest.approx(sentence.duration, abs=0.01)
    (segment,) = heard.segments
    assert 0 <= segment.start < segment.end <= sentence.duration + 0.001
    assert segment.probability is not None
    assert 0.3 < segment.probability <= 1
    assert segment.extra["temperature"] == 0
    made = heard.provenance
    assert made is not None
    assert (made.binding, made.engine, made.options["beam_size"]) == ("whisper", "openai-whisper", 5)
    assert made.model == whisper.settings.model_name  # type: ignore[attr-defined]


def test_many_sentences_are_heard_as_the_library_hears_them(whisper: WhisperSTTBinding, harvard: Audio) -> None:
    assert harvard.duration > 35
    heard = whisper.transcribe_audio(harvard)
    _, segments, _ = bare(whisper, harvard)
    assert segments_of(heard) == segments
    assert word_error_rate(MANY, heard) <= 0.12


def test_words_have_the_times_that_the_library_gives_them(whisper: WhisperSTTBinding, harvard: Audio) -> None:
    heard = whisper.transcribe_audio(harvard, timestamps="word")
    _, segments, words = bare(whisper, harvard, word_timestamps=True)
    assert segments_of(heard) == segments
    assert [(w.text, w.start, w.end) for w in heard.words] == words
    assert len(words) > 120
    assert all(0 <= w.start <= w.end <= harvard.duration for w in heard.words)
    assert all(w.probability is not None and 0 < w.probability <= 1 for w in heard.words)
    assert "".join(word.text for word in heard.segments[0].words).strip() == heard.segments[0].text


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"beam_size": 5}, {"beam_size": 5}),
        ({"initial_prompt": "Bier, Beer."}, {"initial_prompt": "Bier, Beer."}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"no_speech_threshold": 1.0}, {"no_speech_threshold": 1.0}),
    ],
)
def test_options_are_the_library_s(
    whisper: WhisperSTTBinding, sentence: Audio, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    assert segments_of(whisper.transcribe_audio(sentence, **ours)) == bare(whisper, sentence, **theirs)[1]


def test_a_prompt_decides_how_words_are_written(whisper: WhisperSTTBinding, sentence: Audio) -> None:
    assert "SMELL OF OLD" not in whisper.transcribe_audio(sentence)
    prompted = whisper.transcribe_audio(sentence, initial_prompt="THIS IS ALL WRITTEN IN CAPITALS. WE DO THAT HERE.")
    assert "SMELL OF OLD" in prompted
    # Marks of the tokenizer in a prompt are text.
    assert whisper.transcribe_audio(sentence, initial_prompt="<|endoftext|>")


def test_the_stream_is_the_whole_and_begins_before_its_end(whisper: WhisperSTTBinding, harvard: Audio) -> None:
    seen: list[Progress] = []
    with whisper.stream_transcript(harvard, progress=seen.append) as stream:  # type: ignore[attr-defined]
        first = next(stream)
        assert seen[-1].done == 0
        assert first.end < 5
        rest = list(stream)
    assert seen[-1].fraction == 1
    assert (first, *rest) == whisper.transcribe_audio(harvard).segments


# --- any sound ------------------------------------------------------------------------------------------------------


def encoded(audio: Audio, container: str, codec: str) -> bytes:
    """The sound in a format that only FFmpeg writes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=48000)
        samples = decode_audio(audio, 48000).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = 48000
        for packet in (*stream.encode(frame), *stream.encode(None)):  # type: ignore[attr-defined]
            output.mux(packet)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["wav", "mp3", "flac", "ogg", "opus", "m4a", "webm", "path", "file", "bytes"])
def test_any_format_goes_in_and_no_program_is_started(
    whisper: WhisperSTTBinding, sentence: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    given: Any = {
        "path": lambda: str(sentence.save(tmp_path / "x.wav")),
        "file": lambda: io.BytesIO(sentence),
        "bytes": lambda: bytes(sentence),
        "m4a": lambda: encoded(sentence, "ipod", "aac"),
        "webm": lambda: encoded(sentence, "webm", "libopus"),
    }.get(form, lambda: sentence.convert(form))()
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *a, **k: pytest.fail("a program was started"))
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(given)) == 0


@pytest.mark.parametrize("timestamps", ["segment", "word"])
@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.1, 2.0, 40.0])
def test_silence_is_nothing_said(whisper: WhisperSTTBinding, seconds: float, timestamps: str) -> None:
    heard = whisper.transcribe_audio(sound(np.zeros(round(RATE * seconds))), timestamps=timestamps)
    assert (heard, heard.segments, heard.to_srt()) == ("", (), "")
    assert heard.duration == pytest.approx(seconds)


@pytest.mark.parametrize(("level", "seconds"), [(0.0003, 10), (0.001, 35), (0.01, 30), (0.1, 10), (0.5, 2), (0.1, 0.1)])
def test_noise_is_nothing_said(whisper: WhisperSTTBinding, level: float, seconds: float) -> None:
    assert whisper.transcribe_audio(noise(level, seconds)) == ""


def test_without_the_threshold_whisper_hears_words_in_noise(whisper: WhisperSTTBinding) -> None:
    assert whisper.transcribe_audio(noise(0.0003, 2), no_speech_threshold=1) != ""


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.1])
def test_a_bit_of_speech_comes_to_an_end(whisper: WhisperSTTBinding, sentence: Audio, seconds: float) -> None:
    samples = decode_audio(sentence, RATE)[8000 : 8000 + round(RATE * seconds)]
    for timestamps in ("segment", "word"):
        heard = whisper.transcribe_audio(sound(samples), timestamps=timestamps)
        assert all(segment.end <= heard.duration + 0.001 for segment in heard.segments)


def test_ten_minutes_of_which_little_is_speech(whisper: WhisperSTTBinding, sentence: Audio) -> None:
    samples = np.random.default_rng(0).normal(0, 1e-5, RATE * 600)
    speech = decode_audio(sentence, RATE)
    places = (0, 333, 590)
    for second in places:
        samples[second * RATE : second * RATE + len(speech)] += speech
    heard = whisper.transcribe_audio(sound(samples))
    assert heard.duration == 600
    assert word_error_rate(" ".join([SENTENCE] * 3), heard) == 0
    # Whisper puts the beginning of speech into the silence before it.
    assert [s.end for s in heard.segments] == [pytest.approx(p + sentence.duration, abs=1.5) for p in places]


def test_what_is_no_sound_is_told(whisper: WhisperSTTBinding, tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError):
        whisper.transcribe_audio("no/such.wav")
    for given in (b"", b"no sound at all", bytes(sound(np.zeros(9999)))[:900], tmp_path):
        with pytest.raises(MediaError):
            whisper.transcribe_audio(given)  # type: ignore[arg-type]


# --- languages, temperatures, seeds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["en", "en-US", "EN_gb"])
def test_a_language_tag_is_understood(whisper: WhisperSTTBinding, sentence: Audio, tag: str) -> None:
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence, language=tag)) == 0


def test_a_language_that_the_model_does_not_have_is_refused(
    whisper: WhisperSTTBinding, babel: WhisperSTTBinding, sentence: Audio
) -> None:
    with pytest.raises(OptionError, match="does not know 'fr'"):
        whisper.transcribe_audio(sentence, language="fr")
    with pytest.raises(OptionError, match="does not know 'qx'"):
        babel.transcribe_audio(sentence, language="qx")


def test_the_language_is_heard_out(babel: WhisperSTTBinding, sentence: Audio) -> None:
    heard = babel.transcribe_audio(sentence, temperature=0)
    alone, segments, _ = bare(babel, sentence, temperature=0.0)
    assert heard.language == alone["language"]
    assert 0 < heard.language_probability < 0.5
    assert segments_of(heard) == segments
    assert {segment.language for segment in heard.segments} == {heard.language}
    # In silence there is none to be heard.
    assert babel.transcribe_audio(sound(np.zeros(RATE))).language is None


@pytest.mark.parametrize("translate", [False, True])
def test_language_and_translation_reach_the_model(babel: WhisperSTTBinding, sentence: Audio, translate: bool) -> None:
    heard = babel.transcribe_audio(sentence, language="de-AT", translate=translate, temperature=0)
    assert (heard.language, heard.text_language) == ("de", "en" if translate else "de")
    task = "translate" if translate else "transcribe"
    assert segments_of(heard) == bare(babel, sentence, language="de", task=task, temperature=0.0)[1]
    other = babel.transcribe_audio(sentence, language="de", translate=not translate, temperature=0)
    assert other != heard


def test_where_a_temperature_fails_a_higher_one_is_tried(babel: WhisperSTTBinding, sentence: Audio) -> None:
    given = babel.transcribe_audio(sentence, temperature=0.2)
    assert {s.extra["temperature"] for s in given.segments} == {0.2}
    # Text of a model that knows nothing is unlikely at every temperature: the last one stays.
    tried = babel.transcribe_audio(sentence, seed=3)
    assert {s.extra["temperature"] for s in tried.segments} == {1.0}


@pytest.mark.parametrize(("temperature", "kept"), [(0.0, True), (0.4, True), (1.0, False)])
def test_what_was_written_is_context_unless_it_is_wild(
    babel: WhisperSTTBinding, harvard: Audio, monkeypatch: pytest.MonkeyPatch, temperature: float, kept: bool
) -> None:
    prompts: list[list[int]] = []
    decode = openai_whisper.decode

    def spied(model: Any, mel: Any, options: Any) -> Any:
        prompts.append(list(options.prompt))
        return decode(model, mel, options)

    monkeypatch.setattr(openai_whisper, "decode", spied)
    heard = babel.transcribe_audio(harvard, temperature=temperature, initial_prompt="Names: Ann, Bob.")
    assert len(prompts) >= 2
    assert prompts[0]
    assert heard.segments
    assert (len(prompts[1]) > len(prompts[0])) is kept
    assert kept or prompts[1] == []


def test_a_seed_repeats_what_was_sampled(babel: WhisperSTTBinding, sentence: Audio) -> None:
    state = torch.get_rng_state()
    first = babel.transcribe_audio(sentence, temperature=1, seed=3)
    assert torch.equal(torch.get_rng_state(), state), "the caller's generator is left alone"
    assert babel.transcribe_audio(sentence, temperature=1, seed=3) == first
    assert babel.transcribe_audio(sentence, temperature=1, seed=4) != first
    assert list(babel.stream_transcript(sentence, temperature=1, seed=3)) == list(first.segments)


@pytest.mark.parametrize(
    ("option", "wrong"), [("beam_size", 0), ("timestamps", "letter"), ("langage", "en"), ("no_speech_threshold", 2)]
)
def test_wrong_options_are_told(whisper: WhisperSTTBinding, sentence: Audio, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        whisper.transcribe_audio(sentence, **{option: wrong})


# Timestamps are the tokens from 100 on.
@pytest.mark.parametrize(
    ("tokens", "written"),
    [
        ([], Written([Part([], 0, None)], False, None)),
        ([100], Written([Part([100], 0, None)], False, None)),
        ([100, 1, 2], Written([Part([100, 1, 2], 0, None)], False, None)),
        ([105, 1, 130], Written([Part([105, 1, 130], 0, 30)], True, None)),
        ([100, 1, 110, 110, 2, 3, 130], Written([Part([100, 1, 110], 0, 10), Part([110, 2, 3, 130], 10, 30)], True, None)),
        ([100, 1, 110, 112, 2, 3], Written([Part([100, 1, 110], 0, 10)], False, 10)),
        ([100, 1, 110, 110, 2, 120, 121], Written([Part([100, 1, 110], 0, 10), Part([110, 2, 120], 10, 20)], False, 20)),
    ],
)  # fmt: skip
def test_what_is_written_is_split_at_its_timestamps(tokens: list[int], written: Written) -> None:
    assert split(tokens, 100) == written


# --- progress, stopping, threads ------------------------------------------------------------------------------------


def test_progress_is_by_the_sounds_time(whisper: WhisperSTTBinding, harvard: Audio) -> None:
    seen: list[Progress] = []
    whisper.transcribe_audio(harvard, progress=seen.append)
    done = [p.done for p in seen]
    assert len(done) >= 3
    assert done == sorted(done)
    assert done[0] == 0
    assert 20 < done[1] <= 30
    assert done[-1] == pytest.approx(harvard.duration, abs=0.01)
    assert (seen[-1].fraction, seen[-1].unit) == (1, "s")


def hooks_of(binding: WhisperSTTBinding) -> int:
    model = binding.model.get(Path(binding.settings.model_name))  # type: ignore[attr-defined]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("layer", [1, 3, 5, 40, 200])
def test_a_call_stops_inside_a_window(
    whisper: WhisperSTTBinding, harvard: Audio, sentence: Audio, monkeypatch: pytest.MonkeyPatch, layer: int
) -> None:
    """Between two layers, of the encoder or of any step of the decoder: no further one runs, and nothing is left."""
    from whisper.model import ResidualAttentionBlock

    whisper.load()
    before = hooks_of(whisper)
    token, passed, seen = CancelToken(), [0], list[Progress]()
    forward = ResidualAttentionBlock.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        passed[0] += 1
        if passed[0] == layer:
            token.cancel()
        return forward(*args, **kwargs)

    monkeypatch.setattr(ResidualAttentionBlock, "forward", counted)
    with pytest.raises(CallCancelled):
        whisper.transcribe_audio(harvard, cancel=token, progress=seen.append)
    assert passed[0] == layer
    assert seen[-1].done == 0
    assert hooks_of(whisper) == before
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence)) == 0


def test_torch_uses_as_many_threads_as_it_is_told(babel: WhisperSTTBinding, sentence: Audio) -> None:
    before = torch.get_num_threads()
    try:
        for number in (2, 1):
            babel.set_settings({"n_threads": number})
            babel.transcribe_audio(sentence, temperature=0)
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(before)


def test_two_bindings_share_a_model_and_do_not_disturb_each_other(
    whisper: WhisperSTTBinding, sentence: Audio, harvard: Audio, tiny_en: Path
) -> None:
    other = WhisperSTTBinding(str(tiny_en), device="cpu", n_threads=1, default_beam_size=1)
    longer = Audio.from_samples(decode_audio(harvard, RATE)[: 20 * RATE], RATE)
    with other:
        other.load()
        assert other.model.get(tiny_en) is whisper.model.get(tiny_en)
        expected = [b.transcribe_audio(a, timestamps="word") for b, a in ((whisper, sentence), (other, longer))]
        found: list[Any] = [None, None]

        def hear(n: int, binding: WhisperSTTBinding, audio: Audio) -> None:
            found[n] = binding.transcribe_audio(audio, timestamps="word")

        threads = [
            threading.Thread(target=hear, args=(0, whisper, sentence)),
            threading.Thread(target=hear, args=(1, other, longer)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [segments_of(f) for f in found] == [segments_of(e) for e in expected]
        assert [f.words for f in found] == [e.words for e in expected]


def test_one_may_listen_while_another_s_stream_is_open(
    whisper: WhisperSTTBinding, sentence: Audio, harvard: Audio, tiny_en: Path
) -> None:
    with (
        WhisperSTTBinding(str(tiny_en), device="cpu", n_threads=1, default_beam_size=1) as other,
        whisper.stream_transcript(harvard) as stream,  # type: ignore[attr-defined]
    ):
        next(stream)
        assert word_error_rate(SENTENCE, other.transcribe_audio(sentence, timeout=120)) == 0


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whisper's own folder of models, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "whisper"


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.fixture
def models(tmp_path: Path, tiny_en: Path, random_model: Path) -> Path:
    """A folder of models, of which some are whole."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "mine.pt").hardlink_to(tiny_en)
    (folder / "tiny.en.pt").hardlink_to(tiny_en)
    (folder / "random.pt").hardlink_to(random_model)
    (folder / "cut.pt").write_bytes(random_model.read_bytes()[:100_000])
    (folder / "text.pt").write_text("no model at all")
    (folder / "empty.pt").touch()
    torch.save({"weights": torch.zeros(3)}, folder / "other.pt")
    torch.save([1, 2], folder / "list.pt")
    state = torch.load(random_model, weights_only=True)
    del state["model_state_dict"]["encoder.conv1.weight"]
    torch.save(state, folder / "lacking.pt")
    torch.save({"dims": Trap(tmp_path / "it ran"), "model_state_dict": {}}, folder / "trap.pt")
    (folder / "readme.txt").touch()
    (folder / "folder.pt").mkdir()
    return folder


def test_models_are_listed(models: Path) -> None:
    assert list(KNOWN) == sorted(KNOWN, key=openai_whisper.available_models().index)
    assert set(KNOWN) == set(openai_whisper.available_models())
    with WhisperSTTBinding(models_path=models) as whisper:
        files = ["cut.pt", "empty.pt", "lacking.pt", "list.pt", "mine.pt", "other.pt", "random.pt", "text.pt",
                 "tiny.en.pt", "trap.pt"]  # fmt: skip
        assert whisper.list_models() == [*files, *KNOWN]
        assert not whisper.loaded
    with WhisperSTTBinding(models_path=models / "none") as whisper:
        assert whisper.list_models() == list(KNOWN)


def test_a_switch_per_call(models: Path, sentence: Audio) -> None:
    with WhisperSTTBinding("random", models_path=models, device="cpu", n_threads=1, default_beam_size=1) as whisper:
        whisper.load()
        for name in ("mine.pt", "mine", "tiny.en", str(models / "mine.pt")):
            heard = whisper.transcribe_audio(sentence, name)
            assert word_error_rate(SENTENCE, heard) == 0
            assert heard.provenance is not None
            assert heard.provenance.model.startswith(str(models))
            assert len(whisper.model) == 1
        for name, said in (
            ("cut", "no model of openai-whisper, or damaged"), ("text", "damaged"), ("empty", "damaged"),
            ("other", "no model of openai-whisper"), ("list", "no model of openai-whisper"),
            ("lacking", "no model of openai-whisper"), ("folder", "no model 'folder'"), ("no", "no model 'no'"),
        ):  # fmt: skip
            with pytest.raises(ModelNotFoundError, match=said) as caught:
                whisper.transcribe_audio(sentence, name)
            assert len(str(caught.value)) < 900
        still = whisper.model.get(models / "mine.pt")
        assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence, "mine")) == 0, "the old one stays"
        assert whisper.model.get(models / "mine.pt") is still


def test_the_old_model_stays_until_the_new_one_is_loaded(
    models: Path, sentence: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WhisperSTTBinding("random", models_path=models, device="cpu", n_threads=1) as whisper:
        old = weakref.ref(whisper.model.get(models / "random.pt"))
        alive: list[bool] = []
        load = openai_whisper.load_model

        def watched(*args: Any, **kwargs: Any) -> Any:
            made = load(*args, **kwargs)
            alive.append(old() is not None)
            return made

        monkeypatch.setattr(openai_whisper, "load_model", watched)
        whisper.transcribe_audio(sentence, "mine")
        assert alive == [True]
        assert old() is None


@pytest.fixture
def own_model(random_model: Path, tmp_path: Path) -> Path:
    """One that no other test has in memory."""
    return shutil.copy(random_model, tmp_path / "own.pt")


def test_an_unloaded_model_is_gone_when_the_device_s_memory_is_given_back(
    own_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else torch keeps a GPU's memory for itself."""
    alive: list[bool] = []
    with WhisperSTTBinding(str(own_model), device="cpu", n_threads=1) as whisper:
        whisper.load()
        weights = weakref.ref(whisper.model.get(own_model).decoder)

        def give_back(device: torch.device) -> None:
            gc.collect()
            alive.append(weights() is not None)

        monkeypatch.setattr(engine, "free_memory", give_back)
        whisper.unload()
    assert alive == [False]


def test_out_of_memory_in_loading_is_no_damage_of_the_file(own_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(openai_whisper, "load_model", fail)
    with (
        WhisperSTTBinding(str(own_model), device="cpu") as whisper,
        pytest.raises(GenerationError, match="ran out of memory"),
    ):
        whisper.load()


def test_a_pickle_with_code_is_refused_and_does_not_run(models: Path, sentence: Audio, tmp_path: Path) -> None:
    with WhisperSTTBinding("trap", models_path=models, device="cpu") as whisper:
        with pytest.raises(ModelNotFoundError, match="more than numbers"):
            whisper.transcribe_audio(sentence)
        assert not (tmp_path / "it ran").exists()
    torch.load(models / "trap.pt", weights_only=False)
    assert (tmp_path / "it ran").exists(), "the trap is one"


def test_alignment_heads_are_set_for_a_path_too(whisper: WhisperSTTBinding, tiny_en: Path) -> None:
    model = whisper.model.get(tiny_en)
    as_it_comes = openai_whisper.load_model(str(tiny_en)).alignment_heads.to_dense()
    expected = openai_whisper.load_model(str(tiny_en))
    expected.set_alignment_heads(openai_whisper._ALIGNMENT_HEADS["tiny.en"])
    assert torch.equal(model.alignment_heads.to_dense(), expected.alignment_heads.to_dense())
    assert not torch.equal(model.alignment_heads.to_dense(), as_it_comes)


def test_every_known_size_has_its_heads() -> None:
    import base64
    import gzip

    aliases = {"large": "large-v3", "turbo": "large-v3-turbo", "large-v1": "large-v2"}
    assert {aliases.get(name, name) for name in KNOWN} == set(_SIZES.values())
    for (layers, heads, _), name in _SIZES.items():
        dump = gzip.decompress(base64.b85decode(openai_whisper._ALIGNMENT_HEADS[name]))
        assert len(dump) == layers * heads, name


@pytest.mark.parametrize("name", ["no/such", "/no/such.pt", "../x", "..", "x" * 9999, "a\0b", "openai/whisper-tiny"])
def test_a_name_that_is_no_model_never_reaches_the_network(name: str, sentence: Audio) -> None:
    start = time.perf_counter()
    with WhisperSTTBinding(name, device="cpu") as whisper, pytest.raises(ModelNotFoundError) as caught:
        whisper.transcribe_audio(sentence)
    assert len(str(caught.value)) < 700
    assert time.perf_counter() - start < 20


def test_a_model_that_would_be_fetched_is_not_where_that_is_forbidden(
    sentence: Audio, no_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("the network was asked"))
    with (
        WhisperSTTBinding("large-v2", device="cpu", local_files_only=True) as whisper,
        pytest.raises(ModelNotFoundError, match="'large-v2' is not on this machine, and local_files_only") as caught,
    ):
        whisper.transcribe_audio(sentence)
    assert "large-v2.pt" in caught.value.hint
    assert str(no_cache) in caught.value.hint


def test_without_a_network_it_says_so_at_once(sentence: Audio, no_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*args: Any, **kwargs: Any) -> Any:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", lost)
    start = time.perf_counter()
    with (
        WhisperSTTBinding("base", device="cpu") as whisper,
        pytest.raises(ModelNotFoundError, match=r"cannot be fetched: https://.*/base\.pt cannot be reached") as caught,
    ):
        whisper.transcribe_audio(sentence)
    assert time.perf_counter() - start < 20  # at most 2 on a machine that is not busy
    assert f"put it into {no_cache}" in caught.value.hint
    assert list(no_cache.iterdir()) == []


def test_a_known_model_is_fetched_whole_and_quietly(
    sentence: Audio, tiny_en: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tiny_en.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    place = tmp_path / "fetched"
    with serving({f"GET /{digest}/tiny.en.pt": Reply(data), "GET /0000/base.en.pt": Reply(data)}) as server:
        monkeypatch.setitem(openai_whisper._MODELS, "tiny.en", f"{server.url}/{digest}/tiny.en.pt")
        monkeypatch.setitem(openai_whisper._MODELS, "base.en", f"{server.url}/0000/base.en.pt")
        settings = {"models_path": place, "device": "cpu", "n_threads": 1, "default_beam_size": 1}
        with WhisperSTTBinding("tiny.en", **settings) as whisper:
            token = CancelToken()
            with pytest.raises(CallCancelled):
                whisper.transcribe_audio(sentence, cancel=token, progress=lambda p: token.cancel())
            assert list(place.iterdir()) == []
            seen: list[Progress] = []
            heard = whisper.transcribe_audio(sentence, progress=seen.append)
            assert word_error_rate(SENTENCE, heard) == 0
            fetched = [p for p in seen if p.stage == "tiny.en.pt"]
            assert (fetched[-1].done, fetched[-1].total, fetched[-1].unit) == (len(data), len(data), "byte")
            with pytest.raises(ModelNotFoundError, match=r"cannot be fetched: .* sha256"):
                whisper.transcribe_audio(sentence, "base.en")
            assert [p.name for p in place.iterdir()] == ["tiny.en.pt"]
            asked = len(server.asked)
            whisper.unload()
            whisper.transcribe_audio(sentence)
            assert len(server.asked) == asked, "it is there now"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", ["mps", "gpu", "cuda:x"])
def test_a_device_that_is_none_is_told(wrong: str) -> None:
    with pytest.raises(SettingsError, match="device"):
        WhisperSTTBinding(device=wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_gpu_that_is_not_there_is_told(tiny_en: Path, sentence: Audio) -> None:
    with (
        WhisperSTTBinding(str(tiny_en), device="cuda") as whisper,
        pytest.raises(BindingDependencyError, match="finds none"),
    ):
        whisper.transcribe_audio(sentence)


def test_import_and_listing_load_nothing() -> None:
    program = (
        "import sys, lollms_whisper\n"
        "whisper = lollms_whisper.WhisperSTTBinding()\n"
        "assert whisper.capabilities.timestamps == ('segment', 'word')\n"
        "whisper.list_models(), whisper.get_settings(), whisper.describe()\n"
        "heavy = {'whisper', 'torch', 'numba', 'av', 'numpy'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
