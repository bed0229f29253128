"""``lollms serve`` as a process: signals, the socket for the terminal, keys, what it refuses to start with."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    ConfigurationError,
    LollmsError,
    LollmsTTSBindingManager,
    ServiceError,
    WorkerCrashedError,
)
from lollms_server.commands import serve
from lollms_server.commands.serving import _listen
from lollms_server.room.errors import CallNotFound, ModelNotServed
from lollms_server.room.keys import Keys
from rooms import gate_model, notes
from waiting import wait_until


class Served:
    """A server in a process of its own."""

    def __init__(self, folder: Path, text: str, *words: str, **variables: str) -> None:
        self.file = folder / "serve.toml"
        self.file.write_text(text, "utf-8")
        self.socket = folder / "serve.sock"
        self.words = ["--config", str(self.file), "--socket", str(self.socket)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lollms_client", "serve", *self.words, "--port", "0", *words],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_DATA_HOME": str(folder / "data"), **variables},
        )  # fmt: skip
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def address(self) -> str:
        """Where it listens, once it does."""
        found: list[str] = []

        def listening() -> bool:
            assert self.process.poll() is None, "".join(self.said)
            found[:] = re.findall(r"Serving at (\S+)", "".join(self.said))
            return bool(found) and self.ask("/health", at=found[0])[0] == 200

        wait_until(listening, 60)
        return found[0]

    def ask(
        self, path: str, body: Any = None, *, at: str | None = None, key: str = "", method: str | None = None
    ) -> tuple[int, bytes, Any]:
        """Status, body, headers; 0 where nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"{at or self.address()}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read(), exc.headers
        except (urllib.error.URLError, ConnectionError):
            return 0, b"", {}

    def speak(self, text: str, at: str) -> tuple[int, bytes, Any]:
        return self.ask("/v1/audio/speech", {"model": "gate", "input": text, "response_format": "wav"}, at=at)

    def ended(self, seconds: float = 60) -> int:
        """Its exit code, when it has ended."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code


Start = Callable[..., Served]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[Served] = []

    def begin(text: str, *words: str, folder: Path = tmp_path, **variables: str) -> Served:
        begun.append(Served(folder, text, *words, **variables))
        return begun[-1]

    yield begin
    for served in begun:
        served.process.kill()
        served.ended()
        assert served.process.stderr is not None
        served.process.stderr.close()


@pytest.fixture
def aside() -> Iterator[Callable[..., Future[Any]]]:
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


def test_wyoming_is_spoken_where_it_is_asked_for(gate: Path, start: Start) -> None:
    served = start("[serve.wyoming]\nstt_port = 0\ntts_port = 0\n" + gate_model(gate), "--wyoming")
    served.address()
    wait_until(lambda: len(re.findall(r"Wyoming at tcp://127.0.0.1:\d+ for", "".join(served.said))) == 2)
    (port,) = re.findall(r"Wyoming at tcp://127.0.0.1:(\d+) for speech", "".join(served.said))
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as connection:
        connection.sendall(b'{"type": "describe"}\n')
        assert b'"info"' in connection.recv(100)
        served.process.send_signal(signal.SIGTERM)
        assert served.ended() == 0
    refused = start("[models.x]\nbinding = 'gate'\nsettings = { folder = '/x' }\n", "--wyoming-host", "0.0.0.0")
    assert refused.ended() != 0
    assert "lollms serve key add" in "".join(refused.said)


def test_sigterm_lets_calls_end_refuses_others_and_leaves_nothing(
    gate: Path, start: Start, aside: Callable[..., Future[Any]]
) -> None:
    served = start("[serve]\ngrace = 60\n" + gate_model(gate, ""))
    at = served.address()
    assert stat.S_IMODE(served.socket.stat().st_mode) == 0o600
    under_way = aside(served.speak, "wait", at)
    wait_until(lambda: "begin wait" in notes(gate))
    served.process.send_signal(signal.SIGTERM)
    wait_until(lambda: json.loads(served.ask("/health", at=at)[1])["status"] == "ending")
    status, body, headers = served.speak("quick", at)
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert json.loads(body)["error"]["message"]
    (gate / "open").touch()
    status, body, _ = under_way.result(60)
    assert (status, body[:4]) == (200, b"RIFF")
    assert served.ended() == 0
    assert not served.socket.exists()
    assert notes(gate)[-2:] == ["end wait", "free"]
    assert not [line for line in served.said if "Traceback" in line]


def test_sigterm_lets_calls_of_sessions_end_too(
    gate: Path, start: Start, aside: Callable[..., Future[Any]]
) -> None:  # fmt: skip
    served = start("[serve]\ngrace = 60\n" + gate_model(gate, ""))
    with LollmsTTSBindingManager().require_binding("gate", place=served.address()) as binding:
        under_way = aside(binding.generate_audio, "wait")
        wait_until(lambda: "begin wait" in notes(gate))
        other = LollmsTTSBindingManager().require_binding("gate", place=served.address())
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: json.loads(served.ask("/health")[1])["status"] == "ending")
        with pytest.raises((ServiceError, WorkerCrashedError)) as refused:
            other.generate_audio("quick")
        assert "ends" in str(refused.value)
        with pytest.raises(ServiceError) as shut:  # nor is another session opened
            LollmsTTSBindingManager().require_binding("gate", place=served.address())
        assert (shut.value.status, shut.value.retryable) == (503, True)
        other.close()
        (gate / "open").touch()
        assert under_way.result(60)
        assert served.ended() == 0
    assert not [line for line in served.said if "Traceback" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
def test_what_takes_longer_than_its_grace_is_cancelled(
    gate: Path, start: Start, aside: Callable[..., Future[Any]], number: int
) -> None:
    served = start("[serve]\ngrace = 0.2\n" + gate_model(gate, ""))
    at = served.address()
    under_way = aside(served.speak, "wait", at)
    wait_until(lambda: "begin wait" in notes(gate))
    served.process.send_signal(number)
    assert under_way.result(60)[0] != 200
    assert served.ended() == 0
    assert "end wait" not in notes(gate)


@pytest.mark.full
def test_an_engine_in_the_server_that_does_not_listen_keeps_nobody(
    gate: Path, start: Start, aside: Callable[..., Future[Any]]
) -> None:
    served = start("[serve]\ngrace = 0\n" + gate_model(gate))
    at = served.address()
    aside(served.speak, "deaf", at)
    wait_until(lambda: "begin deaf" in notes(gate))
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0


def test_sighup_has_the_file_read_again_without_dropping_a_call(
    gate: Path, start: Start, aside: Callable[..., Future[Any]]
) -> None:
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(gate / "notify"))
    told.settimeout(60)
    served = start(gate_model(gate, ""), NOTIFY_SOCKET=str(gate / "notify"))
    at = served.address()
    assert told.recv(100) == b"READY=1"
    under_way = aside(served.speak, "wait", at)
    wait_until(lambda: "begin wait" in notes(gate))

    served.file.write_text("[serve]\nprot = 1\n")
    served.process.send_signal(signal.SIGHUP)
    assert told.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert told.recv(100) == b"READY=1"
    wait_until(lambda: any("stays as it was" in line and "line 2" in line for line in served.said))

    served.file.write_text(gate_model(gate, "", "new"))
    served.process.send_signal(signal.SIGHUP)
    assert told.recv(100).startswith(b"RELOADING=1")
    assert told.recv(100) == b"READY=1"
    names = {model["id"] for model in json.loads(served.ask("/v1/models", at=at)[1])["data"]}
    assert "new" in names
    assert "gate" not in names
    (gate / "open").touch()
    assert under_way.result(60)[0] == 200
    served.process.send_signal(signal.SIGTERM)
    assert told.recv(100) == b"STOPPING=1"
    assert served.ended() == 0
    told.close()


def test_the_terminal_sees_loads_unloads_and_cancels(
    gate: Path, start: Start, aside: Callable[..., Future[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    served = start(gate_model(gate, ""))
    at = served.address()

    def typed(*words: str) -> tuple[int, str]:
        code = serve([*words, "--socket", str(served.socket), "--config", str(served.file)])
        return code, capsys.readouterr().out

    assert typed("ps") == (0, "tts:gate  not loaded\n")
    assert typed("load", "gate") == (0, "")
    assert re.fullmatch(r"tts:gate  loaded, \d+ MB, idle for \d+ s\n", typed("ps")[1])
    call = aside(served.speak, "wait", at)
    wait_until(lambda: "begin wait" in notes(gate))
    assert typed("unload", "tts:gate")[0] == 1
    (running,) = json.loads(typed("ps", "--json")[1])["calls"]
    assert running["state"] == "running"
    assert running["id"] in typed("ps")[1]
    assert typed("cancel", running["id"]) == (0, "")
    assert call.result(60)[0] != 200
    wait_until(lambda: typed("unload", "gate")[0] == 0)
    with pytest.raises(CallNotFound):
        typed("cancel", "nothing")
    with pytest.raises(ModelNotServed, match="Did you mean 'gate'"):
        typed("load", "gat")

    def acts() -> list[dict[str, Any]]:
        return [json.loads(line) for line in served.said if line.startswith("{") and '"act"' in line]

    wait_until(lambda: {"load", "unload", "cancel"} <= {act["act"] for act in acts()})  # lines are gathered
    assert {act["who"] for act in acts()} == {"terminal"}


def test_nonsense_on_the_socket_is_answered(gate: Path, start: Start) -> None:
    served = start(gate_model(gate, ""))
    served.address()
    for line in (
        b"\n",
        b"x\n",
        b"{}\n",
        b"[]\n",
        b'{"act": "shell"}\n',
        b'{"act": "load"}\n',
        b'{"act": "load", "model": 5}\n',
        b'{"act": "unload", "model": null}\n',
        b"\xff" * 100_000 + b"\n",
    ):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(served.socket))
            sock.sendall(line)
            answer = sock.makefile("rb").readline()
        assert not answer or "error" in json.loads(answer), line
    assert served.ask("/health")[0] == 200


@pytest.mark.full
def test_one_socket_and_one_port_are_one_servers(gate: Path, start: Start, tmp_path: Path) -> None:
    first = start(gate_model(gate, ""))
    port = first.address().rpartition(":")[2]
    other = tmp_path / "other"
    other.mkdir()
    same_socket = start(gate_model(gate, ""), "--socket", str(first.socket), folder=other)
    assert same_socket.ended() == 1
    assert "Another server listens" in "".join(same_socket.said)
    assert first.socket.exists()
    same_port = start(gate_model(gate, ""), "--port", port, folder=other)
    assert same_port.ended() == 1
    assert f"port {port}, cannot be listened at" in "".join(same_port.said)
    assert first.ask("/health")[0] == 200
    first.process.kill()
    first.ended()
    again = start(gate_model(gate, ""))
    assert again.ask("/health")[0] == 200, "the socket that a killed server left is no hindrance"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "lollms serve key add"),
        (("--host", "::"), "lollms serve key add"),
        (("--tls-key", "k.pem"), "both a certificate and its key"),
        (("--tls-key", "no.pem", "--tls-certificate", "neither.pem"), "neither.pem and the key no.pem cannot be used"),
        (("--tls-key", __file__, "--tls-certificate", __file__), "cannot be used"),
        (("--host", "no.such.host.invalid"), "lollms serve key add"),
    ],
)
def test_what_it_does_not_start_with(
    gate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "a.toml").write_text(gate_model(gate))
    with pytest.raises(ConfigurationError, match=said):
        serve(["--config", str(tmp_path / "a.toml"), *words])


def test_a_file_in_the_place_of_the_socket_is_kept(gate: Path, start: Start, tmp_path: Path) -> None:
    precious = tmp_path / "notes.txt"
    precious.write_text("mine")
    served = start(gate_model(gate), "--socket", str(precious))
    assert served.ended() == 1
    assert "is no socket" in "".join(served.said)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_an_address_that_is_none_is_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address that can be listened at"):
        _listen(host, 0)


def test_keys_are_made_shown_once_and_taken_away(
    gate: Path, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"[serve]\nkeys_file = {json.dumps(str(tmp_path / 'keys.json'))}\nmetrics = '127.0.0.1:0'\n" + gate_model(
        gate
    )

    def key(*words: str) -> str:
        (tmp_path / "keys.toml").write_text(text)
        assert serve(["key", *words, "--config", str(tmp_path / "keys.toml")]) == 0
        return capsys.readouterr().out.strip()

    made = key("add", "anna", "--models", "gate, gate", "--at-once", "2", "--engine-seconds", "60")
    boss = key("add", "boss", "--role", "admin")
    listed = key("list")
    assert re.search(r"^anna  user, gate,gate, 2 at once, 60 s a day, made \d{4}-", listed)
    assert re.search(r"^boss  admin, all models, made", listed, re.MULTILINE)
    assert made not in listed
    served = start(text.replace("metrics = '127.0.0.1:0'\n", ""))
    at = served.address()
    body = {"model": "gate", "input": "quick", "response_format": "wav"}
    assert served.ask("/v1/audio/speech", body, at=at)[0] == 401
    assert served.ask("/v1/audio/speech", body, at=at, key=made)[0] == 200
    assert served.ask("/metrics", at=at, key=made)[0] == 403
    assert b"lollms_calls_total" in served.ask("/metrics", at=at, key=boss)[1]
    new = key("rotate", "anna")
    assert served.ask("/v1/audio/speech", body, at=at, key=made)[0] == 401
    assert served.ask("/v1/audio/speech", body, at=at, key=new)[0] == 200
    key("remove", "anna")
    assert served.ask("/v1/audio/speech", body, at=at, key=new)[0] == 401
    said = "".join(served.said)
    assert not [k for k in (made, boss, new) if k in said]
    assert "Keys: anna, boss" in said


@pytest.mark.full
def test_an_admins_key_sets_what_may_be_set_and_all_of_it_is_written_down(
    gate: Path, start: Start, tmp_path: Path
) -> None:
    keys = Keys(tmp_path / "keys.json")
    boss, anna = keys.add("boss", role="admin"), keys.add("anna")
    served = start(f"[serve]\nkeys_file = {json.dumps(str(keys.path))}\n" + gate_model(gate))
    at, path = served.address(), "/lollms/v2/bindings/tts/gate"

    def put(key: str, **settings: Any) -> tuple[int, Any]:
        status, body, _ = served.ask(f"{path}/settings", {"settings": settings}, at=at, key=key, method="PUT")
        return status, json.loads(body)

    for closed in (
        {"folder": "/"}, {"service_address": "http://127.0.0.1:1"}, {"model_name": "/etc/passwd"}, {"where": "x"},
        {"default_voice": "../../x"}, {"volume": -1}, {"volum": 1}, {"volume": 0.5, "folder": None},
    ):  # fmt: skip
        status, told = put(boss, **closed)
        assert (status, told["error"]["type"]) == (400, "invalid_request_error"), closed
    assert put(boss, volume=0.25) == (200, {"changed": ["volume"]})
    assert put(anna, volume=0.75)[0] == 403
    told = json.loads(served.ask(path, at=at, key=boss)[1])
    assert {row["name"]: row["value"] for row in told["settings"]}["volume"] == 0.25
    assert {"folder", "volume"} <= told["settings_schema"]["properties"].keys()
    assert {"speed", "reference"} <= told["options_schema"]["properties"].keys()
    assert {"generate_audio", "stream_audio"} <= told["verbs"].keys()
    assert told["capabilities"]["streaming"] is True
    assert served.ask(f"{path}/load", {}, at=at, key=boss)[0] == 200
    assert json.loads(served.ask("/lollms/v2/bindings", at=at, key=boss)[1])["data"][0]["loaded"] is True
    assert json.loads(served.ask(f"{path}/unload", {}, at=at, key=boss)[1]) == {"unloaded": True}
    assert notes(gate) == ["load", "free"]

    def acts() -> list[tuple[str, str, bool]]:
        lines = [json.loads(line) for line in served.said if line.startswith("{") and '"act"' in line]
        return [(line["who"], line["act"], line["allowed"]) for line in lines]

    boss_s = [("key boss", act, True) for act in [*["set_settings"] * 9, "load", "unload"]]
    wait_until(
        lambda: (
            sorted(acts())
            == sorted([*boss_s, ("key anna", "PUT /lollms/v2/bindings/{modality}/{name}/settings", False)])
        )
    )


def test_a_key_is_for_models_that_are_served(gate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"[serve]\nkeys_file = {json.dumps(str(tmp_path / 'keys.json'))}\n" + gate_model(gate)
    (tmp_path / "a.toml").write_text(text)
    for names, said in (("gat", "Did you mean 'gate'"), ("gate,nope", "No model 'nope'"), ("gate/small", "gate/small")):
        with pytest.raises(ConfigurationError, match=said):
            serve(["key", "add", "anna", "--models", names, "--config", str(tmp_path / "a.toml")])
    assert not (tmp_path / "keys.json").exists()
    assert serve(["key", "add", "anna", "--models", "gate", "--config", str(tmp_path / "a.toml")]) == 0
    capsys.readouterr()


@pytest.mark.full
def test_metrics_at_an_address_of_their_own(gate: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = start(f"[serve]\nmetrics = '127.0.0.1:{port}'\n" + gate_model(gate, ""))
    assert served.speak("quick", served.address())[0] == 200
    assert b"lollms_calls_total" in served.ask("/metrics", at=f"http://127.0.0.1:{port}")[1]
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0


def test_without_a_server_the_terminal_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No server answers"):
        serve(["ps", "--socket", str(tmp_path / "none.sock")])


def test_check_says_what_would_be_served(gate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text(gate_model(gate))
    assert serve(["--check", "--config", str(tmp_path / "a.toml")]) == 0
    assert capsys.readouterr().out == "tts:gate  gate\n"
    (tmp_path / "a.toml").write_text("[models.x]\nbinding = 'nothing'\n")
    with pytest.raises(LollmsError, match="line 2"):
        serve(["--check", "--config", str(tmp_path / "a.toml")])


@pytest.mark.parametrize("words", [["--prot", "1"], ["key"], ["key", "add"], ["fly"], ["--port", "x"], ["cancel"]])
def test_words_that_mean_nothing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        serve(words)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told
    assert "argument :" not in told, "what is wrong has a name"


def test_the_unit_for_systemd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a file with $HOME and 100%.toml"
    file.write_text("[serve]\ngrace = 90\n")
    assert serve(["systemd", "--config", str(file), "--port", "1234"]) == 0
    written = tmp_path / "lollms.service"
    written.write_text(capsys.readouterr().out)
    if (analyze := shutil.which("systemd-analyze")) is not None:  # which is no program of other systems
        verified = subprocess.run([analyze, "verify", str(written)], capture_output=True, text=True, check=False)
        assert (verified.returncode, verified.stderr) == (0, "")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(written)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["TimeoutStopSec"] == "120"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    escaped = str(file).replace("%", "%%").replace("$", "$$")
    assert service["ExecStart"].endswith(f'lollms serve --config "{escaped}" --port 1234')
