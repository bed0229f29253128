"""What is known of voices, and voices that are made of recordings."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingSettings,
    CallOptions,
    Capabilities,
    Consent,
    LollmsTTSBinding,
    MediaError,
    MediaInput,
    OptionError,
    SaveError,
    UnsupportedError,
    VoiceExistsError,
    VoiceNotFoundError,
    option,
    record_clone,
)
from lollms_modalities.kit import VoiceStore, voices_folder

CONSENT = "Ada herself, on 2026-11-27"


@pytest.fixture
def recording() -> Audio:
    return Audio.from_samples(0.1 * np.sin(np.arange(8000)).astype(np.float32), 8000)


class Speaks(LollmsTTSBinding):
    class Settings(BindingSettings):
        default_voice: str | None = "b"

    settings: Settings

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\1\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["a", "b"]


class Copies(LollmsTTSBinding):
    """Speaks after recordings, which it keeps."""

    capabilities = Capabilities(cloning=True, keeps_voices=True)

    class Settings(BindingSettings):
        voices_path: Path

    class Options(CallOptions):
        voice: MediaInput | None = option(None)
        consent: Consent = None

    settings: Settings

    @property
    def store(self) -> VoiceStore:
        return VoiceStore(self.settings.voices_path)

    def generate_audio(self, text: str, voice: Any = None, **kwargs: Any) -> Audio:
        if voice is not None:
            record_clone(kwargs["consent"])
        return Audio.from_pcm(b"\1\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return self.store.names()

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        self.store.add(name, recording, consent)

    def drop_voice(self, name: str) -> None:
        self.store.remove(name)


def test_a_row_for_each_voice() -> None:
    assert Speaks().describe_voices() == [
        {"name": "a", "language": "", "gender": "", "sample": None, "default": False},
        {"name": "b", "language": "", "gender": "", "sample": None, "default": True},
    ]


def test_a_binding_that_keeps_none() -> None:
    with pytest.raises(UnsupportedError, match="keeps no voices"):
        Speaks().add_voice("x", Audio.from_pcm(bytes(16000), 8000), CONSENT)
    with pytest.raises(UnsupportedError, match="keeps no voices"):
        Speaks().remove_voice("x")


def test_a_voice_by_way_of_a_binding(recording: Audio, tmp_path: Path) -> None:
    copies = Copies(voices_path=tmp_path / "voices")
    assert copies.list_voices() == []
    copies.add_voice("Ada", recording, CONSENT)
    assert copies.list_voices() == ["Ada"]
    with pytest.raises(AudioFileNotFoundError):
        copies.add_voice("Bob", tmp_path / "not there.wav", CONSENT)
    copies.remove_voice("Ada")
    assert copies.list_voices() == []


def test_consent_goes_into_the_provenance(recording: Audio, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copies = Copies(voices_path=tmp_path)
    told = copies.generate_audio("hi", voice=recording, consent=CONSENT).provenance
    assert told is not None
    assert told.extra == {"cloned_voice": True, "consent": CONSENT}
    assert told.options["consent"] == CONSENT
    with caplog.at_level(logging.INFO, "lollms_modalities.contract.voice_rows"):
        for _ in range(3):
            told = copies.generate_audio("hi", voice=recording).provenance
            assert told is not None
            assert told.extra == {"cloned_voice": True, "consent": None}
    assert [r.levelname for r in caplog.records] == ["INFO"], "once, and not so that it is printed"
    with pytest.raises(OptionError, match="consent"):
        copies.generate_audio("hi", consent="x" * 1001)


def test_the_store_keeps_what_it_is_given(recording: Audio, tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "a" / "voices")
    path = recording.save(tmp_path / "me.flac")
    for name, given in (
        ("Ada", recording),
        ("Bob ü. O'Neil", path),
        ("Cy_2-b", bytes(recording)),
        ("D", io.BytesIO(recording)),
    ):
        kept = store.add(name, given, f"  {CONSENT} ")
        assert (kept.name, kept.consent) == (name, CONSENT)
        expected = path.read_bytes() if given is path else bytes(recording)
        assert kept.recording.read_bytes() == expected
        assert store.find(name) == kept
    assert store.names() == ["Ada", "Bob ü. O'Neil", "Cy_2-b", "D"]
    assert store.find("Bob ü. O'Neil").recording.suffix == ".flac"  # type: ignore[union-attr]
    assert VoiceStore(store.folder).voices() == store.voices()
    assert not [p for p in store.folder.iterdir() if p.name.startswith(".")]
    told = json.loads((store.folder / "Ada" / "voice.json").read_text("utf-8"))
    assert told["consent"] == CONSENT
    assert told["added"].endswith("+00:00")
    store.remove("Ada")
    assert store.find("Ada") is None
    assert store.names() == ["Bob ü. O'Neil", "Cy_2-b", "D"]
    assert sorted(p.name for p in store.folder.iterdir()) == ["Bob ü. O'Neil", "Cy_2-b", "D"]


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "../x", "a/b", "a\\b", "/etc", "C:x", ".hidden", "x.", "x ", " x", "nul", "CON", "com1.txt", "a\0b",
     "COM¹", "lpt³.x", "com²", "con .x", "Aux  .wav",
     "a\nb", "x" * 65, "-x", "~x", "ü" * 64 + "x", None, 17, b"x", "a:b", "$HOME", "*", "voice.json"[:0] or "?"],
)  # fmt: skip
def test_names_that_are_none(recording: Audio, tmp_path: Path, name: Any) -> None:
    store = VoiceStore(tmp_path / "voices")
    with pytest.raises(OptionError) as caught:
        store.add(name, recording, CONSENT)
    assert not isinstance(caught.value, VoiceExistsError)
    assert store.find(name) is None
    with pytest.raises(VoiceNotFoundError):
        store.remove(name)
    assert not (tmp_path / "voices").exists()
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_taken(recording: Audio, tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    store.add("Ada", recording, CONSENT)
    for name in ("Ada", "ADA", "ada"):
        with pytest.raises(VoiceExistsError, match="'Ada'"):
            store.add(name, recording, CONSENT)
    with pytest.raises(VoiceExistsError, match="Viktor"):
        store.add("viktor", recording, CONSENT, taken=["Viktor"])
    # One word, spelled with one character or with two.
    store.add("Zoe\u0308", recording, CONSENT)
    with pytest.raises(VoiceExistsError):
        store.add("Zo\u00eb", recording, CONSENT)
    assert store.names() == ["Ada", "Zo\u00eb"]
    for spelled in ("Zoe\u0308", "Zo\u00eb"):
        kept = store.find(spelled)
        assert kept is not None
        assert kept.name == "Zo\u00eb"
    store.remove("Zoe\u0308")
    assert store.names() == ["Ada"]


def test_without_consent_nothing_is_kept(recording: Audio, tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    for consent in ("", "  ", None, 3, "x" * 1001, "A\ud800da"):
        with pytest.raises(OptionError, match="consent"):
            store.add("Ada", recording, consent)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_sound_is_not_kept(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voices")
    for wrong in (b"no sound at all" * 100, b""):
        with pytest.raises(MediaError):
            store.add("Ada", wrong, CONSENT)
    assert list(tmp_path.iterdir()) == []


def test_what_others_have_written_there_is_no_voice(recording: Audio, tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voices")
    store.add("Ada", recording, CONSENT)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    for number, told in enumerate(
        ["{", "[]", "{}", '{"name": "other", "recording": "r", "consent": "", "added": ""}',
         '{"name": "v4", "recording": "../../secret", "consent": "", "added": ""}',
         '{"name": "v5", "recording": "recording.wav", "consent": "", "added": ""}']
    ):  # fmt: skip
        folder = store.folder / f"v{number}"
        folder.mkdir()
        (folder / "voice.json").write_text(told)
        if number == 5:
            (folder / "recording.wav").symlink_to(secret)
    (store.folder / "link").symlink_to(store.folder / "Ada")
    (store.folder / "file").write_text("x")
    assert store.names() == ["Ada"]
    assert store.find("v4") is None is store.find("v5")


def test_of_two_at_once_one_is_kept(recording: Audio, tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    gate = threading.Barrier(4)
    outcomes: list[str] = []

    def add() -> None:
        gate.wait()
        try:
            store.add("Ada", recording, CONSENT)
            outcomes.append("kept")
        except VoiceExistsError:
            outcomes.append("there")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "there", "there", "there"]
    assert [p.name for p in tmp_path.iterdir()] == ["Ada"]


def test_what_an_ended_process_left_is_taken_away(recording: Audio, tmp_path: Path) -> None:
    old, new = tmp_path / ".adding-old", tmp_path / ".adding-new"
    for folder in (old, new):
        folder.mkdir()
    long_ago = time.time() - 7200
    os.utime(old, (long_ago, long_ago))
    VoiceStore(tmp_path).add("Ada", recording, CONSENT)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".adding-new", "Ada"]


def test_a_folder_that_cannot_be(recording: Audio, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = VoiceStore(tmp_path / "file" / "voices")
    assert store.names() == []
    with pytest.raises(SaveError):
        store.add("Ada", recording, CONSENT)


def test_where_voices_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert voices_folder("xtts").parts[-3:] == ("lollms", "voices", "xtts")
