"""Every task by name. ``nox -l`` lists them; each sets up all it needs in an environment of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "docs", "build"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
DISTRIBUTIONS = [ROOT / "lollms-modalities-core", *sorted((ROOT / "packages").iterdir())]
WHEELS = ROOT / "dist"
EXAMPLES = ROOT / "examples" / "lollms-examples"
# A file's tests stay together: they share what takes long to make.
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--durations=15")
# They need torch, of which uv would take gigabytes of CUDA builds: pip installs them, in environments of their own.
TORCH = [ROOT / "packages" / f"lollms-{name}" for name in ("audiocraft", "bark", "diffusers", "whisper", "xtts")]
LIGHT = [distribution for distribution in DISTRIBUTIONS if distribution not in TORCH]
LIGHT_EXTRAS = "piper,faster-whisper,whispercpp,dalle,lollms"


def group(name: str) -> list[str]:
    """The requirements of a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


def build_wheels(session: nox.Session, *, sdists: bool = False) -> None:
    """Build every distribution into ``dist``."""
    session.install("build[uv]>=1.2", "uv>=0.9")
    shutil.rmtree(WHEELS, ignore_errors=True)
    for distribution in DISTRIBUTIONS:
        kinds = [] if sdists else ["--wheel"]
        session.run("python", "-m", "build", "-q", "--installer", "uv", *kinds, "-o", str(WHEELS), str(distribution))


def install_wheels(session: nox.Session, *more: str) -> None:
    """Install what needs no torch as a user does, from the wheels that are built here, nothing from the sources."""
    build_wheels(session)
    # Reinstalled, since the version stays the same while the code changes.
    fresh = [f"--reinstall-package={distribution.name}" for distribution in LIGHT]
    session.install(*fresh, "--find-links", str(WHEELS), f"lollms-client[{LIGHT_EXTRAS}]>=2.0,<3", *more)


def install_torch_wheels(session: nox.Session, *more: str) -> None:
    """Install everything, with pip and the torch of constraints.txt, from the wheels that are built here."""
    build_wheels(session)
    constraint = ["-c", str(ROOT / "constraints.txt")]
    session.install(*constraint, "--find-links", str(WHEELS), "lollms-client[all,xtts]>=2.0,<3", *more)
    # pip takes an equal version for the same code.
    session.install("--force-reinstall", "--no-deps", *map(str, sorted(WHEELS.glob("*.whl"))))
    session.run("python", "tests/support/torchaudio_for_cpu.py")


def wheel_of(distribution: Path) -> str:
    """The wheel of a distribution in ``dist``."""
    (wheel,) = WHEELS.glob(f"{distribution.name.replace('-', '_')}-*.whl")
    return str(wheel)


def suites(distributions: list[Path]) -> list[str]:
    """The conformance tests of some distributions."""
    return [str(p) for distribution in distributions for p in sorted(distribution.glob("tests/test_*_conformance.py"))]


@nox.session(python=False)
def clean(session: nox.Session) -> None:
    """Remove what the other sessions made."""
    for path in (WHEELS, ROOT / "site", ROOT / "demo-out"):
        shutil.rmtree(path, ignore_errors=True)


@nox.session
def demo(session: nox.Session) -> None:
    """Speak a sentence with a real voice, write it down with real weights, compare."""
    install_wheels(session, "jiwer>=4")
    session.run("python", "demo/demo.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, against the wheels; those of the bindings on torch follow in ``torch_tests``."""
    install_wheels(session, *group("test"))
    session.install("--no-deps", str(EXAMPLES))
    environment = {"LOLLMS_WHEELS": str(WHEELS)}
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs, env=environment)
        return
    places = [str(d / "tests") for d in [*LIGHT, EXAMPLES]]
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *places, "tests", "--ignore=tests/torch", env=environment)
    # The same promises with each binding in another process.
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, "--lollms-isolated", *suites([*LIGHT, EXAMPLES]))
    session.notify("torch_tests")


