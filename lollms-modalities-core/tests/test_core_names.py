"""Names of files that look like something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingSettings,
    MediaError,
    OptionError,
    Transcript,
    check_media,
)
from pydantic import Field

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


@pytest.mark.parametrize("result", [Audio(WAV), Transcript("hello")], ids=["audio", "transcript"])
def test_a_result_is_kept_in_a_home_folder(folder: Path, result: Audio | Transcript) -> None:
    suffix = "wav" if isinstance(result, Audio) else "txt"
    assert result.save(f"~/x.{suffix}") == folder / "home" / f"x.{suffix}"
    assert result.save(f"~rec.{suffix}") == Path(f"~rec.{suffix}")
    assert (folder / f"~rec.{suffix}").read_bytes() == (folder / "home" / f"x.{suffix}").read_bytes()
    with pytest.raises(OptionError, match="whole path"):
        result.save(f"~nobody_of_that_name/x.{suffix}")
    with pytest.raises(OptionError, match="is a folder"):
        result.save("~")
    assert sorted(p.name for p in folder.iterdir()) == ["home", f"~rec.{suffix}"]


def test_settings_that_are_paths_are_below_the_home_folder(folder: Path) -> None:
    class Settings(BindingSettings):
        one: Path | None = None
        more: dict[str, list[Path | None]] = Field(default={})
        either: str | Path = ""
        default: Path = Path("~/models")

    home = folder / "home"
    made = Settings(one=Path("~/a"), more={"x": [Path("~"), Path("~b"), None]}, either="~/c")
    assert (made.one, made.default, made.either) == (home / "a", home / "models", "~/c"), "a text may be a name"
    assert made.more == {"x": [home, Path("~b"), None]}
    unknown = Path("~nobody_of_that_name/x")
    assert Settings(one=unknown).one == unknown
    assert Settings.model_validate({"one": "~/a"}).one == home / "a"


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
