"""Models by path, by folder, by the name of a repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lollms_modalities import ModelNotFoundError
from lollms_modalities.kit.hub import explain_loading, find_model, list_models

MARKS = ("config.json",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two models, one of them below its owner, and of one that is none."""
    for name in ("small", "owner/large"):
        model = tmp_path / "models" / name
        model.mkdir(parents=True)
        (model / "config.json").write_text("{}")
    (tmp_path / "models" / "none").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "config.json").write_text("{}")
    return tmp_path / "models"


def test_a_path_is_a_path_and_a_name_is_looked_up_first(folder: Path) -> None:
    assert find_model(folder / "small", marks=MARKS) == folder / "small"
    assert find_model(str(folder / "small"), marks=MARKS) == folder / "small"
    assert find_model("small", folders=[folder], marks=MARKS) == folder / "small"
    assert find_model("owner/large", folders=[folder], marks=MARKS) == folder / "owner/large"
    assert find_model("suno/bark-small", folders=[folder], marks=MARKS) == "suno/bark-small"
    assert list_models([folder], MARKS) == ["owner/large", "small"]
    assert list_models([folder / "nowhere"], MARKS) == []


def test_a_folder_beside_the_program_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_model("owner/large", marks=MARKS) == Path("owner/large")
    assert find_model("./small", marks=MARKS) == Path("small")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../outside",
        "a/../../outside",
        "a\0b",
        "x" * 5000,
        "one/two/three",
        "/nowhere",
        "owner/..",
        "-x/y",
        "~nobody-here/x",
    ],
)
def test_what_is_neither_a_folder_nor_a_name_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        find_model(name, folders=[folder], marks=MARKS, what="Bark model")
    assert caught.value.hint
    assert len(str(caught.value)) < 600


def test_a_folder_without_a_model_says_what_it_lacks(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"lacks config\.json"):
        find_model("none", folders=[folder], marks=MARKS)


def test_what_the_hub_raises_becomes_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # whose word it is whether something may be fetched
    said = r"'a/b' cannot be loaded: no such repository.*hf download"
    with pytest.raises(ModelNotFoundError, match=said) as caught, explain_loading("a/b"):
        raise OSError("no such repository\nand more")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_name_too_long_for_a_file_is_no_model(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="There is no model 'xxx"):
        find_model("x" * 300, folders=[folder], marks=MARKS)
