"""Some thirty kinds of broken distributions: none hides a healthy one, and each is explained."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import broken_distributions as broken
import pytest
from broken_distributions import HEALTHY, KINDS
from lollms_modalities import (
    BindingBrokenError,
    BindingNotFoundError,
    BindingUnavailableWarning,
    LollmsTTSBindingManager,
)
from lollms_modalities.entry_points.metadata import damaged
from lollms_modalities.entry_points.refs import BindingRef, refresh
from lollms_modalities.finding.checking import Finding

IMPORTED = [name for name, kind in KINDS.items() if kind.listed and not kind.works and not kind.ends]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All of them, where this process and its children find them."""
    folder = broken.make_all(tmp_path_factory.mktemp("broken") / "site")
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        refresh()
        yield folder
    for name in sys.modules.keys() - modules:
        if name.startswith(("broken_", "healthy_", "claims_")):
            del sys.modules[name]
    refresh()


class Some(LollmsTTSBindingManager):
    """The manager of some of them."""

    def __init__(self, chosen: list[BindingRef]) -> None:
        super().__init__()
        self._chosen = chosen

    def refs(self) -> list[BindingRef]:
        return self._chosen


@pytest.fixture(scope="module")
def findings(site: Path) -> dict[str, Finding]:
    """What checking finds, by the name of the distribution's module."""
    refs = LollmsTTSBindingManager().refs()
    endless = [ref for ref in refs if ref.name in KINDS and KINDS[ref.name].endless]
    # Long enough for the healthy ones on a busy machine; the endless would use all of it up.
    found = [*Some([ref for ref in refs if ref not in endless]).check(60.0), *Some(endless).check(1.0)]
    return {finding.ref.target.partition(":")[0]: finding for finding in found}


def test_there_are_enough_kinds() -> None:
    assert len(KINDS) >= 20


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.listed])
def test_checking_explains_each(findings: dict[str, Finding], kind: str) -> None:
    error = findings[f"broken_{kind}"].error
    if KINDS[kind].works:
        assert error is None
        return
    assert error is not None
    assert KINDS[kind].said in error.message
    assert kind in error.message
    assert "pip install" in error.hint


def test_checking_passes_the_healthy_ones(findings: dict[str, Finding]) -> None:
    assert [findings[name].error for name in HEALTHY] == [None, None]
    assert findings["claims_a"].error is None
    assert findings["claims_b"].error is None, "the one whose name another claims is checked, too"
    assert all(finding.seconds > 0 for finding in findings.values())


def test_checking_leaves_no_process(findings: dict[str, Finding]) -> None:
    import psutil

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended, and another test's is a zombie
            assert "lollms_modalities.workers.worker" not in " ".join(child.cmdline())


def test_listing_shows_all_that_can_be_known(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = set(LollmsTTSBindingManager().get_available_bindings())
    assert {*HEALTHY, "claimed"} <= names
    assert {name for name, kind in KINDS.items() if kind.listed} <= names
    assert not {name for name, kind in KINDS.items() if not kind.listed} & names


def test_metadata_that_cannot_be_read_is_explained(site: Path) -> None:
    errors = {Path(error.path).name: error for error in damaged()}  # type: ignore[attr-defined]
    expected = {f"broken_{name}-1.0.dist-info": kind.said for name, kind in KINDS.items() if kind.seen_in == "files"}
    assert errors.keys() == expected.keys()
    for name, said in expected.items():
        assert said in errors[name].message
        assert "again, or remove" in errors[name].hint
        assert type(errors[name]) is BindingBrokenError


@pytest.mark.parametrize("kind", IMPORTED)
def test_a_manager_explains_what_it_cannot_make(site: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    tts = LollmsTTSBindingManager()
    with pytest.warns(BindingUnavailableWarning) as warned:
        assert tts.create_binding(kind) is None
    message = str(warned[0].message)
    assert KINDS[kind].said in message
    assert "pip install" in message


@pytest.mark.parametrize("name", HEALTHY)
def test_a_manager_makes_the_healthy_ones(site: Path, name: str) -> None:
    binding = LollmsTTSBindingManager().create_binding(name)
    assert binding is not None
    assert binding.generate_audio("hi").duration == 0.1


def test_a_name_that_nobody_can_read_is_not_found_with_a_reason(site: Path) -> None:
    with pytest.raises(BindingNotFoundError, match=r"broken_no_equals_sign.*cannot be read") as caught:
        LollmsTTSBindingManager().require_binding("no_equals_sign_at_all")
    assert "is no entry point" in str(caught.value)


def test_one_damaged_distribution_is_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.make(tmp_path, "not_utf8")
    monkeypatch.syspath_prepend(tmp_path)
    with caplog.at_level(logging.WARNING):
        refresh()
        LollmsTTSBindingManager().get_available_bindings()
    (line,) = [line for record in caplog.records if str(tmp_path) in (line := record.getMessage())]
    assert "broken_not_utf8-1.0.dist-info cannot be read: UnicodeDecodeError" in line
    refresh()


# --- at the command line --------------------------------------------------------------------------------------------


def lollms(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command where the broken ones are installed, and nothing else is different."""
    command = [sys.executable, "-m", "lollms_client", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_list_tells_what_metadata_says(site: Path) -> None:
    done = lollms(site, "list", "tts")
    assert (done.returncode, done.stderr) == (0, "")
    table, *notes = done.stdout.split("\n\n")
    names = {line.lstrip("! ").split()[1] for line in table.splitlines()}
    assert {*HEALTHY, "claimed", "piper"} <= names
    for name, kind in KINDS.items():
        if kind.seen_in == "files":
            assert any(f"broken_{name}-1.0.dist-info" in note and kind.said in note for note in notes)
        elif kind.seen_in == "metadata":
            assert any(f"The tts binding {name!r} " in note and kind.said in note for note in notes)
            assert f"! tts  {name} " in " ".join(table.split(" ")).replace("!  ", "! ")
    assert any("claims_a 1.0 and claims_b 1.0 claim this name. claims_a 1.0 is used" in note for note in notes)


@pytest.mark.full
def test_the_checked_list_explains_each(site: Path) -> None:
    done = lollms(site, "list", "tts", "--check", "--json", "--timeout", "15")
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    found = {b["name"]: b["error"] for b in told["bindings"]}
    for name, kind in KINDS.items():
        if kind.listed and not kind.works:
            assert kind.said in found[name]["message"]
            assert found[name]["hint"]
        elif kind.listed:
            assert found[name] is None
    assert [found[name] for name in HEALTHY] == [None, None]
    assert len(told["damaged"]) == sum(kind.seen_in == "files" for kind in KINDS.values())


def test_a_healthy_one_speaks_among_them(site: Path, tmp_path: Path) -> None:
    done = lollms(site, "speak", "hi", "-b", "healthy_a", "-o", str(tmp_path / "a.wav"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.wav").stat().st_size == 1644


@pytest.mark.parametrize("kind", ["missing_import", "exits", "syntax_error", "newer_core"])
def test_a_broken_one_is_one_paragraph(site: Path, kind: str) -> None:
    done = lollms(site, "speak", "hi", "-b", kind)
    assert (done.returncode, done.stdout) == (1, "")
    assert KINDS[kind].said in done.stderr
    assert len(done.stderr.splitlines()) == 1
