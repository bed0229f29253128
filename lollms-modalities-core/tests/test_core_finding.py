"""Distributions that are found by many threads at once, are named oddly, or are damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lollms_modalities import BindingNotFoundError, EnvironmentBuildError, LollmsTTSBindingManager
from lollms_modalities.entry_points import refs
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.entry_points.metadata import name_of
from lollms_modalities.entry_points.refs import Told, read_refs, refresh
from lollms_modalities.environments import environment
from lollms_modalities.environments.sources import Found, find
from lollms_modalities.finding.bindings import find_bindings
from tiny_wheels import make_beep, make_sound, make_wheel

Spawn = Callable[[Callable[[], Any]], Any]
POINTS = "[lollms_client.tts_bindings]\n"
GOOD = """
from lollms_modalities import Audio, LollmsTTSBinding
class Good(LollmsTTSBinding):
    def generate_audio(self, text, voice=None, **kwargs): return Audio.from_pcm(bytes(2), 8000)
    def list_voices(self, **kwargs): return []
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    refresh()
    yield
    refresh()


def installed(folder: Path, name: str, metadata: str | None, points: str) -> Path:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    if metadata is not None:
        (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(points)
    (folder / f"{name}.py").write_text(GOOD)
    return folder


# --- many at once ---------------------------------------------------------------------------------------------------


def test_what_is_being_read_is_not_taken_for_what_was_read(
    tmp_path: Path, background: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one thread reads the environment, another lists all of them, too."""
    site = installed(tmp_path, "dist_far", "Name: far\nVersion: 1\n", f"{POINTS}far = dist_far:Good\n")
    reading, go = threading.Event(), threading.Event()

    def slow() -> Iterator[Any]:
        if not reading.is_set():
            reading.set()
            assert go.wait(10)
        yield SimpleNamespace(name="room", site_packages=[str(site)])

    monkeypatch.setattr(environment, "list_environments", slow)
    first = background(lambda: find_bindings("tts"))
    assert reading.wait(10)
    second = find_bindings("tts")
    go.set()
    assert [ref.environment for ref in second if ref.name == "far"] == ["room"]
    assert [repr(ref) for ref in first.result()] == [repr(ref) for ref in second]
    assert find_bindings("tts")[-1] is find_bindings("tts")[-1], "it is remembered"


@pytest.mark.parametrize("place", ["installed", "directory", "environments"])
def test_refreshing_while_another_lists(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of each reading: the list is whole, and the next one is read anew."""
    site = installed(tmp_path, "dist_far", "Name: far\nVersion: 1\n", f"{POINTS}far = dist_far:Good\n")
    read, reads = read_refs, list[int]()

    def disturbed(*args: Any, **kwargs: Any) -> Any:
        found = read(*args, **kwargs)
        reads.append(1)
        refresh()
        return found

    monkeypatch.setattr(refs, "read_refs", disturbed)
    if place == "environments":
        room = SimpleNamespace(name="room", site_packages=[str(site)])
        monkeypatch.setattr(environment, "list_environments", lambda: [room])
    elif place == "installed":
        monkeypatch.syspath_prepend(site)
    else:
        monkeypatch.setattr(environment, "list_environments", list)
    for _ in range(3):
        before = len(reads)
        found = find_bindings("tts", str(site) if place == "directory" else None)
        assert "far" in {ref.name for ref in found}
        assert len(reads) > before


def test_threads_that_list_and_refresh(background: Spawn, tmp_path: Path) -> None:
    site = str(installed(tmp_path, "dist_far", "Name: far\nVersion: 1\n", f"{POINTS}far = dist_far:Good\n"))
    wanted = [sorted(map(repr, find_bindings(m, site))) for m in MODALITIES]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:

        def work(number: int) -> None:
            for turn in range(6):
                if (number + turn) % 3 == 0:
                    refresh()
                assert [sorted(map(repr, find_bindings(m, site))) for m in MODALITIES] == wanted

        for running in [background(lambda n=n: work(n)) for n in range(6)]:  # type: ignore[misc]
            running.result(50)
    finally:
        sys.setswitchinterval(interval)


# --- odd metadata ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["dist_x:Good [loud]", "dist_x:Good[loud,soft]", "dist_x : Good", "dist_x:Good  []"])
def test_an_entry_point_may_name_extras(value: str, tmp_path: Path) -> None:
    site = installed(tmp_path, "dist_x", "Name: x\nVersion: 1\n", f"{POINTS}xx = {value}\nxxx = dist_x:Good\n")
    manager = LollmsTTSBindingManager(site)
    ref = manager.find("xx")
    assert (ref.target, ref.aliases) == ("dist_x:Good", ("xxx",))
    sys.modules.pop("dist_x", None)
    try:
        binding = manager.require_binding("xx")
        assert (binding.binding_name, type(binding).__module__) == ("xx", "dist_x")
        binding.close()
    finally:
        sys.path[:] = [p for p in sys.path if p != str(site)]
        sys.modules.pop("dist_x", None)


@pytest.mark.parametrize("metadata", ["Version: 1\n", "", None], ids=["no name", "empty", "no file"])
def test_a_distribution_without_a_name_warns_nobody(metadata: str | None, tmp_path: Path) -> None:
    """With warnings as errors: newer Pythons warn where a key of the metadata is missing."""
    installed(tmp_path, "dist_x", metadata, f"{POINTS}xx = dist_x:Good\n")
    installed(tmp_path, "dist_y", "Name: y\nVersion: 1\n", f"{POINTS}yy = dist_y:Good\n")
    program = (
        "import sys, logging\n"
        "logging.basicConfig()\n"
        "from lollms_modalities import LollmsTTSBindingManager\n"
        "from lollms_modalities.entry_points.metadata import damaged\n"
        "for manager in (LollmsTTSBindingManager(sys.argv[1]), LollmsTTSBindingManager()):\n"
        "    names = manager.get_available_bindings()\n"
        "    assert {'xx', 'yy'} <= set(names), names\n"
        "    assert manager.conflicts() == {}\n"
        "    ref = manager.find('xx')\n"
        "    assert (ref.distribution, ref.summary, ref.requires) == ('', '', ()), ref\n"
        "    assert 'tells no name' in damaged(sys.argv[1])[0].message\n"
        "    manager.require_binding('xx').close()\n"
        "    sys.path.insert(0, sys.argv[1])\n"
        "    manager.refresh()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_names_are_asked_for_without_brackets() -> None:
    """Which warn of a missing key in newer Pythons only; so this holds in all."""

    class Warning_(dict[str, str]):
        def __missing__(self, key: str) -> str:
            raise DeprecationWarning(key)

    dist: Any = SimpleNamespace(metadata=Warning_())
    assert name_of(dist) is None
    assert name_of(SimpleNamespace(metadata=None)) is None  # type: ignore[arg-type]
    told = Told(dist)
    assert (told["Name"], told["Version"]) == ("", "")


# --- what --from is given -------------------------------------------------------------------------------------------


def look(name: str, folder: Path, work: Path) -> Found:
    installer: Any = None  # nothing is to be built or fetched
    work.mkdir(exist_ok=True)
    return find(name, installer, work, source=str(folder), python=sys.executable)


def rewritten(wheel: Path, **files: bytes | None) -> None:
    """Change files of a wheel, named by their last part; None takes one out."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in contents.items():
            changed = files.get(name.rpartition("/")[2].partition(".")[0], data)
            if changed is not None:
                archive.writestr(name, changed)


def _encrypted(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= 1
            place = data.find(mark, place + 1)
    wheel.write_bytes(data)


def _damaged_inside(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    place = data.index(b"Metadata-Version")
    data[place : place + 4] = b"\0\0\0\0"
    wheel.write_bytes(data)


def _folder(wheel: Path) -> None:
    wheel.unlink()
    wheel.mkdir()


def _link(wheel: Path) -> None:
    wheel.unlink()
    wheel.symlink_to("nowhere")


METADATA = b"Metadata-Version: 2.1\nName: beep\nVersion: 1.0\n"
WHEELS: dict[str, Callable[[Path], object]] = {
    "empty": lambda wheel: wheel.write_bytes(b""),
    "text": lambda wheel: wheel.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
    "cut": lambda wheel: wheel.write_bytes(wheel.read_bytes()[:-100]),
    "half": lambda wheel: wheel.write_bytes(wheel.read_bytes()[:300]),
    "folder": _folder,
    "link to nothing": _link,
    "bad crc": _damaged_inside,
    "encrypted": _encrypted,
    "no metadata": lambda wheel: rewritten(wheel, METADATA=None),
    "no dist-info": lambda wheel: rewritten(wheel, METADATA=None, WHEEL=None, RECORD=None, entry_points=None),
    "no name": lambda wheel: rewritten(wheel, METADATA=METADATA.replace(b"Name: beep\n", b"")),
    "bad name": lambda wheel: rewritten(wheel, METADATA=METADATA.replace(b"Name: beep", b"Name: ../../beep")),
    "no version": lambda wheel: rewritten(wheel, METADATA=METADATA.replace(b"Version: 1.0\n", b"")),
    "bad version": lambda wheel: rewritten(wheel, METADATA=METADATA.replace(b"1.0", b"one point oh")),
    "bad requirement": lambda wheel: rewritten(wheel, METADATA=METADATA + b"Requires-Dist: beep-sound (>>1\n"),
    "bad python": lambda wheel: rewritten(wheel, METADATA=METADATA + b"Requires-Python: at least 3\n"),
    "no text": lambda wheel: rewritten(wheel, METADATA=b"\xff\xfe\0"),
    "no text in entry points": lambda wheel: rewritten(wheel, entry_points=b"\xff\xfe\0"),
    "no entry points": lambda wheel: rewritten(wheel, entry_points=POINTS.encode() + b"nonsense\n"),
    "no text in the recipe": lambda wheel: rewritten(wheel, environment=b"\xff\xfe\0"),
}


@pytest.mark.parametrize("kind", WHEELS)
def test_a_damaged_wheel_is_told_and_hides_no_other(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel = make_beep(folder, "")
    WHEELS[kind](wheel)
    with pytest.raises(EnvironmentBuildError, match=rf"beep.*{wheel.name}.*cannot be read") as caught:
        look("beep", folder, tmp_path / "work")
    assert caught.value.reason == "requirements"
    assert caught.value.hint
    make_wheel(folder, "hum", "1.0", {"hum.py": ""}, entry_points=f"{POINTS}hum = hum:Hum\n")
    found = look("hum", folder, tmp_path / "work")
    assert (found.binding, found.distribution, list(found.wheels)) == ("hum", "hum", ["hum"])


PROJECT = (
    '[project]\nname = "beep"\nversion = "1.0"\n[project.entry-points."lollms_client.tts_bindings"]\nbeep = "beep:B"\n'
)
PROJECTS = {
    "no toml": b"[project\nname=",
    "no text": b"\xff\xfe\0",
    "project is no table": b"project = 3\n",
    "name is no text": PROJECT.replace('"beep"\n', "3\n", 1).encode(),
    "bad name": PROJECT.replace('"beep"\n', '"../beep"\n', 1).encode(),
    "bad version": PROJECT.replace("1.0", "one").encode(),
    "version is no text": PROJECT.replace('"1.0"', "1.0").encode(),
    "entry points are no table": b'[project]\nname = "beep"\nentry-points = 3\n',
    "group is no table": b'[project]\nname = "beep"\n[project.entry-points]\n"lollms_client.tts_bindings" = 3\n',
}


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_damaged_project_is_told_and_hides_no_other(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    (folder / "beep").mkdir(parents=True)
    (folder / "beep/pyproject.toml").write_bytes(PROJECTS[kind])
    with pytest.raises(EnvironmentBuildError, match=r"beep/pyproject\.toml cannot be read"):
        look("beep", folder, tmp_path / "work")
    # A wheel beside it is taken, as where there are no projects.
    requires = ["beep-sound>=1"]
    make_wheel(folder, "beep", "1.0", {}, entry_points=f"{POINTS}beep = beep:B\n", requires=requires)
    make_sound(folder)
    assert sorted(look("beep", folder, tmp_path / "work").wheels) == ["beep", "beep-sound"]


def test_many_damaged_wheels_are_told_in_few_words(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"x{number}-1.0-py3-none-any.whl").write_bytes(b"nonsense" * 1000)
    with pytest.raises(EnvironmentBuildError, match="17 more") as caught:
        look("beep", tmp_path, tmp_path / "work")
    assert len(str(caught.value)) < 2000


def test_a_sound_folder_without_it_says_what_it_offers(tmp_path: Path) -> None:
    make_beep(tmp_path, "")
    with pytest.raises(BindingNotFoundError, match=r"offers a binding 'moo'.*It offers beep, beeper"):
        look("moo", tmp_path, tmp_path / "work")


def test_wheels_may_name_extras_in_entry_points(tmp_path: Path) -> None:
    points = f"{POINTS}beep = beep:B [loud]\nbeeper = beep:B\n"
    make_wheel(tmp_path, "beep", "1.0", {"beep/environment.toml": 'extras = ["loud"]'}, entry_points=points)
    found = look("beeper", tmp_path, tmp_path / "work")
    assert (found.binding, found.extras) == ("beep", ("loud",))
