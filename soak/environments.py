"""Environments as a user makes them: each binding's, killed at random moments, on a full disk, and several at once.

``python soak/environments.py`` makes all of ours (gigabytes, minutes) in a folder that is removed afterwards;
``--short`` only kills, with a tiny binding, which is what the tests run; ``--only bark,xtts`` makes these; ``--from D``
names the checkout (this one) or a folder of wheels; ``--conformance`` runs each binding's conformance suite inside its
environment; ``--keep`` leaves the environments there, and ``--data DIR`` takes those that were kept. Exit 1 where a
promise is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lollms_modalities import EnvironmentBuildError
from lollms_modalities.environments import pip_settings
from lollms_modalities.environments.changing import check_environment, create_environment
from lollms_modalities.environments.environment import Environment, environments_folder, list_environments
from lollms_modalities.environments.record import disk_use

ROOT = Path(__file__).parents[1]
SUPPORT = ROOT / "tests" / "support"
OURS = ["piper", "faster_whisper", "whispercpp", "bark", "diffusers", "xtts", "whisper", "audiocraft"]

CREATE = """
import sys
from lollms_modalities import create_environment
create_environment("beep", source=sys.argv[1], progress=lambda p: print(p.stage, flush=True))
"""


def tiny(folder: Path) -> Path:
    """The tiny binding of the tests, as wheels."""
    sys.path.insert(0, str(SUPPORT))
    wheels = importlib.import_module("tiny_wheels")
    wheels.make_beep(folder, "[check]\ncode = 'import beep_sound'\n")
    wheels.make_sound(folder)
    return folder


def tell(what: str, fine: bool) -> bool:
    print(f"{what}   {'fine' if fine else 'BROKEN'}", flush=True)
    return fine


def left() -> list[str]:
    """What of environments is there, without the lock."""
    return sorted(p.name for p in environments_folder().iterdir() if p.name != ".lock")


def clear() -> None:
    shutil.rmtree(environments_folder(), ignore_errors=True)


def kills(wheels: Path, count: int) -> bool:
    """Kill the creation at random moments; then nothing is listed, and the next creation succeeds."""
    rng = random.Random(11)
    program = [sys.executable, "-c", CREATE, str(wheels)]
    began = time.monotonic()
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - began
    clear()
    halves, failures, stages = 0, 0, []
    for n in range(count):
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        with subprocess.Popen(program, stdout=output, start_new_session=True) as process:
            # One moment in each part of the time that it takes.
            time.sleep(whole * (n + rng.random()) / count)
            process.send_signal(signal.SIGKILL)
        output.seek(0)
        stages.append((output.read().split() or ["start"])[-1])
        output.close()
        if process.returncode == 0:  # it was done already
            stages[-1] = "made"
        halves += bool(list_environments()) != (process.returncode == 0) and not whole_one()
        clear_names()
        try:
            made = create_environment("beep", source=wheels)
        except EnvironmentBuildError as exc:
            failures += 1
            print(exc)
            continue
        failures += bool(check_environment("beep").problems)
        failures += left() != sorted([made.folder.parent.name, "beep"])
        clear()
    told = f"{count} kills of a creation ({whole:.1f} s), in: {', '.join(stages)}; {halves} halves, {failures} failures"
    return tell(told, not halves and not failures)


def whole_one() -> bool:
    """Whether what is listed works: the creation was killed after its last step."""
    return not check_environment("beep").problems


def clear_names() -> None:
    """Remove what a creation that was killed too late has made; what others left stays for the next creation."""
    for environment in list_environments():
        (environments_folder() / environment.name).unlink()


def full_disk(wheels: Path) -> bool:
    """A disk of 8 MB: where this may mount one."""
    if os.geteuid() != 0:
        print("full disk: only root can mount one; the tests set a limit on file sizes instead")
        return True
    with tempfile.TemporaryDirectory() as place:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=False)
        if mounted.returncode:
            print("full disk: no disk can be mounted here; the tests set a limit on file sizes instead")
            return True
        try:
            with variable("XDG_DATA_HOME", place):
                try:
                    create_environment("beep", source=wheels)
                except EnvironmentBuildError as exc:
                    return tell(f"full disk: {exc}", vars(exc)["reason"] == "disk" and not left())
                return tell("full disk: it was made nevertheless", False)
        finally:
            subprocess.run(["umount", place], check=True)


def make(names: list[str], source: str) -> bool:
    """One command each: time, size, and the check."""
    fine = True
    for name in names:
        try:
            environment = create_environment(name, source=source)
        except EnvironmentBuildError as exc:
            fine = tell(f"{name}: {exc}", False)
            continue
        record = environment.record
        assert record is not None
        use = disk_use([environment.folder.parent])
        problems = check_environment(name).problems
        torch = f", torch {record.torch}" if record.torch else ""
        told = (
            f"{name}: {record.seconds:.0f} s, {len(record.pins)} distributions{torch}, {use.size / 1e9:.2f} GB, "
            f"{(use.size - use.shared) / 1e6:.0f} MB of it its own   {'; '.join(problems)}"
        )
        fine &= tell(told, not problems)
    whole = disk_use([environment.folder.parent for environment in list_environments()])
    print(f"all together: {whole.size / 1e9:.2f} GB, {(whole.size - whole.shared) / 1e6:.0f} MB their own", flush=True)
    return fine


def conformance(names: list[str]) -> bool:
    """Each binding's conformance suite, inside its environment: first all in place, then all isolated."""
    environments = [environment for environment in list_environments() if environment.name in names]
    return all([_conforms(environment, how) for how in ([], ["--lollms-isolated"]) for environment in environments])


