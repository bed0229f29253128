"""The file: what it says, what is wrong with it and in which line, and what is served by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lollms_modalities import ConfigurationError
from lollms_server.jobs.files import files_of
from lollms_server.jobs.store import Store
from lollms_server.room.callers import TERMINAL
from lollms_server.room.configuration import Configuration, load_configuration
from lollms_server.room.serving import catalogue_of

WRONG = [
    ("[serve]\nprot = 1\n", 2, "Did you mean 'port'"),
    ("[serve]\nport = 70000\n", 2, "70000"),
    ("[serve]\nport = 'x'\n", 2, "integer"),
    ("[serve]\nmemory_limit = '8 pounds'\n", 2, "8 pounds"),
    ("[serve]\nkeep_alive = -1\n", 2, "keep_alive"),
    ("[serve]\ntimeout = nan\n", 2, "timeout"),
    ("[serve]\n\n[serve.defaults]\nttx = 'a'\n", 4, "ttx"),
    ("[serv]\nport = 1\n", 1, "means nothing there"),
    ("serve = 3\n", 1, "serve"),
    ("[models.'a/b']\nbinding = 'gate'\n", 1, "a name has letters"),
    ("[models.a]\npool = 1\n", 1, "binding"),
    ("[models.a]\nbinding = 'gate'\n\n[models.b]\nbinding = 'gate'\npool = 0\n", 6, "pool"),
    *[
        (f"[models.a]\nbinding = 'gate'\npool = {pool}\n", 3, said)
        for pool, said in (
            ("[4, 2]", "a whole number from 1, or two"), ("[0, 0]", "two"), ("[-1, 3]", "two"), ("['a', 1]", "two"),
            ("true", "two"), ("2.0", "two"), ("[0, 2.0]", "two"), ("[1]", "two"), ("1001", "at most 1000"),
        )
    ],
    ("[models.a]\nbinding = 'gate'\nwait_target = -1\n", 3, "wait_target"),
    ("[models.a]\nbinding = 'gate'\n[models.a.place]\nkind = 'process'\nnum_gpus = 1\n", 3, "no option 'num_gpus'"),
    ("[models.a]\nbinding = 'gate'\n[models.a.place]\nnum_gpus = 1\n", 3, "needs its kind"),
    ("[models.a]\nbinding = 'gate'\nplace = 'process'\nnum_gpus = 1\n", 3, "no option 'num_gpus'"),
    ("[models.a]\nbinding = 'gate'\nplace = 'ray'\nnum_gpu = 1\n", 3, "no option 'num_gpu'"),
    ("[models.a]\nbinding = 'gate'\nplace = 'ray'\npol = 1\n", 4, "Did you mean 'pool'"),
    ("[models.a]\nbinding = 'gate'\nmodality = 'smell'\n", 3, "smell"),
    ("[models.a]\n# here\nbinding = 'nothing'\n", 3, "no binding 'nothing'"),
    ("[models.a]\nbinding = 'example'\n", 2, "modality"),
    ("[models.a]\nbinding = 'gate'\nmodality = 'stt'\n", 2, "gate"),
    ("[serve]\ntrusted_proxies = ['10.0.0.1', 'proxy.example']\n", 2, "proxy.example"),
    ("[serve]\nallowed_hosts = ['*']\n", 2, "wildcards"),
    ("[serve]\nallowed_hosts = ['a.example:8080']\n", 2, "without a port"),
    ("[serve]\norigins = ['*']\n", 2, "https://app.example"),
    ("[serve]\norigins = ['https://a.example/page']\n", 2, "without a path"),
    ("[serve]\nroot_path = 'ai'\n", 2, "begins with /"),
    ("[serve]\nsurfaces = ['openia']\n", 2, "openai"),
    ("[serve.defaults]\ntts = 'b'\n[models.a]\nbinding = 'gate'\n", 2, "not served"),
    ("[serve.aliases]\nbest = 'b/c'\n[models.a]\nbinding = 'gate'\n", 2, "not served"),
    ("[models.a]\nbinding = 'gate'\n[models.b]\nbinding = 'gate'\naliases = ['a']\n", 5, "name of another"),
    ("[models.a]\nbinding = 'gate'\naliases = ['x']\n[models.b]\nbinding = 'gate'\naliases = ['x']\n", 3, "alias of 'b'"),
    ("[models.a]\nbinding = 'gate'\nmodality = 'tts'\nenvironment = 'nowhere'\n", 4, "nowhere"),
    ("[models.a]\nbinding = 'gate'\nplace = 'nowhere://x'\n", 3, "offers places with addresses nowhere://"),
    ("[models.a]\nbinding = 'far'\nplace = 'process'\n", 2, "say the kind"),
    ("[plugins.x]\nenbled = false\n", 2, "enabled"),
    ("tts = 5\n", 1, "not a table"),
    ("[tts]\npiper = 'x'\n", 2, "not a table"),
    ("[tts]\nbinding = {}\n", 2, "a list of names"),
    ("[tts]\nbinding = ['gate', 5]\n", 2, "a list of names"),
    ("[tts]\nbinding = 'gate'\nplace = 5\n", 3, "place is 5"),
    ("[tts]\nbinding = 'gate'\nenvironment = ['a']\n", 3, "environment is"),
    ("[tts]\nbinding = 'gate'\nenvironment = 'nowhere'\n", 3, "nowhere"),
    ("[tts]\n[tts.gate]\nvolume = 1\nplace = 'nowhere://x'\n", 4, "nowhere://"),
    ("[serve\n", None, "line 1"),
    ("[tts]\nbinding = 'gate'\n[[models]]\nbinding = 'gate'\n", 3, "models"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_line(
    gate: Path, configure: Callable[..., Configuration], text: str, line: int | None, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        catalogue_of(configure(text))
    assert "serve.toml" in str(caught.value)
    assert said in str(caught.value)
    if line is not None:
        assert f"serve.toml, line {line}:" in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no configuration file"):
        load_configuration(tmp_path / "none.toml")


def test_files_are_in_the_home_folder_of_whoever_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    named = "keys_file = '~/keys.json'\ntls_certificate = '~/c.pem'\ntls_key = '~/k.pem'\nsocket = '~/admin.sock'\n"
    (tmp_path / "serve.toml").write_text(f"[serve]\n{named}")
    read = load_configuration(tmp_path / "serve.toml").serve
    found = (read.keys_path(), read.tls_certificate, read.tls_key, read.socket_path())
    assert [path and path.relative_to(tmp_path / "home").name for path in found] == [
        "keys.json", "c.pem", "k.pem", "admin.sock"
    ]  # fmt: skip
    Store("sqlite:///~/jobs/jobs.sqlite3").close()
    files_of("~/results").write("a" * 32, "made", b"made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "serve.toml"]
    assert (tmp_path / "home" / "jobs" / "jobs.sqlite3").is_file()
    assert (tmp_path / "home" / "results").is_dir()


def test_what_it_says(gate: Path, configure: Callable[..., Configuration]) -> None:
    text = """
