"""Where a GPU day keeps its models: made once, told if they cannot be made, those used last kept where room is short."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from gpu.findings import NotHere
from gpu.models import known
from gpu.models.store import Model, Store

MADE: list[str] = []


def maker(name: str) -> Model:
    def make(folder: Path, device: str = "cpu") -> None:
        MADE.append(f"{name} on {device}")
        (folder / "weights").write_bytes(bytes(1000))

    return Model(make, make, 10.0)


def broken(folder: Path, device: str = "cpu") -> None:
    MADE.append("broken")
    (folder / "half").write_bytes(b"x")
    raise ValueError("as planned")


def absent(folder: Path, device: str = "cpu") -> None:
    raise NotHere("it is not installed")


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    MADE.clear()
    kinds = {name: maker(name) for name in ("one", "two", "three")}
    others = {"broken": Model(broken, broken, 1.0), "absent": Model(absent, absent, 1.0)}
    monkeypatch.setattr(known, "MODELS", {**kinds, **others})


class Usage(NamedTuple):
    free: float


def test_a_model_is_made_once_and_found_by_the_next_process(tmp_path: Path) -> None:
    for _ in range(2):
        folder = Store((tmp_path,), "cpu", True).folder("one")
        assert (folder / "weights").is_file()
    assert MADE == ["one on cpu"]
    assert Store((tmp_path,), "cpu", True).made("one").gigabytes == pytest.approx(1e-6)


def test_one_that_cannot_be_made_is_tried_once(tmp_path: Path) -> None:
    store = Store((tmp_path,), "cpu", True)
    with pytest.raises(ValueError, match="as planned"):
        store.folder("broken")
    with pytest.raises(RuntimeError, match="broken could not be made: ValueError: as planned"):
        store.folder("broken")
    assert MADE == ["broken"]
    assert not (tmp_path / "broken").exists()


def test_one_that_needs_what_is_not_here_says_so_each_time(tmp_path: Path) -> None:
    store = Store((tmp_path,), "cpu", True)
    for _ in range(2):
        with pytest.raises(NotHere):
            store.folder("absent")


def test_of_real_size_they_are_made_on_the_device_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for two in the one place, and for none in the other; who was not asked for longest makes room."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()

    def usage(root: Path) -> Usage:
        return Usage(25e9 - 11e9 * len([*root.glob("*.made")]) if root == near else 5e9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    store = Store((far, near), "meta", False)
    assert store.folder("one").parent == near
    store.folder("two")
    store.folder("one")
    store.folder("three")
    assert sorted(path.name for path in near.iterdir() if path.is_dir()) == ["one", "three"]
    assert MADE == ["one on meta", "two on meta", "three on meta"]
    store.folder("two")
    assert sorted(path.name for path in near.iterdir() if path.is_dir()) == ["three", "two"]


def test_without_any_room_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda root: Usage(1e9))
    with pytest.raises(RuntimeError, match="no room for 10 GB"):
        Store((tmp_path,), "meta", False).folder("one")
