"""Providers: what another distribution does for every binding, found by its entry point."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributions import install
from lollms_modalities import (
    Aligner,
    Audio,
    BindingBrokenError,
    BindingDependencyError,
    DuplicateBindingWarning,
    Segment,
    Transcript,
    UnsupportedError,
    VoiceActivity,
    Word,
    has_provider,
    provider,
)
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.media.segments import tidied
from lollms_modalities.workers.values import pack, unpack

GOOD = """
import time
made = []

class Even:
    def __init__(self):
        time.sleep(0.05)
        made.append(self)

    def languages(self):
        return ("en",)

    def align(self, audio, text, language):
        from lollms_modalities import Word
        each = audio.duration / len(text)
        return tuple(Word(c, n * each, (n + 1) * each) for n, c in enumerate(text))

class Nothing:
    pass

def failing():
    raise ValueError("no model")

def lacking():
    import a_module_that_is_not_there
"""

Installer = Callable[[str, str], None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    (tmp_path / "made_providers.py").write_text(GOOD, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    # The environment may hold real ones; here there are those of the test.
    monkeypatch.setattr("lollms_modalities.contract.providers.read_entry_points", lambda group: _of(tmp_path, group))

    def make(name: str, points: str) -> None:
        install(tmp_path, name, f"[lollms_client.providers]\n{points}\n")
        refresh()

    refresh()
    yield make
    sys.modules.pop("made_providers", None)
    refresh()


def _of(folder: Path, group: str) -> list[object]:
    from lollms_modalities.entry_points.metadata import entry_points_in

    return [entry for entry in entry_points_in(str(folder)) if entry.group == group]


@pytest.mark.parametrize(
    ("kind", "extra"), [("aligner", "align"), ("voice_activity", "speakers"), ("diarizer", "speakers")]
)
def test_without_one_the_error_says_what_to_install(installed: Installer, kind: str, extra: str) -> None:
    assert not has_provider(kind)
    with pytest.raises(UnsupportedError, match=rf"lollms-client\[{extra}\]"):
        provider(kind)


def test_no_such_kind(installed: Installer) -> None:
    with pytest.raises(UnsupportedError, match=r"aligner, voice_activity, diarizer"):
        provider("singer")


def test_it_is_found_by_its_entry_point_and_made_once_when_it_is_used(installed: Installer) -> None:
    installed("some-words", "aligner = made_providers:Even")
    assert has_provider("aligner")
    assert "made_providers" not in sys.modules
    threads = [threading.Thread(target=provider, args=("aligner",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = provider("aligner")
    assert len(sys.modules["made_providers"].made) == 1
    assert (found.kind, found.distribution, found.version) == ("aligner", "some-words", "1.0")
    assert found.told() == {"distribution": "some-words", "version": "1.0"}
    assert isinstance(found.object, Aligner)
    assert not isinstance(found.object, VoiceActivity)
    words = found.object.align(Audio.from_pcm(bytes(4000), 1000), "abcd", "en")
    assert [word.start for word in words] == [0.0, 0.5, 1.0, 1.5]


def test_what_is_installed_later_is_found_after_a_refresh(installed: Installer) -> None:
    with pytest.raises(UnsupportedError):
        provider("aligner")
    installed("some-words", "aligner = made_providers:Even")
    first = provider("aligner")
    assert provider("aligner") is first
    installed("a-better-one", "aligner = made_providers:Even")
    with pytest.warns(DuplicateBindingWarning, match="a-better-one and some-words"):
        assert provider("aligner").distribution == "a-better-one"


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("Nothing", BindingBrokenError, "no Aligner"),
        ("failing", BindingBrokenError, "no model"),
        ("lacking", BindingDependencyError, "a_module_that_is_not_there"),
        ("absent", BindingBrokenError, "absent"),
    ],
)
def test_one_that_cannot_be_used(installed: Installer, target: str, error: type[Exception], said: str) -> None:
    installed("some-words", f"aligner = made_providers:{target}")
    for _ in range(2):  # a failure is not remembered
        with pytest.raises(error, match=said):
            provider("aligner")


SEGMENT = Segment("hi there", 0.0, 1.0, (Word("hi", 0.0, 0.4, speaker="Anna"), Word(" there", 0.4, 1.0)), speaker="Anna", final=False, id="s1")  # fmt: skip


def test_speaker_final_and_id_cross_to_another_process() -> None:
    for value in (SEGMENT, SEGMENT.words[0], Segment("plain", 0, 1)):
        packed = json.loads(json.dumps(pack(value, [])))
        assert unpack(packed, []) == value
        assert unpack({**packed, "added_by_a_newer_end": 1}, []) == value
    said = Transcript.from_segments([SEGMENT])
    assert unpack(json.loads(json.dumps(pack(said, []))), []).segments == (SEGMENT,)


def test_speaker_final_and_id_are_copied_pickled_and_told() -> None:
    said = Transcript.from_segments([SEGMENT, Segment("plain", 1, 2)])
    for other in (copy.copy(said), copy.deepcopy(said), pickle.loads(pickle.dumps(said))):
        assert other.segments == said.segments
    first, second = json.loads(json.dumps(said.to_dict()))["segments"]
    assert (first["speaker"], first["final"], first["id"]) == ("Anna", False, "s1")
    assert first["words"][0]["speaker"] == "Anna"
    assert "speaker" not in first["words"][1]
    assert not {"speaker", "final", "id"} & second.keys()


def test_they_outlive_the_tidying_and_parts_have_ids_of_their_own() -> None:
    (kept,) = tidied([SEGMENT], 2.0, "word")
    assert kept == SEGMENT
    far = Segment(
        "one two", 0, 20, (Word("one", 0, 1, speaker="A"), Word(" two", 19, 20, speaker="B")), speaker="A", id="7"
    )
    parts = tidied([far], 20.0, "word")
    assert [(part.id, part.words[0].speaker) for part in parts] == [("7.0", "A"), ("7.1", "B")]
