"""What a name means."""

from __future__ import annotations

import pytest
from lollms_server.room.callers import Caller
from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import Catalogue, ServedModel

ANYBODY = Caller(None, "anonymous", "127.0.0.1")
SERVED = [
    ServedModel("narrator", "tts", "piper", aliases=("reader",)),
    ServedModel("other", "tts", "example"),
    ServedModel("ears", "stt", "faster_whisper"),
]


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(SERVED, {"tts": "other"}, {"best": "ears/small.en"})


@pytest.mark.parametrize(
    ("name", "modality", "found", "alias"),
    [
        ("narrator", "tts", "narrator", None),
        ("", "tts", "other", None),
        (None, "stt", "ears", None),
        ("reader", "tts", "narrator", "reader"),
        ("tts-1-hd", "tts", "other", "tts-1-hd"),
        ("gpt-4o-mini-tts", "tts", "other", "gpt-4o-mini-tts"),
        ("gpt-4o-transcribe-diarize", "stt", "ears", "gpt-4o-transcribe-diarize"),
        ("ears/org/model", "stt", "ears/org/model", None),
        ("best", "stt", "ears/small.en", "best"),
    ],
)
def test_a_name_is_found(catalogue: Catalogue, name: str, modality: str, found: str, alias: str | None) -> None:
    chosen = catalogue.find(name, modality, ANYBODY)
    assert (chosen.name, chosen.alias) == (found, alias)


@pytest.mark.parametrize(
    "name", ["naratr", "ears", "whisper-1", "../../etc/passwd", "narrator/", "/", "nar\0rator", "x" * 10_000]
)
def test_what_is_not_served_is_told_alike(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(ModelNotServed) as caught:
        catalogue.find(name, "tts", ANYBODY)
    assert len(str(caught.value)) < 300
    assert ("Did you mean 'narrator'?" in caught.value.hint) == (name in ("naratr", "narrator/", "nar\0rator"))


def test_a_key_for_other_models_finds_nothing_and_learns_no_name(catalogue: Catalogue) -> None:
    caller = Caller("k", "user", "10.0.0.1", frozenset({"ears"}))
    assert [model.name for model in catalogue.models(caller)] == ["ears"]
    for name in ("narrator", "tts-1", "", "reader"):
        with pytest.raises(ModelNotServed) as caught:
            catalogue.find(name, "tts", caller)
        assert "other" not in caught.value.hint
        assert "narrator" not in caught.value.hint