[serve]
keep_alive = "never"
memory_limit = "1.5 GB"
max_queue = 7
aliases = { best = "narrator" }

[models.narrator]
binding = "gate"
keep_alive = 10
[models.narrator.settings]
folder = "/x"

[models.reader]
binding = "gate"
timeout = "never"
max_queue = 0
"""
    configuration = configure(text, port=1234)
    assert configuration.serve.memory_limit == 1_500_000_000
    assert configuration.serve.port == 1234
    narrator, reader = catalogue_of(configuration).served.values()
    assert (narrator.keep_alive, narrator.timeout, narrator.max_queue) == (10, 600, 7)
    assert (reader.keep_alive, reader.timeout, reader.max_queue) == (None, None, 0)
    assert narrator.isolated
    assert narrator.settings == {"folder": "/x"}
    assert catalogue_of(configuration).find("best", "tts", TERMINAL).served == narrator


def test_without_models_all_that_run_here_are_served(gate: Path, configure: Callable[..., Configuration]) -> None:
    served = catalogue_of(configure("[tts]\nbinding = 'gate'\n[tts.gate]\nvolume = 0.5\n")).served
    assert {("tts", "gate"), ("tts", "piper"), ("stt", "faster_whisper")} <= served.keys()
    assert not [key for key in served if key[1] in ("lollms", "dalle", "openai")]
    assert ("tts", "piper_tts") not in served, "another name of piper"
    assert served["tts", "gate"].settings == {"volume": 0.5}


def test_where_it_runs(gate: Path, configure: Callable[..., Configuration]) -> None:
    served = catalogue_of(
        configure(
            "[tts]\nbinding = ['gate', 'piper']\nplace = 'process'\nenvironment = 'there'\n"
            "[tts.gate]\nplace = 'ssh://a'\nvolume = 0.5\n[stt.faster_whisper]\nplace = 'ssh://b'\n"
        )
    ).served
    where = {name: (model.place, model.environment) for (_, name), model in served.items()}
    assert where["gate"] == ("ssh://a", "there")
    assert where["piper"] == ("process", "there")
    assert where["faster_whisper"] == ("ssh://b", None)
    assert served["tts", "gate"].settings == {"volume": 0.5}
    far = catalogue_of(configure("[models.a]\nbinding = 'far'\nmodality = 'tts'\nplace = 'ssh://a'\n")).served
    assert far["tts", "a"].place == "ssh://a"


def test_the_options_of_a_place_stand_beside_it_or_in_a_table(configure: Callable[..., Configuration]) -> None:
    for written in ("place = 'ray'\nnum_gpus = 1", "[models.film.place]\nkind = 'ray'\nnum_gpus = 1"):
        text = f"[models.film]\nbinding = 'diffusers'\nmodality = 'ttv'\npool = [0, 8]\n{written}\n"
        film = catalogue_of(configure(text)).served["ttv", "film"]
        assert (film.place, film.pool) == ({"kind": "ray", "num_gpus": 1}, (0, 8))


def test_services_are_served_where_they_are_named(configure: Callable[..., Configuration]) -> None:
    configuration = configure("[models.far]\nbinding = 'lollms'\nmodality = 'tts'\n")
    assert list(catalogue_of(configuration).served) == [("tts", "far")]


def test_the_default_is_the_command_lines(
    gate: Path, configure: Callable[..., Configuration], monkeypatch: pytest.MonkeyPatch
) -> None:
    def default(text: str) -> str:
        return catalogue_of(configure(text)).find(None, "tts", TERMINAL).name

    assert default("") == "piper"
    assert default("[models.b]\nbinding = 'gate'\n[models.a]\nbinding = 'piper'\n") == "b"
    assert default("[tts]\nbinding = 'gate'\n") == "gate"
    assert default("[tts]\nbinding = 'piper'\n") == "piper"
    assert default("[tts]\nbinding = 'piper'\n[serve.defaults]\ntts = 'gate'\n") == "gate"
    monkeypatch.setenv("LOLLMS_TTS_BINDING", "gate")
    assert default("[tts]\nbinding = 'piper'\n") == "gate"