@nox.session(venv_backend="virtualenv")
def torch_tests(session: nox.Session) -> None:
    """Run the tests of the bindings on torch, all of them in one environment."""
    install_torch_wheels(session, *group("test"), *group("torch-test"))
    # Tiny models gain nothing from threads, which take the processor from each other.
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    environment = {"LOLLMS_WHEELS": str(WHEELS), "LOLLMS_WITH_TORCH": "1", "HF_HUB_OFFLINE": "1", **threads}
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs, env=environment)
        return
    places = [str(d / "tests") for d in TORCH]
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *places, "tests/test_tree.py", "tests/torch", env=environment)
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, "--lollms-isolated", *suites(TORCH), env=environment)


@nox.session
def faults(session: nox.Session) -> None:
    """Which test of the conformance suite catches which planted fault."""
    install_wheels(session, *group("test"))
    session.install("--no-deps", str(EXAMPLES))
    session.run("python", "lollms-modalities-core/tests/support/planted_suites.py")


@nox.session
def soak(session: nox.Session) -> None:
    """Thousands of calls: no growth of memory, threads, descriptors. Takes minutes."""
    install_wheels(session, "psutil>=6", "uv>=0.9")
    session.run("python", "soak/run.py")
    session.run("python", "soak/isolation.py")
    # Gigabytes: every binding in an environment of its own.
    session.run("python", "soak/environments.py", "--from", str(WHEELS))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, with the peer or the floor in the same run. ``nox -s bench -- listing`` runs one."""
    install_wheels(session, *group("bench"))
    session.run("python", "-m", "bench.run", *session.posargs)


@nox.session(venv_backend="virtualenv")
def torch_bench(session: nox.Session) -> None:
    """As ``bench``, of the bindings on torch."""
    install_torch_wheels(session, *group("test"), *group("torch-test"))
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    session.run("python", "-m", "bench.torch_run", *session.posargs, env=environment)
    if not session.posargs:
        session.run("python", "-m", "bench.hearing", env=environment)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layers, dependencies, metadata."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = [str(d / "src") for d in DISTRIBUTIONS]
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": ":".join(sources)})
    for distribution in DISTRIBUTIONS:
        session.run("validate-pyproject", str(distribution / "pyproject.toml"))
        with session.chdir(distribution):
            session.run("deptry", "src")
    session.run("validate-pyproject", str(EXAMPLES / "pyproject.toml"))


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy over our code, over a small program of a user's, and over a small binding of a third party's."""
    install_wheels(session, *group("types"))
    session.install("--reinstall", "--no-deps", *map(wheel_of, TORCH))
    # The installed distributions are checked as a user's mypy sees them; the programs import nothing else.
    session.run("mypy", "tests/typing")
    printed = Path(session.create_tmp()) / "printed"
    session.run("python", "tests/support/printed.py", str(printed))
    session.run("mypy", str(printed))
    for distribution in DISTRIBUTIONS:
        session.run("mypy", str(distribution / "src"))
    session.run("mypy", "demo", "bench", "soak", "tools", str(EXAMPLES / "src"))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; a broken page, link or anchor fails, and a table that is not as the metadata says."""
    session.install(*group("docs"))
    session.run("python", "tools/tables.py", "--check")
    session.run("zensical", "build", "--strict", "--clean")


@nox.session(python=False)
def tables(session: nox.Session) -> None:
    """Write the tables of the docs that are made from metadata."""
    session.run("python3", "tools/tables.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build and check wheels and source distributions."""
    build_wheels(session, sdists=True)
    session.install(*group("build"))
    session.run("twine", "check", "--strict", *map(str, WHEELS.glob("*")))
    session.run("check-wheel-contents", *map(str, WHEELS.glob("*.whl")))


@nox.session(python=False)
def version(session: nox.Session) -> None:
    """Set the version of every distribution: ``nox -s version -- 2.1.0``."""
    (new,) = session.posargs
    import re

    for distribution in DISTRIBUTIONS:
        for path in (distribution / "pyproject.toml", *distribution.glob("src/*/__init__.py")):
            text = re.sub(r'(?m)^(version|__version__) = ".*"$', rf'\1 = "{new}"', path.read_text("utf-8"))
            path.write_text(text, "utf-8")
