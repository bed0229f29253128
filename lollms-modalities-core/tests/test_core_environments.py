"""Environments made from recipes: with real uv and pip, from tiny wheels."""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    BindingDependencyError,
    BindingNotFoundError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    EnvironmentBuildError,
    EnvironmentUsedWarning,
    LollmsTTSBindingManager,
    Progress,
)
from lollms_modalities.calls.call import Call
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.environments import cuda, installers, pip_settings
from lollms_modalities.environments.changing import (
    check_environment,
    create_environment,
    remove_environment,
    update_environment,
)
from lollms_modalities.environments.environment import environments_folder, find_environment, list_environments
from lollms_modalities.environments.installers import Runner, Uv
from lollms_modalities.environments.recipe import Recipe, parse_recipe
from lollms_modalities.environments.record import Request, disk_use
from lollms_modalities.environments.resolving import Resolver
from lollms_modalities.environments.sources import Found
from tiny_wheels import make_beep, make_sound, make_wheel

RECIPE = """
python = ">=3.11"

[variables]
BEEP_TONE = "high"

[check]
code = "import beep_sound"
"""


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """As everywhere, with time for installers."""
    faulthandler.dump_traceback_later(600, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of one's own, and the folder of wheels that is looked in besides the index."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    refresh()
    yield tmp_path
    monkeypatch.undo()
    refresh()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the beep; what it requires is in another, "index", where installers look, too."""
    folder = tmp_path / "wheels"
    make_beep(folder, RECIPE)
    make_sound(tmp_path / "index")
    places = [str(tmp_path / "index"), os.environ.get("LOLLMS_WHEELS", ""), os.environ.get("PIP_FIND_LINKS", "")]
    monkeypatch.setenv("PIP_FIND_LINKS", " ".join(filter(None, places)))
    return folder


def left() -> list[str]:
    """What there is of environments."""
    folder = environments_folder()
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock") if folder.exists() else []


def inside(code: str, name: str = "beep") -> str:
    environment = find_environment(name)
    program = [str(environment.python), "-c", code]
    return subprocess.run(
        program, env=environment.variables_inside, check=True, capture_output=True, text=True
    ).stdout.strip()


def usage(**kwargs: Any) -> dict[str, Any]:
    with LollmsTTSBindingManager().require_binding("beep", **kwargs) as beep:
        provenance = beep.generate_audio("hi").provenance
        assert provenance is not None
        return dict(provenance.usage)


# --- one command ----------------------------------------------------------------------------------------------------


def test_a_binding_that_only_an_environment_has_runs_there(wheels: Path) -> None:
    seen: list[Progress] = []
    environment = create_environment("beeper", source=wheels, progress=seen.append)
    assert environment.name == "beep"  # by its canonical name
    assert [e.name for e in list_environments()] == ["beep"]
    stages = [p.stage for p in seen]
    assert [s for s in ("find", "resolve", "download", "check") if s in stages] == [
        "find",
        "resolve",
        "download",
        "check",
    ]

    manager = LollmsTTSBindingManager()
    assert {"beep", "beeper"} <= set(manager.get_available_bindings())
    ref = manager.find("beep")
    assert (ref.origin, ref.environment, ref.version) == ("environment", "beep", "1.0")
    used = usage()
    assert (used["sound"], used["tone"]) == ("1.0", "high")
    assert used["home"].startswith(str(environment.folder))
    # What it says of itself is known without starting it.
    described = manager.describe("beep")
    assert (described["environment"], described["class"]) == ("beep", "beep:BeepTTSBinding")
    assert "generate_audio" in described["verbs"]
    assert check_environment("beep").problems == []


def test_nothing_of_the_parent_is_seen(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_environment("beep", source=wheels)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    path = json.loads(inside("import sys, json; print(json.dumps(sys.path))"))
    assert not any(p.startswith(sys.prefix + os.sep) for p in path)
    assert inside("import importlib.util; print(importlib.util.find_spec('pytest'))") == "None"


def test_what_was_resolved_is_recorded_and_can_be_repeated(wheels: Path, tmp_path: Path) -> None:
    create_environment("beep", source=wheels, name="first")
    record = find_environment("first").record
    assert record is not None
    assert "beep-sound==1.0" in record.pins
    assert record.request == Request("beep", source=str(wheels))
    assert record.python == ".".join(map(str, sys.version_info[:3]))
    assert record.recipe == RECIPE

    make_sound(wheels.parent / "index", "1.1")
    (wheels / "beep-1.0-py3-none-any.whl").unlink()  # the record has it
    again = create_environment(record=find_environment("first").folder / "lollms.json", name="again")
    assert again.record is not None
    assert again.record.pins == record.pins
    assert usage(environment="again")["sound"] == "1.0"

    make_beep(wheels, RECIPE)
    update_environment("again")
    assert usage(environment="again")["sound"] == "1.1"
    assert usage(environment="first")["sound"] == "1.0"


def test_disk_use_counts_links_once(wheels: Path) -> None:
    rooms = [create_environment("beep", source=wheels, name=name).folder.parent for name in ("a", "b")]
    each = [disk_use([room]) for room in rooms]
    both = disk_use(rooms)
    if each[0].shared < each[0].size // 2:
        pytest.skip("uv's cache is on another disk, so that nothing is linked")
    assert both.size < sum(use.size for use in each) - min(use.shared for use in each) // 2
    file = rooms[0] / "file"
    before = disk_use(rooms)
    file.write_bytes(os.urandom(1_000_000))
    os.link(file, rooms[1] / "same")
    after = disk_use(rooms)
    assert 1_000_000 <= after.size - before.size < 1_100_000
    assert after.shared == before.shared  # both links are in here
    assert disk_use(rooms[:1]).shared >= each[0].shared + 1_000_000


def test_a_checkout_is_built(tmp_path: Path, wheels: Path) -> None:
    project = tmp_path / "checkout" / "packages" / "hum"
    (project / "src" / "hum").mkdir(parents=True)
    source = 'from lollms_modalities import LollmsTTSBinding\nclass Hum(LollmsTTSBinding):\n    """Hums."""\n'
    source += "    def generate_audio(self, text, voice=None, **kwargs): return b''\n    def list_voices(self, **kwargs): return []\n"
    (project / "src" / "hum" / "__init__.py").write_text(source)
    (project / "src" / "hum" / "environment.toml").write_text('[variables]\nHUM = "yes"\n')
    (project / "pyproject.toml").write_text(
        textwrap.dedent("""
        [project]
        name = "hum"
        version = "3.1"
        dependencies = ["lollms-modalities-core>=2"]
        [project.entry-points."lollms_client.tts_bindings"]
        hum = "hum:Hum"
        [build-system]
        requires = ["uv_build>=0.9,<1"]
        build-backend = "uv_build"
    """)
    )
    environment = create_environment("hum", source=tmp_path / "checkout")
    record = environment.record
    assert record is not None
    assert (record.distribution, record.version, environment.variables) == ("hum", "3.1", {"HUM": "yes"})
    assert (environment.folder / "lollms-wheels" / "hum-3.1-py3-none-any.whl").is_file()


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_overrides_exclusions_and_stand_ins(wheels: Path) -> None:
    make_sound(wheels.parent / "index", "2.0", requires=["beep-core==99", "beep-heavy"])
    make_wheel(
        wheels.parent / "index",
        "beep-core",
        "1.0",
        {"beep_core.py": "import beep_heavy.deep.low\nfrom beep_heavy import HIGH\n"},
    )
    make_beep(wheels, None, requires=["beep-sound>=2"])
    with pytest.raises(EnvironmentBuildError, match="beep-core==99") as failed:
        create_environment("beep", source=wheels)
    assert failed.value.reason == "requirements"  # type: ignore[attr-defined]
    assert left() == []
    make_beep(wheels, """
        overrides = ["beep-core>=1"]
        exclusions = ["beep-heavy"]
        [stand-ins."beep_heavy.deep.low"]
        reason = "nobody has it"
        [stand-ins.beep_heavy]
        reason = "nobody has that either"
        version = "0.1"
        code = "HIGH = 5"
        [check]
        code = "import beep_core, importlib.metadata as m; assert (beep_core.HIGH, m.version('beep_heavy')) == (5, '0.1')"
    """, requires=["beep-sound>=2"])  # fmt: skip
    environment = create_environment("beep", source=wheels)
    assert environment.record is not None
    assert not [pin for pin in environment.record.pins if "heavy" in pin]
    assert inside("import beep_heavy.deep.low as low; print(open(low.__file__).read())").startswith("# Stands in for")


def test_a_stand_in_takes_the_place_of_nothing_installed(wheels: Path) -> None:
    make_beep(wheels, '[stand-ins.beep_sound]\nreason = "I like it"\n')
    with pytest.raises(EnvironmentBuildError, match="stand-in for beep_sound, which is installed"):
        create_environment("beep", source=wheels)
    assert left() == []


def test_extras_of_the_recipe_and_of_the_asker(wheels: Path) -> None:
    make_wheel(wheels.parent / "index", "beep-loud", "1.0", {"beep_loud.py": ""})
    create_environment("beep", source=wheels, extras=["loud"])
    assert inside("import beep_loud; print('there')") == "there"
    make_beep(wheels, 'extras = ["loud"]')
    create_environment("beep", source=wheels, name="b")
    assert inside("import beep_loud; print('there')", "b") == "there"


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("python = [", "is no TOML"),
        ("pyhton = '>=3.11'", r"unknown key 'pyhton'\. Is it 'python'\?"),
        ("torch = 'yes'", "torch = 'yes', which is no bool"),
        ("overrides = ['torch >> 2']", "holds what cannot be read"),
        ("[variables]\nA = 1", "sets the variable 'A' to 1"),
        ("[stand-ins.x]\ncode = ''", "no reason for the stand-in of x"),
        ("[stand-ins.'../x']\nreason = 'r'", "stand-in whose module is"),
    ],
)
def test_a_recipe_that_is_wrong_says_where(wheels: Path, recipe: str, told: str) -> None:
    make_beep(wheels, recipe)
    with pytest.raises(EnvironmentBuildError, match=told) as failed:
        create_environment("beep", source=wheels)
    assert "of beep 1.0" in str(failed.value)
    assert left() == []


def test_files_for_cuda_are_taken_out_beside_a_torch_for_the_cpu(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [str(wheels.parent / "index"), os.environ.get("LOLLMS_WHEELS", "")]
    monkeypatch.setenv("PIP_FIND_LINKS", " ".join(filter(None, places)))
    make_beep(
        wheels, 'torch = true\ncuda-files = ["beep_lib/*.so", "beep_fit/*.so"]', requires=["beep-lib", "beep-fit"]
    )
    make_wheel(wheels.parent / "index", "torch", "2.9.9+cpu", {"torch.py": ""})
    make_wheel(
        wheels.parent / "index",
        "beep-lib",
        "1.0",
        {"beep_lib/a.so": "x", "beep_lib/a.py": ""},
        requires=["torch", "triton"],
    )
    make_wheel(wheels.parent / "index", "beep-fit", "1.0+cpu", {"beep_fit/a.so": "x", "beep_fit/a.py": ""})
    environment = create_environment("beep", source=wheels, torch="cpu")
    (site,) = map(Path, environment.site_packages)
    assert sorted(p.name for p in (site / "beep_lib").iterdir()) == ["a.py"]
    assert environment.record is not None
    assert environment.record.torch == "2.9.9+cpu"
    assert not [pin for pin in environment.record.pins if pin.startswith("triton")]  # of no use on a CPU


# --- which torch ----------------------------------------------------------------------------------------------------


def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, *versions: str) -> list[str]:
    """What is taken where an index of these builds is all that there is."""
    folder = tmp_path / "-".join(versions)
    for version in versions:
        make_wheel(folder, "torch", version, {"torch.py": ""}, requires=[] if "+cpu" in version else ["triton"])
    make_wheel(folder, "triton", "3.0", {"triton.py": ""})
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_CONSTRAINT", "")
    runner = Runner(Call("test"), tmp_path)
    program = installers._uv()
    assert program is not None
    uv = Uv(program, runner)
    resolver = Resolver(Call("test"), uv, Request("beep", torch=choice), "The environment was not made")
    venv = tmp_path / "venv"
    if not venv.exists():
        uv.make_environment(venv, sys.executable)
    found = Found("beep", "torch", "1", "", (), "torch", {"lollms-modalities-core": folder / "triton-3.0-py3-none-any.whl"},
                  Recipe(torch=True), "")  # fmt: skip
    monkeypatch.setattr(Found, "requirements", ["torch"])
    return resolver.resolve(venv, found)[0]


def test_the_torch_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(choice: str, *versions: str) -> list[str]:
        return resolved(tmp_path, monkeypatch, choice, *versions)

    monkeypatch.setattr(cuda, "has_cuda", lambda: False)
    assert take("cpu", "2.0+cpu", "2.1") == ["torch==2.0+cpu"]
    assert take("auto", "2.0+cpu", "2.1") == ["torch==2.0+cpu"]
    assert take("auto", "2.1") == ["torch==2.1", "triton==3.0"]  # it runs on a CPU, too
    with pytest.raises(EnvironmentBuildError, match=r"no build of torch for the CPU.*find-links") as failed:
        take("cpu", "2.1")
    assert failed.value.reason == "requirements"  # type: ignore[attr-defined]
    assert take("cuda", "2.1+cpu", "2.1") == ["torch==2.1", "triton==3.0"]
    monkeypatch.setattr(cuda, "has_cuda", lambda: True)
    assert take("auto", "2.0+cpu", "2.1") == ["torch==2.1", "triton==3.0"]


# --- when it goes wrong ---------------------------------------------------------------------------------------------


def fails(reason: str, match: str, binding: str = "beep", **kwargs: Any) -> str:
    """Creation fails for that reason, in one paragraph, and leaves nothing."""
    with pytest.raises(EnvironmentBuildError, match=match) as failed:
        create_environment(binding, **kwargs)
    text = str(failed.value)
    assert failed.value.reason == reason, text  # type: ignore[attr-defined]
    assert "\n" not in text
    assert failed.value.hint
    assert left() == []
    return text


def test_impossible_requirements(wheels: Path) -> None:
    make_beep(wheels, RECIPE, requires=["beep-sound>=7"])
    text = fails("requirements", "beep-sound>=7.*cannot be|cannot be fulfilled together.*beep-sound", source=wheels)
    assert "beep==1.0" in text or "beep" in text
    make_beep(wheels, RECIPE, requires=["beep-sound", "beep-nowhere"])
    fails("requirements", r"no index and no folder that was named has beep-nowhere.*find-links", source=wheels)


def test_a_wrong_python(wheels: Path) -> None:
    fails("python", r"beep 1\.0 runs on Python >=3\.11, and 3\.9 was asked for", source=wheels, python="3.9")
    fails("python", "there is no Python for it", source=wheels, python="/no/such/python3.12")
    make_beep(wheels, 'python = "<3.0"')
    fails("python", "there is no Python for it", source=wheels)


def test_no_network(wheels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    fails("network", r"http://127\.0\.0\.1:9 cannot be reached.*network", source=wheels)


FULL = """
import resource, signal, sys
from lollms_modalities import create_environment
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    create_environment("beep", source=sys.argv[1])
except Exception as exc:
    print(type(exc).__name__, exc.reason, exc)
"""


def test_a_full_disk(wheels: Path, tmp_path: Path) -> None:
    # A limit on the size of files stands for it: uv is told so at the same calls.
    variables = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(wheels)], env=variables, capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.startswith("EnvironmentBuildError disk The environment for 'beep' was not made, but the disk is")
    assert "UV_CACHE_DIR" in done.stdout
    assert left() == []


def test_one_that_does_not_work_is_not_kept(wheels: Path) -> None:
    make_beep(wheels, "[check]\ncode = \"raise RuntimeError('no sound card')\"")
    fails("check", "recipe's check fails: RuntimeError: no sound card", source=wheels)
    make_beep(wheels, "[check]\ncode = 'import os; os.abort()'")
    fails("check", "signal 6", source=wheels)


def test_a_place_may_need_one(wheels: Path) -> None:
    files = {
        "beep_stage/__init__.py": "from lollms_modalities import ProcessPlace\n\nclass Stage(ProcessPlace):\n    name = 'stage'\n",
        "beep_stage/environment.toml": 'extras = ["sound"]\n[check]\ncode = "import beep_sound"\n',
    }
    make_wheel(
        wheels, "beep-stage", "1.0", files, requires=["lollms-modalities-core>=2,<3"],
        entry_points="[lollms_client.places]\nstage = beep_stage:Stage\n", extras={"sound": ["beep-sound"]},
    )  # fmt: skip
    stage = create_environment("stage", source=wheels)
    assert (stage.name, stage.places, stage.bindings) == ("stage", ["stage"], [])
    found = check_environment("stage")
    assert (found.problems, found.places) == ([], ["stage"])
    (Path(stage.site_packages[0]) / "beep_stage" / "__init__.py").write_text("import nothing_such\n")
    assert any("the place 'stage': ModuleNotFoundError" in problem for problem in check_environment("stage").problems)
    with pytest.raises(BindingNotFoundError, match="offers a binding 'ssh'"):
        create_environment("ssh", source=wheels)  # the core's own need none


def test_it_must_be_there(wheels: Path) -> None:
    with pytest.raises(BindingNotFoundError, match=r"offers a binding 'bep'.*beep.*Did you mean 'beep'\?"):
        create_environment("bep", source=wheels)
    with pytest.raises(EnvironmentBuildError, match="is no folder"):
        create_environment("beep", source=wheels / "nowhere")
    with pytest.raises(BindingNotFoundError, match=r"beep-sound 1\.0 offers no binding"):
        create_environment("beep-sound")
    with pytest.raises(BindingNotFoundError, match="is neither the name of a binding nor a requirement"):
        create_environment("beep sound !")
    with pytest.raises(EnvironmentBuildError, match="cannot be the name"):
        create_environment("beep", source=wheels, name="../beep")
    with pytest.raises(EnvironmentBuildError, match="is no record"):
        create_environment(record=wheels)
    assert left() == []


def test_a_second_of_the_same_name(wheels: Path) -> None:
    create_environment("beep", source=wheels)
    with pytest.raises(EnvironmentBuildError, match=r"already\. .*lollms env update beep") as failed:
        create_environment("beep", source=wheels)
    assert failed.value.reason == "exists"  # type: ignore[attr-defined]
    assert len(left()) == 2


def test_a_second_creator_and_stopping(wheels: Path, background: Callable[..., Any]) -> None:
    make_beep(wheels, '[check]\ncode = "import time; time.sleep(60)"')
    token, checking = CancelToken(), threading.Event()

    def make() -> None:
        create_environment(
            "beep", source=wheels, cancel=token, progress=lambda p: checking.set() if p.stage == "check" else None
        )

    first = background(make)
    assert checking.wait(40)
    with pytest.raises(EnvironmentBuildError, match=f"is being made by process {os.getpid()}") as failed:
        create_environment("beep", source=wheels)
    assert failed.value.reason == "busy"  # type: ignore[attr-defined]
    token.cancel("enough")
    with pytest.raises(CallCancelled, match="enough"):
        first.result(10)
    assert left() == []
    with pytest.raises(CallTimeout):
        create_environment("beep", source=wheels, timeout=0.2)

    def no(progress: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        create_environment("beep", source=wheels, progress=no)
    assert left() == []


# --- killed ---------------------------------------------------------------------------------------------------------

CREATE = """
import os, signal, sys
from lollms_modalities import create_environment

def kill(progress):
    if progress.stage == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

create_environment("beep", source=sys.argv[1], progress=kill)
"""


def test_after_a_kill_the_next_goes_on_from_what_was_resolved(wheels: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", CREATE, str(wheels), "check"], check=False, timeout=60)
    assert killed.returncode == -9
    assert list_environments() == []
    assert len(left()) == 1
    seen: list[str] = []
    create_environment("beep", source=wheels, progress=lambda p: seen.append(p.stage))
    assert "resolve" not in seen
    assert usage()["sound"] == "1.0"
    assert len(left()) == 2  # the name and its folder: what was left is swept up

    subprocess.run([sys.executable, "-c", CREATE, str(wheels), "check"], check=False, timeout=60)
    make_beep(wheels, RECIPE + "\n")
    seen.clear()
    create_environment("beep", source=wheels, name="b", progress=lambda p: seen.append(p.stage))
    assert "resolve" in seen  # it is another now


# --- in use ---------------------------------------------------------------------------------------------------------


def test_what_runs_in_one_keeps_its_files(wheels: Path) -> None:
    old = create_environment("beep", source=wheels).folder
    with LollmsTTSBindingManager().require_binding("beep") as beep:
        make_sound(wheels.parent / "index", "1.5")
        new = update_environment("beep").folder
        assert (old != new, old.exists()) == (True, True)
        provenance = beep.generate_audio("hi").provenance  # imports it only now
        assert provenance is not None
        assert provenance.usage["sound"] == "1.0"
    assert usage()["sound"] == "1.5"
    with LollmsTTSBindingManager().require_binding("beep") as beep:
        remove_environment("beep")
        assert list_environments() == []
        assert beep.generate_audio("hi").duration
        assert new.exists()
        assert not old.exists()
    make_beep(wheels, "torch = 5")
    with pytest.raises(EnvironmentBuildError):
        create_environment("beep", source=wheels, name="b")
    with pytest.raises(BindingNotFoundError):
        remove_environment("beep")
    create_environment_swept = create_environment
    make_beep(wheels, RECIPE)
    create_environment_swept("beep", source=wheels)
    assert not new.exists()


def test_an_update_that_fails_changes_nothing(wheels: Path) -> None:
    create_environment("beep", source=wheels)
    make_beep(wheels, "[check]\ncode = '1/0'")
    with pytest.raises(EnvironmentBuildError, match=r"'beep' was not made anew, and stays as it is.*ZeroDivisionError"):
        update_environment("beep")
    assert usage()["sound"] == "1.0"
    assert len(left()) == 2


def test_check_tells_what_is_wrong(wheels: Path) -> None:
    environment = create_environment("beep", source=wheels)
    (site,) = map(Path, environment.site_packages)
    (site / "beep_sound.py").unlink()
    assert check_environment("beep").problems == [
        "its recipe's check fails: ModuleNotFoundError: No module named 'beep_sound'"
    ]
    (site / "beep" / "__init__.py").unlink()
    (site / "beep" / "__init__.py").write_text("import nothing_of_the_kind")
    (site / "beep_sound-1.0.dist-info" / "METADATA").unlink()
    problems = " ".join(check_environment("beep").problems)
    assert "the tts binding 'beep': BindingDependencyError" in problems
    assert "beep-sound is missing, which was installed" in problems
    environment.python.unlink()
    assert "does not start" in check_environment("beep").problems[0]


# --- a clash --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clash(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The beep is installed here, too, without what it requires."""
    folder = tmp_path / "site"
    uv = installers._uv()
    command = [str(uv), "pip", "install", "-q", "--no-deps", "--target", str(folder), str(next(wheels.glob("beep-1*")))]
    subprocess.run(command, check=True)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr("lollms_modalities.finding.manager._told_of", set())
    refresh()
    return wheels


def test_requirements_that_clash_lead_to_the_environment(clash: Path) -> None:
    manager = LollmsTTSBindingManager()
    assert manager.find("beep").origin == "installed"
    with pytest.raises(BindingDependencyError, match="beep-sound"):
        manager.require_binding("beep")
    create_environment("beep", source=clash)
    assert manager.find("beep").origin == "environment"
    with pytest.warns(
        EnvironmentUsedWarning, match=r"needs beep-sound \(missing\).*environment 'beep'.*forbids it"
    ) as told:
        assert usage()["tone"] == "high"
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert usage()["tone"] == "high"  # told once
        assert usage(environment="beep")["tone"] == "high"
    with pytest.raises(BindingDependencyError, match="beep-sound"):
        manager.require_binding("beep", environment=False)


def test_without_a_clash_it_runs_here(clash: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_environment("beep", source=clash)
    uv = installers._uv()
    site = clash.parent / "site"
    subprocess.run(
        [
            str(uv),
            "pip",
            "install",
            "-q",
            "--target",
            str(site),
            "--no-index",
            "-f",
            str(clash.parent / "index"),
            "beep-sound",
        ],
        check=True,
    )
    refresh()
    assert LollmsTTSBindingManager().find("beep").origin == "installed"
    assert usage()["tone"] == ""


def test_one_that_is_elsewhere_only_can_be_forbidden(wheels: Path) -> None:
    create_environment("beep", source=wheels)
    with pytest.raises(BindingNotFoundError, match="is in the environment 'beep', not here"):
        LollmsTTSBindingManager().require_binding("beep", environment=False)


# --- what pip has been told -----------------------------------------------------------------------------------------


def test_uv_is_told_what_pip_has_been_told(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        textwrap.dedent("""
        [global]
        index-url = https://one/simple
        extra-index-url = https://two/simple
            https://three/simple
        timeout = 7
        [install]
        find_links = ~/wheels /more
        constraint = c.txt
        no-index = false
    """)
    )
    environ = {"PIP_CONFIG_FILE": str(file), "PIP_TRUSTED_HOST": "one two", "PIP_CERT": "/ca.crt"}
    told = pip_settings.for_uv(environ)
    assert told["UV_DEFAULT_INDEX"] == "https://one/simple"
    assert told["UV_INDEX"] == "https://one/simple https://two/simple https://three/simple"
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert told["UV_FIND_LINKS"] == f"{Path.home()}/wheels,/more"
    assert told["UV_CONSTRAINT"] == os.path.abspath("c.txt")
    assert (told["UV_INSECURE_HOST"], told["SSL_CERT_FILE"], told["UV_HTTP_TIMEOUT"]) == ("one two", "/ca.crt", "7")
    assert not pip_settings.no_index(environ)
    own = {**environ, "UV_INDEX_URL": "https://mine", "UV_FIND_LINKS": "/mine", "PIP_NO_INDEX": "1"}
    told = pip_settings.for_uv(own)
    assert not {"UV_DEFAULT_INDEX", "UV_FIND_LINKS"} & set(told)
    assert pip_settings.no_index(own)


# --- without uv -----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_pip_does_it_where_uv_is_missing(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installers, "_uv", lambda: None)
    environment = create_environment("beep", source=wheels)
    record = environment.record
    assert record is not None
    assert record.installer.startswith("pip ")
    assert "beep-sound==1.0" in record.pins
    assert usage()["sound"] == "1.0"
    make_beep(wheels, 'exclusions = ["beep-sound"]')
    with pytest.raises(EnvironmentBuildError, match=r"which pip cannot do\. Run pip install uv"):
        create_environment("beep", source=wheels, name="b")


def test_recipes_are_typed() -> None:
    recipe = parse_recipe('python = ">=3.11"\n[stand-ins."a.b"]\nreason = "r"\n', "here")
    assert (recipe.python, recipe.stand_ins[0].module, recipe.torch) == (">=3.11", "a.b", False)


def test_time_is_not_wasted_by_listing(wheels: Path) -> None:
    for n in range(5):
        (environments_folder() / f"e{n}").mkdir(parents=True)
        (environments_folder() / f"e{n}" / "pyvenv.cfg").touch()
    began = time.perf_counter()
    assert len(list_environments()) == 5
    assert time.perf_counter() - began < 0.5
