"""The place without a cluster: what is asked for, refused and told."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest
from lollms_modalities import (
    BindingDependencyError,
    BindingIncompatibleError,
    BindingNotFoundError,
    CancelToken,
    LollmsTTSBindingManager,
    PlaceError,
    SettingsError,
    WorkerCrashedError,
    WorkerPolicy,
)
from lollms_modalities.workers.finding_places import find_place
from lollms_ray import RayPlace
from lollms_ray.frames import Frames
from lollms_ray.helper import make_token
from waiting import wait_until


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


FAILS: list[tuple[dict[str, str], type[Exception], str]] = [
    ({"why": "room", "said": "3"}, PlaceError, r"had room .* within 3 s: it asks for num_gpus=0.5, num_cpus=1"),
    ({"why": "head"}, PlaceError, "head of the cluster 'local' does not answer"),
    ({"why": "core", "node": "n1", "said": "no lollms"}, BindingDependencyError, "cannot be imported on n1: no lollms"),
    (
        {"why": "version", "node": "n1", "said": "3.0.0"},
        BindingIncompatibleError,
        "n1 has lollms-modalities-core 3.0.0",
    ),
    ({"why": "environment", "node": "n1", "said": "There is none"}, BindingNotFoundError, "On n1: There is none"),
    ({"why": "worker", "node": "n1", "said": "it ended\nOh no"}, WorkerCrashedError, r"did not start on n1: it ended"),
    ({"why": "lost", "said": "ValueError: x"}, PlaceError, "Ray could not start .*ValueError: x"),
]


@pytest.mark.parametrize(("told", "error", "match"), FAILS, ids=[told["why"] for told, _, _ in FAILS])
def test_why_a_worker_is_not_started_is_told(
    tmp_path: Path, told: dict[str, str], error: type[Exception], match: str
) -> None:
    program = f"""#!{sys.executable}
import socket, sys
from lollms_ray.frames import Frames
frames = Frames(socket.socket(fileno=int(sys.argv[-1])))
frames.read()
frames.write({{"type": "ready"}})
asked = frames.read()[0]
frames.write({{"type": "failed", "id": asked["id"], **{told!r}}})
frames.read()
"""
    place = RayPlace(environment=fake_python(tmp_path, program), num_gpus=0.5)
    with pytest.raises(error, match=match):
        LollmsTTSBindingManager().require_binding("example", place=place)
    place.close()


def test_settings_and_secrets_are_not_among_ray_s_arguments(tmp_path: Path) -> None:
    """What Ray is given of a worker is what ``Placed`` needs: neither settings, nor variables, nor a key."""
    seen = tmp_path / "seen"
    program = f"""#!{sys.executable}
import json, socket, sys
from lollms_ray.frames import Frames
frames = Frames(socket.socket(fileno=int(sys.argv[-1])))
frames.read()
frames.write({{"type": "ready"}})
asked = frames.read()[0]
open({str(seen)!r}, "w").write(json.dumps(asked))
frames.write({{"type": "failed", "id": asked["id"], "why": "head"}})
frames.read()
"""
    place = RayPlace(environment=fake_python(tmp_path, program))
    policy = WorkerPolicy(variables={"A_KEY": "sesame-1"})
    with pytest.raises(PlaceError):
        LollmsTTSBindingManager().require_binding("example", place=place, policy=policy, default_voice="high")
    place.close()
    asked = json.loads(seen.read_text())
    assert set(asked["worker"]) == {"modality", "name", "environment", "other", "limit", "core"}
    assert "PRIVATE KEY" not in str(asked)
    assert "sesame-1" not in str(asked)


def test_an_environment_without_ray_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    fake_python(tmp_path, "#!/bin/sh\necho No module named lollms_ray >&2\nexit 1\n")
    with pytest.raises(PlaceError, match="No module named lollms_ray") as caught:
        LollmsTTSBindingManager().require_binding("example", place=RayPlace(environment=tmp_path))
    assert caught.value.reason == "program"
    wait_until(lambda: not list(temporary.iterdir()))
    (tmp_path / "bin" / "python").write_text("#!/no/such/program\n")
    with pytest.raises(PlaceError, match="cannot be started"):
        LollmsTTSBindingManager().require_binding("example", place=RayPlace(environment=tmp_path))
    assert not list(temporary.iterdir())


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
