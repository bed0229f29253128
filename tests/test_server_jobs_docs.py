"""The examples of docs/serving/jobs.md, run as they stand; and what docs/serving has for who runs a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lollms_modalities import Image, Video, probe_audio
from lollms_server.commands import serve
from lollms_server.commands.jobs import parser
from lollms_server.jobs.metrics import JobMetrics
from lollms_server.room.configuration import load_configuration
from lollms_server.room.metrics import Metrics
from serving import SERVE, Server, models, server_of

FOLDER = Path(__file__).parents[1] / "docs" / "serving"
PAGE, RUNNING = (FOLDER / name for name in ("jobs.md", "running.md"))
ADDRESS = "http://127.0.0.1:9610"
CONFIGURATION = SERVE + models("example", films="ttv", chord="ttm", tone="tts")


server = server_of(CONFIGURATION)


def examples(language: str, server: Server) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert all(ADDRESS in example for example in found)
    return [example.replace(ADDRESS, server.address) for example in found]


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, (words[-1], done.stdout, done.stderr)
    return done.stdout


def test_what_a_shell_asks(server: Server, tmp_path: Path) -> None:
    film, music, verb, once = (run(["bash", "-ec", e], tmp_path) for e in examples("sh", server))
    assert (film, music, verb) == ("", "", "")
    assert Video((tmp_path / "ball.mp4").read_bytes()).duration == 2.0
    assert Image((tmp_path / "ball.webp").read_bytes()).width == 96
    assert probe_audio((tmp_path / "chord.mp3").read_bytes())[3] == "mp3"
    assert '"status":"completed"' in (tmp_path / "events").read_text()
    assert json.loads((tmp_path / "job.json").read_text())["id"].startswith("job_")
    assert len(once.split()) == 1


def test_what_python_asks(server: Server, tmp_path: Path) -> None:
    (example,) = examples("python", server)
    assert run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", example], tmp_path) == "completed\n"
    assert Video((tmp_path / "ball.mp4").read_bytes()).width == 96


@pytest.mark.parametrize("line", re.findall(r"^lollms jobs (.*)$", PAGE.read_text("utf-8"), re.MULTILINE))
def test_its_commands_are_understood(line: str) -> None:
    assert callable(parser().parse_args(line.split()).run)


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", RUNNING.read_text("utf-8"), re.DOTALL))
def test_its_configurations_are_some(example: str, tmp_path: Path) -> None:
    (tmp_path / "serve.toml").write_text(example)
    assert load_configuration(tmp_path / "serve.toml").serve.model_fields_set


def measured() -> set[str]:
    """The metrics that there are, by all names under which they are asked for."""
    registry = Metrics(lambda: []).registry
    JobMetrics(registry, None)
    names = set()
    for family in registry.collect():
        more = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {f"{family.name}{end}" for end in more}
    return names


def test_the_dashboard_asks_for_what_is_measured() -> None:
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for expression in asked for name in re.findall(r"lollms_\w+", expression)}
    assert named <= measured()
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in measured()}
    assert families == {re.sub(r"_bucket$", "", name) for name in named}, "each is shown"
    places = [panel["gridPos"] for panel in board["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    alarms = re.findall(r"^\| `(.*lollms_\w+.*)` \|", RUNNING.read_text("utf-8"), re.MULTILINE)
    assert len(alarms) == 5
    assert {name for alarm in alarms for name in re.findall(r"lollms_\w+", alarm)} <= measured()


def test_the_composition_is_of_one_piece() -> None:
    composed: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
    services = composed["services"]
    configuration = load_configuration(FOLDER / "serve.toml").serve
    assert (FOLDER / services["lollms"]["build"]["dockerfile"]).is_file()
    assert set(services["lollms"]["depends_on"]) <= set(services)
    mounts = [mount.split(":") for service in services.values() for mount in service.get("volumes", ())]
    for source, *_ in mounts:
        assert source in composed["volumes"] or (FOLDER / source).is_file(), source
    assert {source for source, *_ in mounts if source in composed["volumes"]} == set(composed["volumes"])
    assert f":{configuration.port}" in services["lollms"]["ports"][0]
    assert str(configuration.jobs.store).endswith("@database/lollms")
    assert services["database"]["environment"]["POSTGRES_USER"] == "lollms"
    scraped = yaml.safe_load(composed["configs"]["prometheus"]["content"])["scrape_configs"][0]["static_configs"]
    assert scraped[0]["targets"] == [f"lollms:{str(configuration.metrics).rpartition(':')[2]}"]
    writable = [target for source, target, *_ in mounts if source == "data"] + services["lollms"]["tmpfs"]
    assert services["lollms"]["read_only"]
    assert any(str(configuration.jobs.results).startswith(place) for place in writable)


def test_the_container_runs_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (FOLDER / "Containerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.partition(" ")[::2] for line in lines if line]
    known = {"FROM", "RUN", "USER", "ENV", "EXPOSE", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {step for step, _ in steps} == known
    assert [step for step, _ in steps].index("USER") > max(n for n, (step, _) in enumerate(steps) if step == "RUN")
    by_name = dict(steps)
    assert json.loads(by_name["ENTRYPOINT"]) == ["lollms", "serve"]
    words = json.loads(by_name["CMD"])
    (mounted,) = [m for m in yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["lollms"]["volumes"]
                  if m.startswith("./serve.toml")]  # fmt: skip
    assert mounted.split(":")[1] == words[1]
    extras = re.findall(r'"(lollms-[a-z]+)\[([a-z,-]+)\]', by_name["RUN"])
    for distribution, named in extras:
        import importlib.metadata

        assert set(named.split(",")) <= set(importlib.metadata.metadata(distribution).get_all("Provides-Extra") or ())
    # As it is started, but for the place of the file: the key, and then all but the listening.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    here = ["--config", str(FOLDER / "serve.toml")]
    assert serve(["key", "add", "anna", *here]) == 0
    assert serve([*here, "--check"]) == 0
    assert os.listdir(tmp_path)
