"""A plug-in for pytest, ``-p workers_over_ssh``: what asks for a process of this machine gets one at the end of ssh.

So the tests of isolated bindings run over it. It is the same machine, and files are shared; what differs where they are
not is tested in ``test_core_places.py``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import Place, ProcessPlace, Spec, SshPlace
from lollms_modalities.workers import finding_places, opening
from sshd import sshd

_NASTY = Path(__file__).parents[2] / "lollms-modalities-core" / "tests" / "support" / "nasty_bindings.py"
_running = ExitStack()


class Near(SshPlace):
    """As a process: with the interpreter and the files of this machine."""

    shares_files = True

    def start(self, spec: Spec, *, own: bool) -> Any:
        meant = spec.environment
        spec.environment = None if own else str(spec.python.parent.parent)
        try:
            return super().start(spec, own=own)
        finally:
            spec.environment = meant


def pytest_configure(config: pytest.Config) -> None:
    folder = Path(_running.enter_context(tempfile.TemporaryDirectory()))
    site = folder / "site"
    site.mkdir()
    shutil.copy(_NASTY, site)
    # The other side looks whether the binding is there before it is told of more folders.
    points = (
        f"[lollms_client.{m}_bindings]\nnasty = nasty_bindings:Nasty{m.upper()}Binding\n" for m in ("tts", "stt", "tti")
    )
    install(site, "nasty", "".join(points))
    server = _running.enter_context(sshd(folder / "sshd", {"PYTHONPATH": str(site)}))
    os.environ["PATH"] = f"{server.bin}{os.pathsep}{os.environ['PATH']}"
    begins = f"import workers_over_ssh; workers_over_ssh.begin({server.address!r})\n"
    os.environ["LOLLMS_TESTS_BEGIN"] = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); {begins}"
    begin(server.address)


def begin(address: str) -> None:
    """From now on it does."""
    near, found = Near(address), finding_places.find_place

    def find_place(place: Place | str | None) -> Place:
        return near if place in (None, ProcessPlace.name) else found(place)

    finding_places.find_place = opening.find_place = find_place  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()