def _conforms(environment: Environment, how: list[str]) -> bool:
    record = environment.record
    assert record is not None
    what = " ".join(["conformance of", environment.name, *how])
    tests = sorted((ROOT / "packages" / record.distribution / "tests").glob("test_*_conformance.py"))
    if not tests:
        return tell(f"{what}: no suite", False)
    # The weights of the two other Whispers are converted from those that faster-whisper brings.
    weights = [place for other in list_environments() for place in other.site_packages
               if other.name == "faster_whisper" and environment.name in ("whisper", "whispercpp")]  # fmt: skip
    with tempfile.TemporaryDirectory() as extra:
        # Beside the environment, which stays as it was made; what it has goes before what the tests bring.
        uv = ["uv", "pip", "install", "-q", "--python", str(environment.python), "--target", extra, *TESTING]
        subprocess.run([sys.executable, "-m", *uv], check=True, env={**os.environ, **pip_settings.for_uv()}, cwd=extra)
        start = f"import sys; sys.path += {[extra, *weights]!r}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
        command = [str(environment.python), "-c", start, "-q", "-p", "no:cacheprovider", *how, *map(str, tests)]
        began = time.monotonic()
        done = subprocess.run(
            command, check=False, cwd=ROOT, capture_output=True, text=True,
            env={**environment.variables_inside, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-500:])
    last = (done.stdout.strip().splitlines() or [""])[-1]
    return tell(f"{what}: {last} ({time.monotonic() - began:.0f} s)", done.returncode == 0)


TESTING = [
    "pytest>=8",
    "psutil>=6",
    "jiwer>=4",
    "cmake>=3.28",
    "ninja>=1.11",
    "pillow>=10",
    "numpy>=1.26",
    "av>=14",
    "soundfile>=0.13",
    "soxr>=0.5",
]


def together() -> bool:
    """All that are there in one program, at the same time."""
    return not subprocess.run([sys.executable, str(Path(__file__).with_name("together.py"))], check=False).returncode


# --- all of it ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--conformance", action="store_true")
    parser.add_argument("--data")
    parser.add_argument("--only", default=",".join(OURS))
    parser.add_argument("--from", dest="source", default=str(ROOT))
    asked = parser.parse_args()
    names = [name for name in asked.only.split(",") if name]
    fine = True
    if asked.data is not None:
        with variable("XDG_DATA_HOME", asked.data):
            fine = together()
            if asked.conformance:
                fine &= conformance(names)
        return 0 if fine else 1
    folder = tempfile.mkdtemp(prefix="lollms-soak-")
    try:
        with variable("XDG_DATA_HOME", folder):
            wheels = tiny(Path(folder, "wheels"))
            # Where the core is found, which is on no index.
            places = " ".join(filter(None, (asked.source, os.environ.get("PIP_FIND_LINKS"))))
            with variable("PIP_FIND_LINKS", places):
                fine &= kills(wheels, 3 if asked.short else 10)
                if not asked.short:
                    fine &= full_disk(wheels)
            if not asked.short:
                fine &= make(names, asked.source)
                fine &= together()
                if asked.conformance:
                    fine &= conformance(names)
    finally:
        if asked.keep:
            print(f"kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
