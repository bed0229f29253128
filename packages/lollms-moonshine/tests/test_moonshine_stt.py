"""Moonshine on real weights: people reading, recorded, and a voice of Piper's."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from harvard import HARVARD, spoken, word_error_rate
from lollms_modalities import (
    Audio,
    AudioChunk,
    AudioFileNotFoundError,
    CallCancelled,
    CancelToken,
    LollmsSTTBindingManager,
    MediaError,
    ModelNotFoundError,
    OptionError,
    Progress,
    Segment,
    ServiceError,
    ServiceResponseError,
    SettingsError,
)
from lollms_modalities.kit import decode_audio, resample
from lollms_moonshine import MoonshineSTTBinding, models
from lollms_moonshine.engine import parts
from lollms_moonshine.listening import Listening
from loopback import Reply, Request, serving

# What is read in the two recordings of moonshine-voice's wheel.
TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was "
    "the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of darkness, it "
    "was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us, we were "
    "all going direct to heaven, we were all going direct the other way. In short, the period was so far like the present "
    "period that some of its noisiest authorities insisted on its being received, for good or for evil, in the "
    "superlative degree of comparison only."
)
BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
SENTENCE = "Four hours of steady work faced us."


def recording(name: str) -> Path:
    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "assets" / name


@pytest.fixture(scope="module")
def moonshine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoonshineSTTBinding]:
    with MoonshineSTTBinding(moonshine_path=tmp_path_factory.mktemp("none")) as binding:
        yield binding


# --- hearing --------------------------------------------------------------------------------------------------------


def test_what_was_heard_before_begins_nothing_with_a_word() -> None:
    speech = decode_audio(
        spoken("The birch canoe slid on the smooth planks. Rice is often served in round bowls."), 16000
    )
    quiet_first = Audio.from_samples(np.concatenate([np.zeros(16000, np.float32), speech]), 16000)
    with MoonshineSTTBinding() as moonshine:
        first = moonshine.transcribe_audio(quiet_first)
        moonshine.transcribe_audio(Audio.from_samples(speech[:32000], 16000))  # it ends within a sentence
        assert moonshine.transcribe_audio(quiet_first).segments == first.segments
    assert first.segments[0].start > 0.5


@pytest.mark.parametrize(
    ("name", "said", "most"), [("two_cities.wav", TWO_CITIES, 0.1), ("beckett.wav", BECKETT, 0.25)]
)
def test_people_are_understood(moonshine: MoonshineSTTBinding, name: str, said: str, most: float) -> None:
    heard = moonshine.transcribe_audio(recording(name))
    assert word_error_rate(said, heard) <= most
    assert heard.language == "en"
    assert heard.duration is not None
    assert all(0 <= s.start < s.end <= heard.duration for s in heard.segments)
    assert all(before.end <= after.start for before, after in pairwise(heard.segments))
    assert len(heard.segments) >= 6
    made = heard.provenance
    assert made is not None
    assert (made.binding, made.engine, Path(made.model or "").name) == ("moonshine", "moonshine-voice", "tiny-en")


@pytest.mark.full
def test_thirty_sentences_and_the_stream_is_the_whole(moonshine: MoonshineSTTBinding) -> None:
    speech = spoken(HARVARD)
    seen: list[Progress] = []
    heard = moonshine.transcribe_audio(speech, progress=seen.append)
    assert word_error_rate(HARVARD, heard) <= 0.15
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert len({p.done for p in seen}) >= 4, "there are three parts"
    assert seen[-1].fraction == 1
    assert tuple(moonshine.stream_transcript(speech)) == heard.segments


@pytest.mark.full
def test_cancel_stops_between_parts(moonshine: MoonshineSTTBinding) -> None:
    token, seen = CancelToken(), []

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if progress.done > 0:
            token.cancel()

    with pytest.raises(CallCancelled):
        moonshine.transcribe_audio(recording("two_cities.wav"), cancel=token, progress=tell)
    assert 0 < seen[-1].done < 31


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_live_text_comes_while_it_is_said(moonshine: MoonshineSTTBinding, rate: int, channels: int) -> None:
    samples = resample(decode_audio(recording("beckett.wav"), 16000), 16000, rate)
    if channels > 1:
        samples = np.stack([samples] * channels, axis=1)
    given = 0.0
    told: list[tuple[float, Segment]] = []

    def frames() -> Iterator[AudioChunk]:
        nonlocal given
        for n in range(0, len(samples), rate // 10):
            given = n / rate
            yield AudioChunk.from_samples(samples[n : n + rate // 10], rate)

    stream = moonshine.transcribe_live(frames())
    for segment in stream:
        told.append((given, segment))
    finals = [s for _, s in told if s.final]
    assert len(finals) >= 5
    assert word_error_rate(BECKETT, " ".join(s.text for s in finals)) <= 0.25
    assert all(0 <= s.start < s.end <= 10.2 for s in finals)
    assert [s.id for s in finals] == [str(n) for n in range(len(finals))]
    assert finals[0].start < 1 < 7 < finals[-1].start
    live = stream.provenance.extra["live"]  # type: ignore[attr-defined]
    assert live["voice_activity"]["distribution"] == "moonshine-voice"


def test_a_long_stream_is_followed_by_another(monkeypatch: pytest.MonkeyPatch, moonshine: MoonshineSTTBinding) -> None:
    monkeypatch.setattr("lollms_moonshine.listening._LONGEST", 3.0)
    made = []
    original = Listening._follow
    monkeypatch.setattr(Listening, "_follow", lambda self, lines: made.append(lines) or original(self, lines))
    sentence = decode_audio(spoken(SENTENCE), 16000)
    pause = np.random.default_rng(0).normal(0, 1e-4, 2 * 16000).astype(np.float32)
    sound = np.concatenate([sentence, pause, sentence, pause, sentence])
    chunks = [AudioChunk.from_samples(sound[n : n + 1600], 16000) for n in range(0, len(sound), 1600)]
    finals = [s for s in moonshine.transcribe_live(chunks) if s.final]
    assert made == [1, 1]
    assert word_error_rate(f"{SENTENCE} " * 3, " ".join(s.text for s in finals)) <= 0.3
    assert [s.id for s in finals] == ["0", "1", "2"]
    each = len(sentence) / 16000 + 2
    for n, segment in enumerate(finals):
        assert n * each - 0.3 <= segment.start <= n * each + 0.5, finals


@pytest.mark.parametrize("samples", [0, 160, 1599, 16000, 40 * 16000])
def test_silence_is_nothing_said(moonshine: MoonshineSTTBinding, samples: int) -> None:
    heard = moonshine.transcribe_audio(Audio.from_samples(np.zeros(max(1, samples), np.float32), 16000))
    assert (heard, heard.segments) == ("", ())


def test_parts_are_cut_where_it_is_quiet() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 70 * 16000).astype(np.float32)
    noise[25 * 16000 : 26 * 16000] = 0
    noise[50 * 16000 : 51 * 16000] = 0
    found = list(parts(noise))
    assert [start for start, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == len(noise)
    assert 25 < found[0][1] / 16000 < 26
    assert 50 < found[1][1] / 16000 < 51
    assert list(parts(noise[:100])) == [(0, 100)]
    assert list(parts(noise[:0])) == []


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", [None, "en", "en-GB", "English", "auto"])
def test_the_models_language_by_any_name(moonshine: MoonshineSTTBinding, tag: str | None) -> None:
    assert word_error_rate(SENTENCE, moonshine.transcribe_audio(spoken(SENTENCE), language=tag)) <= 0.2


@pytest.mark.parametrize(
    ("option", "wrong"), [("language", "fr"), ("timestamps", "word"), ("langage", "en"), ("beam_size", 2)]
)
def test_wrong_options_are_told(moonshine: MoonshineSTTBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        moonshine.transcribe_audio(spoken(SENTENCE), **{option: wrong})


def test_what_is_no_sound_is_told(moonshine: MoonshineSTTBinding, tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError):
        moonshine.transcribe_audio("no/such.wav")
    for given in (b"", b"no sound at all", tmp_path):
        with pytest.raises(MediaError):
            moonshine.transcribe_audio(given)  # type: ignore[arg-type]


# --- models ---------------------------------------------------------------------------------------------------------


def test_found_and_listed() -> None:
    assert "moonshine" in LollmsSTTBindingManager().get_available_bindings()
    from moonshine_voice.download import find_model_info, supported_languages
    from moonshine_voice.moonshine_api import string_to_model_arch

    for name in models.KNOWN:
        architecture, language = models.parse_name(name)
        assert find_model_info(language, string_to_model_arch(architecture))["download_url"].startswith("https://")
    assert {models.parse_name(name)[1] for name in models.KNOWN} == set(supported_languages())


def test_models_of_a_folder_by_name_and_path(tmp_path: Path) -> None:
    packaged = models.packaged_model()
    assert packaged is not None
    shutil.copytree(packaged, tmp_path / "tiny-es")
    shutil.copytree(packaged, tmp_path / "mine")
    (tmp_path / "tiny-ja").mkdir()
    (tmp_path / "tiny-ja" / "tokenizer.bin").touch()
    with MoonshineSTTBinding("tiny-es", tmp_path) as binding:
        assert binding.capabilities.languages == ("es",)
        assert binding.list_models()[:3] == ["mine", "tiny-es", "tiny-ja"]
        assert binding.transcribe_audio(spoken(SENTENCE)).language == "es"
        for name, said in (
            ("tiny-ja", "lacks encoder_model.ort"),
            ("mine", "does not say which architecture"),
            ("base-en", "'base-en' is not here"),
            ("no", "no model 'no'"),
            (str(tmp_path / "none"), "no folder"),
            ("../x", "no folder"),
            ("a\0", "no name"),
            ("x" * 5000, "no name"),
        ):
            with pytest.raises(ModelNotFoundError, match=said) as caught:
                binding.transcribe_audio(spoken(SENTENCE), name)
            assert len(str(caught.value)) < 700
        assert binding.transcribe_audio(spoken(SENTENCE)), "the old one stays"
    with MoonshineSTTBinding("mine", tmp_path, architecture="tiny") as binding:
        assert word_error_rate(SENTENCE, binding.transcribe_audio(spoken(SENTENCE), language="fr")) <= 0.2


def test_without_any_model_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "packaged_model", lambda: None)
    with MoonshineSTTBinding(moonshine_path=tmp_path) as binding, pytest.raises(ModelNotFoundError) as caught:
        binding.load()
    assert "lollms pull stt:moonshine" in str(caught.value.hint)


def test_a_model_is_fetched_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = models.packaged_model()
    assert packaged is not None
    has = {path.name: path.read_bytes() for path in packaged.iterdir()}

    def answer(request: Request) -> Reply:
        return Reply(has[request.path[1:]]) if request.path[1:] in has else Reply(b"", 404)

    with serving({"*": answer}) as server:
        listed = [
            {"name": name, "url": f"{server.url}/{name}", "size": len(data), "checksum_type": "crc32c",
             "checksum": base64.b64encode(google_crc32c.Checksum(data).digest()).decode()}
            for name, data in has.items()
        ]  # fmt: skip
        told = json.dumps({"groups": [{"files": listed}]})
        monkeypatch.setattr(
            "moonshine_voice.moonshine_api.moonshine_get_stt_dependencies_string", lambda language, options: told
        )
        with MoonshineSTTBinding(moonshine_path=tmp_path / "new") as binding:
            path = binding.download_model("tiny-en")
            assert sorted(os.listdir(path)) == sorted(has)
            assert word_error_rate(SENTENCE, binding.transcribe_audio(spoken(SENTENCE))) <= 0.2
            with pytest.raises(ModelNotFoundError, match="publishes no model"):
                binding.download_model("../tiny-en")
            has["encoder_model.ort"] = has["encoder_model.ort"][:-1] + b"x"
            shutil.rmtree(path)
            with pytest.raises(ServiceResponseError, match="CRC32C"):
                binding.download_model("tiny-en")
            assert not {"encoder_model.ort", "tokenizer.bin"} & set(os.listdir(path))
            del has["decoder_model_merged.ort"]
            with pytest.raises(ServiceError):
                binding.download_model("tiny-en")
    with pytest.raises(SettingsError, match="cannot be made"):
        MoonshineSTTBinding(moonshine_path="/dev/null/x").download_model("tiny-en")


def test_two_bindings_hold_one_copy(moonshine: MoonshineSTTBinding) -> None:
    moonshine.load()
    found = models.find_model(None, Path("/none"), None)
    with MoonshineSTTBinding(moonshine_path="/none") as other:
        other.load()
        assert other.model.get(found) is moonshine.model.get(found)


def test_import_and_listing_load_nothing() -> None:
    program = (
        "import sys, lollms_moonshine\n"
        "moonshine = lollms_moonshine.MoonshineSTTBinding()\n"
        "assert moonshine.capabilities.timestamps == ('segment',)\n"
        "moonshine.list_models(), moonshine.get_settings(), moonshine.describe()\n"
        "heavy = {'moonshine_voice', 'sounddevice', 'requests', 'av', 'numpy'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
