"""Discovery and managers, on distributions written by hand."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import (
    BindingBrokenError,
    BindingDependencyError,
    BindingIncompatibleError,
    BindingNotFoundError,
    BindingUnavailableError,
    BindingUnavailableWarning,
    DuplicateBindingWarning,
    LollmsTTSBindingManager,
    SettingsError,
)
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.finding import manager

GOOD = """
from lollms_modalities import Audio, BindingSettings, LollmsTTSBinding, setting
class Good(LollmsTTSBinding):
    '''A good one.'''
    class Settings(BindingSettings):
        volume: float = setting(1.0, description="Volume.")
    def generate_audio(self, text, voice=None, **kwargs): return Audio.from_pcm(bytes(2), 8000)
    def list_voices(self, **kwargs): return []
class Half(LollmsTTSBinding):
    def list_voices(self, **kwargs): return []
class Other: pass
text = "x"
"""
Write = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder on sys.path; what is imported from it is forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    modules = set(sys.modules)
    sys.path.insert(0, str(folder))
    refresh()
    manager._told_of.clear()
    yield folder
    sys.path[:] = [p for p in sys.path if not p.startswith(str(tmp_path))]
    for name in sys.modules.keys() - modules:
        if name.startswith(("dist_", "extra_")):
            del sys.modules[name]
    refresh()


def write(
    folder: Path, name: str, entries: dict[str, str], code: str | None = GOOD, requires: tuple[str, ...] = ()
) -> Path:
    """A distribution ``name`` 1.0 with a module of that name."""
    points = "".join(f"{key} = {value}\n" for key, value in entries.items())
    info = install(folder, name, f"[lollms_client.tts_bindings]\n{points}", requires)
    if code is not None:
        (folder / f"{name}.py").write_text(textwrap.dedent(code))
    return info


def require(name: str, **settings: Any) -> Any:
    return LollmsTTSBindingManager().require_binding(name, **settings)


def test_a_binding_is_listed_and_made_by_each_of_its_names(site: Path) -> None:
    write(
        site, "dist_a", {"long_name": "dist_a:Good", "zz": "dist_a:Good", "aa": "dist_a : Good", "half": "dist_a:Half"}
    )
    tts = LollmsTTSBindingManager()
    assert {"aa", "half", "long_name", "zz"} <= set(tts.get_available_bindings())
    (ref,) = [r for r in tts.refs() if "zz" in r.names]
    assert (ref.name, ref.aliases) == ("aa", ("zz", "long_name"))
    assert (ref.distribution, ref.version, ref.origin) == ("dist_a", "1.0", "installed")
    assert "dist_a" not in sys.modules, "listing imports no binding"
    binding = require("long_name", volume=2)
    assert binding.binding_name == "aa"
    assert binding.settings.volume == 2.0
    assert binding.generate_audio("hi").provenance.distribution == "dist_a"
    told = tts.describe("zz")
    assert told["name"] == "aa"
    assert told["description"] == "A good one."
    assert "volume" in told["settings"]["properties"]
    direct = type(binding)()
    assert direct.binding_name == "aa", "also where the class is used without a manager"


def test_a_missing_binding_names_the_near_miss_and_what_is_there(site: Path) -> None:
    write(site, "dist_a", {"robot": "dist_a:Good"})
    with pytest.raises(BindingNotFoundError, match=r"robot.*Did you mean 'robot'"):
        require("robbot")
    with pytest.raises(BindingNotFoundError, match=r"No tts binding 'theremin' is installed"):
        require("theremin")


def test_the_mend_is_the_clients_extra_where_it_has_one(site: Path) -> None:
    info = site / "lollms_client-9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lollms-client\nVersion: 9.0\nProvides-Extra: big-voice\n"
    )
    with pytest.raises(BindingNotFoundError, match=r'pip install "lollms-client\[big-voice\]>=2.*,<3"'):
        require("big_voice")
    write(site, "dist_a", {"big_voice": "dist_a:Good"}, requires=("no-such-thing>=3",))
    refresh()
    with pytest.raises(
        BindingDependencyError,
        match=r'lollms install --upgrade big-voice \(pip install --upgrade "lollms-client\[big-voice\]>=2',
    ):
        require("big_voice")


BROKEN: dict[str, tuple[str, str, tuple[str, ...], type[BindingUnavailableError], str]] = {
    "another core": (
        "dist_b:Good",
        GOOD,
        ("lollms-modalities-core>=99",),
        BindingIncompatibleError,
        r"core>=99, and 2\.0\.0",
    ),
    "missing by metadata": (
        "dist_b:Good",
        GOOD,
        ("no-such-thing>=3",),
        BindingDependencyError,
        r"no-such-thing>=3 \(missing\)",
    ),
    "unfit by metadata": ("dist_b:Good", GOOD, ("numpy>=99",), BindingDependencyError, r"numpy>=99 \([0-9.]+\)"),
    "missing by import": ("dist_b:Good", "import no_such_thing", (), BindingDependencyError, "'no_such_thing'"),
    "its own module is missing": ("dist_b_x:Good", GOOD, (), BindingBrokenError, "dist_b_x"),
    "syntax error": ("dist_b:Good", "def x(:", (), BindingBrokenError, "SyntaxError"),
    "raises": ("dist_b:Good", "1/0", (), BindingBrokenError, "ZeroDivisionError"),
    "exits": ("dist_b:Good", "import sys; sys.exit(3)", (), BindingBrokenError, "SystemExit"),
    "no such attribute": ("dist_b:Better", GOOD, (), BindingBrokenError, "Better"),
    "no class": ("dist_b:text", GOOD, (), BindingBrokenError, "a str"),
    "a module": ("dist_b", GOOD, (), BindingBrokenError, "module"),
    "no binding": ("dist_b:Other", GOOD, (), BindingBrokenError, "no LollmsTTSBinding"),
    "incomplete": ("dist_b:Half", GOOD, (), BindingBrokenError, "generate_audio"),
    "bad requirement": ("dist_b:Good", GOOD, ("%%%",), BindingBrokenError, "requirement"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_failures_are_told_apart_and_hide_nothing(site: Path, kind: str) -> None:
    target, code, requires, error, said = BROKEN[kind]
    write(site, "dist_b", {"broken": target}, code, requires)
    write(site, "dist_a", {"good": "dist_a:Good"})
    tts = LollmsTTSBindingManager()
    assert {"broken", "good"} <= set(tts.get_available_bindings())
    with pytest.raises(error, match=said) as caught:
        tts.require_binding("broken")
    assert caught.value.hint
    with pytest.warns(BindingUnavailableWarning, match=said) as warned:
        assert tts.create_binding("broken") is None
    assert Path(warned[0].filename).name == Path(__file__).name, "the warning points at the caller"
    assert type(warned[0].message.error) is error  # type: ignore[union-attr]
    assert tts.create_binding("good") is not None


def test_requirements_of_other_extras_and_systems_are_none(site: Path) -> None:
    write(
        site, "dist_a", {"good": "dist_a:Good"},
        requires=("no-such-thing; extra == 'more'", "no-such-thing; sys_platform == 'vms'", "lollms-modalities-core>=2.0,<3"),
    )  # fmt: skip
    assert require("good")


def test_what_the_constructor_raises_propagates(site: Path) -> None:
    write(site, "dist_a", {"good": "dist_a:Good"})
    with pytest.raises(SettingsError, match="volume"):
        LollmsTTSBindingManager().create_binding("good", volume="loud")


def test_an_interrupt_while_importing_is_no_failure_of_the_binding(site: Path) -> None:
    write(site, "dist_a", {"good": "dist_a:Good"}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        require("good")


def test_two_that_claim_a_name_are_both_told(site: Path) -> None:
    write(site, "dist_b", {"twice": "dist_b:Good", "b": "dist_b:Good"})
    write(site, "dist_a", {"twice": "dist_a:Good"})
    tts = LollmsTTSBindingManager()
    assert [ref.distribution for ref in tts.conflicts()["twice"]] == ["dist_a", "dist_b"]
    with pytest.warns(DuplicateBindingWarning, match=r"dist_a 1\.0 \(installed\) and dist_b 1\.0"):
        binding = tts.create_binding("twice")
    assert type(binding).__module__ == "dist_a"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tts.create_binding("twice")
        assert type(tts.create_binding("b")).__module__ == "dist_b"


@pytest.mark.parametrize("damage", ["no equals sign", "not utf-8", "no metadata", "unreadable", "no name"])
def test_damaged_metadata_hides_nothing(site: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    info = write(site, "dist_bad", {"bad": "dist_bad:Good"})
    write(site, "dist_a", {"good": "dist_a:Good"})
    if damage == "no equals sign":
        (info / "entry_points.txt").write_text("[lollms_client.tts_bindings]\nnonsense\n")
    elif damage == "not utf-8":
        (info / "entry_points.txt").write_bytes(b"[x]\n\xff\xfe = y\n")
    elif damage == "no metadata":
        (info / "METADATA").unlink()
    elif damage == "no name":
        (info / "METADATA").write_text("nothing\n")
    else:
        (info / "entry_points.txt").unlink()
        (info / "entry_points.txt").mkdir()
    refresh()
    assert "good" in LollmsTTSBindingManager().get_available_bindings()
    assert require("good").generate_audio("hi")


def test_damaged_metadata_breaks_no_fresh_process(site: Path) -> None:
    # pydantic, which reads all entry points itself at its first model, is not imported there yet.
    info = write(site, "dist_bad", {"bad": "dist_bad:Good"})
    (info / "entry_points.txt").write_text("[x]\nnonsense\n")
    write(site, "dist_a", {"good": "dist_a:Good"})
    program = (
        "from lollms_client import LollmsClient\n"
        "lc = LollmsClient(binding_name='none', tts_binding_name='good')\n"
        "assert lc.tts.generate_audio('hi')\n"
        "try: lc.binding\n"
        "except LookupError as exc: print(exc)\n"
    )
    env = {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "No distribution offers a language-model binding 'none'" in done.stdout
    assert "dist_bad" in done.stderr, "the log names the damaged one"


def test_what_was_read_is_remembered_until_refresh(site: Path) -> None:
    tts = LollmsTTSBindingManager()
    tts.get_available_bindings()
    write(site, "dist_a", {"good": "dist_a:Good"})
    assert "good" not in tts.get_available_bindings()
    tts.refresh()
    assert "good" in tts.get_available_bindings()


# --- an extra folder ------------------------------------------------------------------------------------------------


def test_an_extra_folder_comes_after_what_is_installed(site: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    write(extra, "extra_a", {"good": "extra_a:Good", "more": "extra_a:Good"})
    write(site, "dist_a", {"good": "dist_a:Good"})
    tts = LollmsTTSBindingManager(extra)
    assert {"good", "more"} <= set(tts.get_available_bindings())
    assert "more" not in LollmsTTSBindingManager().get_available_bindings()
    assert str(extra) not in sys.path
    assert type(tts.require_binding("more")).__module__ == "extra_a"
    assert sys.path[-1] == str(extra), "appended at the first load from it"
    with pytest.warns(DuplicateBindingWarning, match="extra_a"):
        assert type(tts.require_binding("good")).__module__ == "dist_a"


def test_requirements_of_an_extra_folder_are_met_in_it(site: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    write(extra, "extra_a", {"more": "extra_a:Good"}, requires=("extra_lib>=1",))
    write(extra, "extra_lib", {})
    assert LollmsTTSBindingManager(extra).require_binding("more")


@pytest.mark.parametrize("folder", ["no/such/folder", "."])
def test_a_folder_without_distributions_is_empty(site: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "tts").mkdir()
    (tmp_path / "tts" / "old_style").mkdir()
    (tmp_path / "tts" / "old_style" / "__init__.py").write_text("1/0")
    have = LollmsTTSBindingManager().get_available_bindings()
    assert LollmsTTSBindingManager(tmp_path / "tts" / folder).get_available_bindings() == have
