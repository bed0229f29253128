"""What an index has under a name is looked at before any of its code runs."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from lollms_modalities import BindingNotFoundError, EnvironmentBuildError, create_environment
from lollms_modalities.environments import installers
from lollms_modalities.environments.environment import environments_folder


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with a stranger's source in it; the file that its setup.py writes."""
    source, index, mark = tmp_path / "strange-1.0", tmp_path / "index", tmp_path / "ran"
    source.mkdir()
    index.mkdir()
    (source / "setup.py").write_text(
        f"open({str(mark)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='strange', version='1.0')\n"
    )
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    with tarfile.open(index / "strange-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "strange-1.0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return mark


@pytest.mark.parametrize("how", ["uv", pytest.param("pip", marks=pytest.mark.full)])
@pytest.mark.parametrize("requirement", ["strange", "strange==1.0", "strange @ {}"])
def test_no_strangers_code_runs(ran: Path, how: str, requirement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "pip":
        monkeypatch.setattr(installers, "_uv", lambda: None)
    wanted = requirement.format((ran.parent / "index" / "strange-1.0.tar.gz").as_uri())
    with pytest.raises(EnvironmentBuildError, match=r"Nothing of it was run.*--allow-build"):
        create_environment(wanted)
    assert not ran.exists()
    assert not [p for p in environments_folder().iterdir() if not p.name.startswith(".")]


@pytest.mark.full
def test_it_is_built_when_that_is_asked_for(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")  # for setuptools
    with pytest.raises(BindingNotFoundError, match="offers no binding"):
        create_environment("strange", allow_build=True)
    assert ran.exists()
