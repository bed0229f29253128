"""The place without a cluster: what is asked for, refused and told."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest
from lollms_modalities import (
    BindingNotFoundError,
    CancelToken,
    LollmsTTSBindingManager,
    PlaceError,
    SettingsError,
    WorkerCrashedError,
)
from lollms_modalities.workers.finding_places import find_place
from lollms_ray import RayPlace
from lollms_ray.frames import Frames
from lollms_ray.helper import make_token


def test_it_is_found_by_name_and_address() -> None:
    found = find_place("ray")
    assert isinstance(found, RayPlace)
    assert (found.name, found.address, found.shares_files) == ("ray", "local", False)
    elsewhere = find_place("ray://head:6379")
    assert isinstance(elsewhere, RayPlace)
    assert elsewhere.address == "head:6379"


def test_an_environment_that_is_missing_is_told(tmp_path: Path) -> None:
    place = RayPlace(environment=tmp_path / "none")
    with pytest.raises(BindingNotFoundError, match="no virtual environment"):
        LollmsTTSBindingManager().require_binding("example", place=place)
    with pytest.raises(SettingsError):
        LollmsTTSBindingManager().require_binding("example", place="rai")


def test_a_cluster_is_not_joined_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (RayPlace("auto", environment=tmp_path), RayPlace("auto", environment=tmp_path, token="none")):
        with pytest.raises(PlaceError, match="no token for the cluster 'auto'") as caught:
            LollmsTTSBindingManager().require_binding("example", place=place)
        assert caught.value.reason == "authentication"


def test_it_says_what_it_lacks_without_being_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    with pytest.raises(PlaceError, match="does not have lollms-ray") as caught:
        RayPlace(environment=tmp_path).check()
    assert "lollms env create ray" in caught.value.hint
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(BindingNotFoundError, match="no environment 'ray'"):
        RayPlace().check()
    with pytest.raises(BindingNotFoundError, match="holds Ray has no environment") as missing:
        LollmsTTSBindingManager().require_binding("example", place=RayPlace())
    assert "lollms env create ray" in missing.value.hint


def fake_python(folder: Path, script: str) -> Path:
    """An environment whose interpreter is a script."""
    (folder / "bin").mkdir()
    (folder / "pyvenv.cfg").touch()
    (folder / "bin" / "python").write_text(script)
    (folder / "bin" / "python").chmod(0o755)
    return folder


def test_a_start_that_is_not_wanted_any_more_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_ray.helper._PATIENCE", 0.5)
    environment = fake_python(tmp_path, "#!/bin/sh\nexec sleep 600\n")  # a cluster that never says anything
    place, cancel = RayPlace(environment=environment), CancelToken()
    timer = threading.Timer(0.5, cancel.cancel)
    timer.start()
    try:
        with pytest.raises(WorkerCrashedError, match="not wanted any more"):
            LollmsTTSBindingManager().maker("example", place=place, cancel=cancel)({})
    finally:
        timer.join()
        place.close()


@pytest.mark.parametrize(("said", "reason", "match"), [
    ({"why": "silent", "where": "head:1 (refused)"}, "answer", "No cluster answers at head:1"),
    ({"why": "open", "where": "head:1"}, "authentication", "asks nobody for a token"),
    ({"why": "failed", "where": "ValueError: x"}, "unreachable", "could not be joined"),
])  # fmt: skip
def test_why_a_cluster_is_not_joined_is_told(tmp_path: Path, said: dict[str, str], reason: str, match: str) -> None:
    program = f"""#!{sys.executable}
import socket, sys
from lollms_ray.frames import Frames
frames = Frames(socket.socket(fileno=int(sys.argv[-1])))
frames.read()
frames.write({{"type": "refused", **{said!r}}})
frames.read()
"""
    place = RayPlace(environment=fake_python(tmp_path, program))
    with pytest.raises(PlaceError, match=match) as caught:
        LollmsTTSBindingManager().require_binding("example", place=place)
    assert caught.value.reason == reason
    place.close()


def test_an_environment_without_ray_is_told(tmp_path: Path) -> None:
    fake_python(tmp_path, "#!/bin/sh\necho No module named lollms_ray >&2\nexit 1\n")
    with pytest.raises(PlaceError, match="No module named lollms_ray") as caught:
        LollmsTTSBindingManager().require_binding("example", place=RayPlace(environment=tmp_path))
    assert caught.value.reason == "program"


def test_a_token_is_its_user_s_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        token = make_token(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64


def test_descriptors_come_with_their_frames() -> None:
    one, other = map(Frames, socket.socketpair())
    near, far = socket.socketpair()
    with far:
        one.write({"n": 1})
        one.write({"n": 2}, [near.fileno()])
        one.write({"n": 3})
        near.close()
        assert other.read() == ({"n": 1}, [])
        message, (descriptor,) = other.read()
        assert message == {"n": 2}
        assert other.read() == ({"n": 3}, [])
        with socket.socket(fileno=descriptor) as passed:
            passed.sendall(b"hi")
            assert far.recv(2) == b"hi"
    one.close()
    with pytest.raises(EOFError):
        other.read()
    other.close()
