"""Names of files that look like something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_modalities import Audio, AudioFileNotFoundError, MediaError, check_media

WAV = bytes(Audio.from_pcm(b"\0\0" * 100, 8000))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "name", ["~rec.wav", "~root", "data:x.wav", "-f.wav", "a://b.wav", "%41.wav", "x.wav ", "x,y;z.wav"]
)
def test_a_file_that_is_there_is_taken_whatever_its_name(folder: Path, name: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_bytes(WAV)
    found = check_media(name, role="audio")
    assert isinstance(found, Path)
    assert found.read_bytes() == WAV


def test_a_home_folder_is_still_found(folder: Path) -> None:
    (folder / "home" / "x.wav").write_bytes(WAV)
    assert check_media("~/x.wav", role="audio") == folder / "home" / "x.wav"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("~rec.wav", AudioFileNotFoundError), ("data:x.wav", AudioFileNotFoundError),
        ("data:audio/wav;base64,AAAA", MediaError), ("data:,x", MediaError), ("https://example.org/x.wav", MediaError),
        ("HTTP://example.org/x.wav", MediaError),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_for_what_it_is(folder: Path, name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="address" if kind is MediaError else "There is no audio file"):
        check_media(name, role="audio")
