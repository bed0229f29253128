"""Whether an engine works, where that is cheap to tell: the check of its recipe, else its import, in its interpreter.

The binding's own module mostly imports no engine, so that one which is broken is found only when it is used.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lollms_modalities.environments.recipe import FILE, Recipe, parse_recipe
from lollms_modalities.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.entry_points.refs import BindingRef
    from lollms_modalities.environments.environment import Environment

# What is run there. A model that is not here, a key that is not given, are no fault of the engine.
_PROGRAM = """
import importlib, json, sys
told = json.loads(sys.argv[1])
try:
    if told["check"]:
        exec(compile(told["check"], "<check of the recipe>", "exec"), {"__name__": "__check__"})
    elif told["engine"]:
        from importlib.metadata import packages_distributions
        tops = [top for top, of in packages_distributions().items() if told["engine"] in of and top.isidentifier()]
        if len(tops) == 1:
            importlib.import_module(tops[0])
except Exception as exc:
    import lollms_modalities as core
    given = (core.ModelNotFoundError, core.VoiceNotFoundError, core.SettingsError, core.ServiceError,
             core.LicenseNotAcceptedError)
    if not isinstance(exc, given):
        cause = exc
        while isinstance(cause, core.LollmsError) and cause.__cause__ is not None:
            cause = cause.__cause__
        print(f"\\n{told['mark']}{type(cause).__name__}: {cause}", file=sys.stderr)
        sys.exit(1)
"""
_MARK = "lollms-engine-fails: "


class Breaths:
    """Asks each engine once, however many bindings it has."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._found: dict[object, str | None] = {}

    def of(
        self, ref: BindingRef, engine: str, environment: Environment | None, timeout: float, cancel: CancelToken | None
    ) -> str | None:
        """What is wrong with the engine of a binding; None where nothing is, or nothing can be told."""
        key = (ref.distribution, ref.directory, ref.environment, engine)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._found:
                self._found[key] = _breath(ref, engine, environment, timeout, cancel)
            return self._found[key]


def _breath(
    ref: BindingRef, engine: str, environment: Environment | None, timeout: float, cancel: CancelToken | None
) -> str | None:
    recipe = _recipe(ref, environment)
    if not recipe.check and not engine:
        return None
    told = json.dumps({"check": recipe.check, "engine": engine, "mark": _MARK})
    python = sys.executable if environment is None else str(environment.python)
    variables = {**os.environ, **recipe.variables, **({} if environment is None else environment.variables)}
    # Nothing is fetched by looking.
    variables |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if ref.directory is not None:
        paths = [ref.directory, variables.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [python, "-c", _PROGRAM, told], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables,
            start_new_session=True,
        )  # fmt: skip
        ended = _wait(process, timeout, lambda: cancel is not None and cancel.cancelled)
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    if ended is None:
        return None if cancel is not None and cancel.cancelled else f"it took longer than {timeout:g} s"
    if ended == 0:
        return None
    said = next((line.removeprefix(_MARK) for line in reversed(lines) if line.startswith(_MARK)), "")
    if said:
        return said[:300]
    how = f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
    return f"its process ended with {how}{f': {lines[-1][:200]}' if lines else ''}"


def _wait(process: subprocess.Popen[bytes], timeout: float, given_up: Callable[[], bool]) -> int | None:
    """The exit code; None where it had to be ended."""
    until = time.monotonic() + timeout
    while True:
        try:
            return process.wait(0.1)
        except subprocess.TimeoutExpired:
            if time.monotonic() < until and not given_up():
                continue
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        return None


def _recipe(ref: BindingRef, environment: Environment | None) -> Recipe:
    """The recipe of a binding's distribution; an empty one where there is none that can be read."""
    if environment is not None:
        kept = environment.record
        return Recipe() if kept is None else kept.parsed_recipe
    top = ref.target.partition(":")[0].partition(".")[0]
    try:
        if ref.directory is not None:
            file = Path(ref.directory, top, FILE)
        else:
            spec = importlib.util.find_spec(top)
            if spec is None or spec.origin is None:
                return Recipe()
            file = Path(spec.origin).parent / FILE
        return parse_recipe(file.read_text("utf-8"), str(file))
    except (OSError, ValueError, ImportError, EnvironmentBuildError):
        return Recipe()
