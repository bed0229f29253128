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
    """Install all distributions as a user does, from the wheels that are built here, and nothing from the sources."""
    build_wheels(session)
    # Reinstalled, since the version stays the same while the code changes.
    names = ["lollms-modalities-core", *(d.name for d in DISTRIBUTIONS[1:])]
    fresh = [f"--reinstall-package={name}" for name in names] if session.venv_backend == "uv" else []
    session.install(*fresh, "--find-links", str(WHEELS), "lollms-client[all]>=2.0,<3", *more)
    if session.venv_backend != "uv":
        # pip takes an equal version for the same code.
        session.install("--force-reinstall", "--no-deps", *map(str, sorted(WHEELS.glob("*.whl"))))


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
    """Run all tests, against the wheels."""
    install_wheels(session, *group("test"))
    session.install("--no-deps", str(EXAMPLES))
    session.run("python", "-m", "pytest", *session.posargs, env={"LOLLMS_WHEELS": str(WHEELS)})
    if not session.posargs:
        # The same promises with each binding in another process.
        suites = [
            str(p) for where in ("packages", "examples") for p in ROOT.glob(f"{where}/*/tests/test_*_conformance.py")
        ]
        session.run("python", "-m", "pytest", "--lollms-isolated", *suites)


@nox.session
def faults(session: nox.Session) -> None:
    """Which test of the conformance suite catches which planted fault."""
    install_wheels(session, *group("test"))
    session.install("--no-deps", str(EXAMPLES))
    session.run("python", "lollms-modalities-core/tests/support/planted_suites.py")


@nox.session
def soak(session: nox.Session) -> None:
    """Thousands of calls: no growth of memory, threads, descriptors. Takes minutes."""
    install_wheels(session, "psutil>=6")
    session.run("python", "soak/run.py")
    session.run("python", "soak/isolation.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, with the peer or the floor in the same run. ``nox -s bench -- listing`` runs one."""
    install_wheels(session, *group("bench"))
    session.run("python", "-m", "bench.run", *session.posargs)


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
    # The installed distributions are checked as a user's mypy sees them; the programs import nothing else.
    session.run("mypy", "tests/typing")
    for distribution in DISTRIBUTIONS:
        session.run("mypy", str(distribution / "src"))
    session.run("mypy", "demo", "bench", "soak", str(EXAMPLES / "src"))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; a broken page, link or anchor fails."""
    session.install(*group("docs"))
    session.run("zensical", "build", "--strict", "--clean")


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
