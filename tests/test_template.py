"""The template, as it is generated: for each modality the suite, strict types and style; installed without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from lollms_modalities.errors import SettingsError
from typer import Typer
from typer.testing import CliRunner, Result

MODALITIES = ("tts", "stt", "tti", "ttm", "ttv")


def generate(folder: Path, **answers: str) -> Result:
    from lollms_client.cli.new_binding import new_binding

    app = Typer()
    app.command()(new_binding)
    given = [word for question, answer in answers.items() for word in (f"--{question}", answer)]
    return CliRunner().invoke(app, [str(folder), *given])


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution of each modality, and one, ``site``, in which they are installed."""
    folder = tmp_path_factory.mktemp("generated")
    for modality in MODALITIES:
        made = generate(folder / modality, name=f"new_{modality}", modality=modality, engine="numpy")
        assert made.exit_code == 0, made.output
        assert f"lollms-new-{modality} is in" in made.output
    projects = [str(folder / modality) for modality in MODALITIES]
    # As where there is no network: no index, and the build backend that is here.
    alone = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable, *alone, *projects]
    subprocess.run(command, check=True)
    return folder


def run(generated: Path, modality: str, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=generated / modality,
        env={**os.environ, "PYTHONPATH": str(generated / "site")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("modality", MODALITIES)
def test_what_is_generated_keeps_the_contract(generated: Path, modality: str) -> None:
    assert " passed" in run(generated, modality, "pytest", "-q", "-p", "no:cacheprovider")


# What the engine's values make of another process; the rest, which is the core's, belongs to the full tests.
@pytest.mark.parametrize("which", [("-m", "lollms_crosses"), pytest.param((), marks=pytest.mark.full)], ids=str)
def test_what_is_generated_keeps_it_in_a_process_of_its_own(generated: Path, which: tuple[str, ...]) -> None:
    assert " passed" in run(generated, "tts", "pytest", "-q", "-p", "no:cacheprovider", "--lollms-isolated", *which)


def test_its_style_and_types_are_clean(generated: Path) -> None:
    for modality in MODALITIES:
        run(generated, modality, "ruff", "check", ".")
        run(generated, modality, "ruff", "format", "--check", ".")
    # Once for all five: most of the time is for what they import.
    sources = [f"../{modality}/src" for modality in MODALITIES]
    assert "Success: no issues found in 15 source files" in run(generated, "tts", "mypy", *sources)


def test_engines_of_other_kinds_and_more_bindings_are_clean_and_work(tmp_path: Path) -> None:
    """A program, no engine at all, a second binding in one project; each in the strict style, and it makes something."""
    kinds = {"program": "espeak-ng", "none": "numpy"}
    for kind, engine in kinds.items():
        answers = {"name": f"of_{kind}", "modality": "tts", "engine": engine, "engine-kind": kind}
        made = generate(tmp_path / kind, **answers, author="A. Name", url="https://example.org/x")
        assert made.exit_code == 0, made.output
        assert "copier" not in made.output.lower()
        assert "Copying" not in made.output
    project = tmp_path / "program"
    for modality, more in (("tti", "pillow"), ("stt", "whisper-cli")):
        kind = "program" if modality == "stt" else "distribution"
        made = generate(project, **{"add": modality, "engine": more, "engine-kind": kind})
        assert made.exit_code == 0, made.output
    again = generate(project, add="tti", engine="pillow")
    assert isinstance(again.exception, SettingsError)
    assert "already" in str(again.exception)
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert told["urls"] == {"Source": "https://example.org/x"}
    assert told["authors"] == [{"name": "A. Name"}]
    assert told["license"] == "Apache-2.0"
    assert "Topic :: Multimedia :: Sound/Audio :: Speech" in told["classifiers"]
    assert set(told["entry-points"]) == {f"lollms_client.{m}_bindings" for m in ("tts", "tti", "stt")}
    assert "pillow" in told["dependencies"]
    assert "espeak-ng" not in told["dependencies"]
    assert "Copyright A. Name" in (project / "LICENSE").read_text()
    for kind in kinds:
        for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."]):
            subprocess.run([sys.executable, "-m", *command], cwd=tmp_path / kind, check=True)
    sources = [str(tmp_path / kind / "src") for kind in kinds]
    subprocess.run([sys.executable, "-m", "mypy", "--strict", *sources], cwd=tmp_path, check=True)
    speak = (
        "from lollms_of_program import OfProgramTTSBinding as P; from lollms_of_none import OfNoneTTSBinding as N\n"
        "a, b = P().generate_audio('two words'), N().generate_audio('two words')\n"
        "assert bytes(a) == bytes(b), 'the program stands in for the same engine'\n"
        "assert a.provenance.engine == 'espeak-ng' and a.provenance.engine_version, a.provenance\n"
        "assert b.provenance.engine == ''"
    )
    path = os.pathsep.join(sources)
    subprocess.run([sys.executable, "-c", speak], env={**os.environ, "PYTHONPATH": path}, check=True)


@pytest.mark.full
def test_programs_and_what_is_added_keep_the_contract(tmp_path: Path) -> None:
    """The suites of a project whose engines are programs, one for each modality, of which four were added."""
    project = tmp_path / "programs"
    first, *added = MODALITIES
    made = generate(project, name="several", modality=first, engine="espeak-ng", **{"engine-kind": "program"})
    assert made.exit_code == 0, made.output
    for modality in added:
        made = generate(project, add=modality, engine="some-program", **{"engine-kind": "program"})
        assert made.exit_code == 0, made.output
    alone = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(tmp_path / "site")]
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable, *alone, str(project)]
    subprocess.run(command, check=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_a_name_that_is_taken_is_told(tmp_path: Path) -> None:
    from lollms_client.cli.taken import taken

    (line,) = taken("example", "tts")
    assert "lollms-examples" in line
    assert "installed" in line
    (line,) = taken("bark", "ttv")
    assert "lollms-bark is a distribution of this project" in line
    assert list(taken("chirp", "tts")) == []


def test_its_wheel_holds_what_it_needs(generated: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uv", "build", "-q", "--wheel", "--no-build-isolation", "-o", str(tmp_path)]
    subprocess.run([*command, str(generated / "ttm")], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if name.startswith("lollms_new_ttm/") and not name.endswith("/")}
        assert names == {
            f"lollms_new_ttm/{name}"
            for name in ("__init__.py", "binding.py", "engine.py", "environment.toml", "py.typed")
        }
        entry_points = wheel.read("lollms_new_ttm-0.1.0.dist-info/entry_points.txt").decode()
    assert "new_ttm = lollms_new_ttm:NewTtmTTMBinding" in entry_points


def test_whose_it_is_may_be_written_in_any_letters(tmp_path: Path) -> None:
    author = 'J. "Pepe" \\ O\'Né 🎵'
    made = generate(tmp_path, name="fine", modality="ttm", engine="numpy", author=author)
    assert made.exit_code == 0, made.output
    assert tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]["authors"] == [{"name": author}]


@pytest.mark.parametrize(
    "answers",
    [{"name": "No Name"}, {"modality": "smell"}, {"engine": "num py;x"}, {"engine": 'x"y'}, {"author": "a\nb"},
     {"url": 'https://x/"y'}, {"engine": "espeak ng", "engine-kind": "program"}],
)  # fmt: skip
def test_answers_that_make_no_binding(tmp_path: Path, answers: dict[str, str]) -> None:
    made = generate(tmp_path / "x", **{"name": "fine", "modality": "tts", "engine": "numpy", **answers})
    assert isinstance(made.exception, SettingsError)
    assert next(iter(answers)) in str(made.exception)
    assert not (tmp_path / "x").exists()


def test_without_a_terminal_what_is_missing_is_named(tmp_path: Path) -> None:
    for answers, missing in (({}, "--name, --modality, --engine."), ({"name": "fine", "engine": "x"}, "--modality.")):
        made = generate(tmp_path / "x", **answers)
        assert isinstance(made.exception, SettingsError)
        assert f"no terminal to ask for {missing}" in str(made.exception)
        assert not (tmp_path / "x").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    made = generate(tmp_path, name="fine", modality="tts", engine="numpy")
    assert isinstance(made.exception, SettingsError)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
