"""Workers at the other end of ssh: Debian's sshd on loopback, its sessions with a home and distributions of their own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lollms_modalities import (
    Audio,
    BindingDependencyError,
    BindingNotFoundError,
    CallCancelled,
    CancelToken,
    LollmsError,
    LollmsSTTBindingManager,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    Place,
    PlaceError,
    SettingsError,
    SshPlace,
    WorkerCrashedError,
    WorkerPolicy,
)
from lollms_modalities.workers.finding_places import find_place
from lollms_modalities.workers.ssh_address import parse_address
from lollms_modalities.workers.ssh_command import program, ssh_command
from sshd import Sshd, sshd

SUPPORT = Path(__file__).parent / "support"
HOME = pwd.getpwuid(os.getuid()).pw_dir  # where sessions begin, whatever HOME says


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine on which the bindings of ``far_bindings`` are installed, and nowhere else."""
    folder = tmp_path_factory.mktemp("box")
    info = folder / "site" / "far-bindings-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: far-bindings\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "".join(f"[lollms_client.{m}_bindings]\nfar = far_bindings:Far{m.upper()}Binding\n" for m in ("tts", "stt"))
    )
    shutil.copy(SUPPORT / "far_bindings.py", folder / "site")
    with sshd(folder / "sshd", {"PYTHONPATH": str(folder / "site")}) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{server.bin}{os.pathsep}{os.environ['PATH']}")
        yield server


@pytest.fixture
def opened(box: Sshd) -> Iterator[Callable[..., Any]]:
    """Makes bindings there, which are closed at the end."""
    made: list[Any] = []

    def make(modality: str = "tts", **kwargs: Any) -> Any:
        manager = {"tts": LollmsTTSBindingManager, "stt": LollmsSTTBindingManager}[modality]()
        made.append(manager.require_binding("far", **{"place": box.address, **kwargs}))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


@pytest.fixture(scope="module")
def tts(box: Sshd) -> Iterator[Any]:
    """One there."""
    with LollmsTTSBindingManager().require_binding(
        "far", place=box.address, voice_name="b", policy=WorkerPolicy(grace=0.5)
    ) as made:
        yield made


def wait_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # also if it went while it was looked at
        return True


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [("ssh://gpu-box", ["--", "gpu-box"]), ("SSH://gpu-box/", ["--", "gpu-box"]),
     ("ssh://me@gpu-box:2222", ["-l", "me", "-p", "2222", "--", "gpu-box"]),
     ("ssh://me@example.org@gpu_box", ["-l", "me@example.org", "--", "gpu_box"]),
     ("ssh://me%40example.org@10.0.0.1", ["-l", "me@example.org", "--", "10.0.0.1"]),
     ("ssh://CORP\\me@gpu.example.org", ["-l", "CORP\\me", "--", "gpu.example.org"]),
     ("ssh://[::1]:22", ["-p", "22", "--", "::1"]), ("ssh://[fe80::1%25eth0]", ["--", "fe80::1%eth0"]),
     ("ssh://münchen.example", ["--", "münchen.example"])],
)  # fmt: skip
def test_an_address_becomes_words_of_ssh(address: str, words: list[str]) -> None:
    place = SshPlace(address)
    assert isinstance(place, Place)
    assert place.address.words == words
    assert parse_address(place.name) == place.address
    assert find_place(address) is find_place(address)


@pytest.mark.parametrize(
    "rest",
    ["", "-oProxyCommand=touch${IFS}pwned", "me@-oProxyCommand=x", "-lroot@host", "%2DoProxyCommand=x@host", "a b",
     "a\nb", "a\tb", "a\0b", "a%0ab", "host;id", "host`id`", "$(id)", "host|id", "host&id", "a'b", 'a"b', "a\\b", "~", "*",
     "host/path", "host?x=1", "host#x", "//host", "a@", "@host", "us er@host", "u;id@host", "u%0Aid@host", "u%00@host",
     "u`id`@host", "u$x@host", "me\\@host", "%ff@host", "%r@host", "a:b:c", "::1", "[::1", "::1]", "[::1]x", "[::1]:",
     "[zz::1]", "[fe80::1%25a;b]", "[127.0.0.1]", "host:", "host:0", "host:65536", "host:-1", "host:2 2", "host:²²", "host:x",
     "h" * 300, "u" * 300 + "@h", "h:" + "1" * 3000, "[::1%25" + "z" * 99 + "]", ".", ".host", "\u202ehost"],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anything_is_run(rest: str) -> None:
    with pytest.raises(
        SettingsError, match=r"address of a place over ssh cannot be read.* (Write it|Write an|An environment|Let ssh)"
    ) as caught:
        find_place(f"ssh://{rest}")
    assert len(str(caught.value)) < 400


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"holds a password.*ssh-copy-id") as caught:
        SshPlace("ssh://me:sesame@host")
    assert "sesame" not in str(caught.value)


def test_nothing_that_a_user_says_is_in_the_command_for_the_shell_there() -> None:
    text = program({"environment": "a'; touch pwned; '", "variables": {"KEY": "sesame"}, "mark": "x"})
    command = ssh_command(parse_address("ssh://me@box:7"), text)
    assert command[-6:-1] == ["-p", "7", "--", "box"][-5:] or command[-5:-1] == ["-p", "7", "--", "box"]
    assert "sesame" not in " ".join(command)
    assert "pwned" not in " ".join(command)
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -.,;:=()[]'")
    assert set(command[-1]) <= allowed
    assert command[-1].count("'") == 2


def test_what_a_user_has_configured_forwards_nothing_and_asks_for_nothing(box: Sshd) -> None:
    command = ssh_command(parse_address(box.address), b"")
    # ``-G`` says what ssh would do, and does not do it. The user's file wants a terminal, the agent, and a command.
    told = subprocess.run([command[0], "-G", *command[1:]], capture_output=True, text=True, check=True).stdout
    effective = dict(line.partition(" ")[::2] for line in told.splitlines())
    assert "forwardagent yes" in subprocess.run(
        [command[0], "-G", "127.0.0.1"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    wanted = {
        "batchmode": "yes", "forwardagent": "no", "forwardx11": "no", "clearallforwardings": "yes", "tunnel": "false",
        "permitlocalcommand": "no", "requesttty": "false", "controlmaster": "false", "serveraliveinterval": "1",
        "serveralivecountmax": "4",
    }  # fmt: skip
    assert {name: effective.get(name) for name in wanted} == wanted
    assert effective.get("controlpath", "none") == "none"
    assert "remotecommand" not in effective or effective["remotecommand"] == "none"
    assert command[command.index("--") + 1] == "127.0.0.1"


# --- it works -------------------------------------------------------------------------------------------------------


def test_a_binding_that_is_only_there_runs_there(tts: Any, box: Sshd) -> None:
    assert isinstance(tts, LollmsTTSBinding)
    assert tts.environment == box.address
    made = tts.generate_audio("hi", seed=3)
    assert made == Audio.from_pcm("hi".encode("utf-16-le"), 8000)
    told = made.provenance
    assert (told.model, told.seed, told.distribution) == ("b", 3, "far-bindings")
    assert told.extra["folder"] == HOME
    assert [c.text for c in tts.stream_audio("hi", count=100)] == [f"hi {n}" for n in range(100)]
    assert tts.set_settings({"voice_name": "c"})
    assert tts.generate_audio("hi").provenance.model == "c"
    assert tts.set_settings({"voice_name": "b"})
    assert tts.memory() == 0, "which is not known"


def test_media_go_over_and_files_are_written_here(
    tts: Any, opened: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = os.urandom(10_000_001)
    (tmp_path / "x.wav").write_bytes(data)
    assert opened("stt").transcribe_audio("x.wav") == f"bytes {hashlib.sha256(data).hexdigest()}"
    result = tts.generate_audio("hi", output_path="hi.flac")
    assert result.path == tmp_path / "hi.flac"
    assert Audio((tmp_path / "hi.flac").read_bytes()).format == "flac"
    long = "word " * 1_000_000
    assert tts.generate_audio(long) == Audio.from_pcm(long.encode("utf-16-le"), 8000)
    with pytest.raises(WorkerCrashedError):
        tts.generate_audio("hi", do="exit", output_path="gone.wav")
    assert sorted(os.listdir(tmp_path)) == ["hi.flac", "x.wav"]


def test_what_the_engine_prints_is_not_in_the_way(tts: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lollms_modalities.workers.far"):
        assert tts.generate_audio("hi", do="print") == Audio.from_pcm("hi".encode("utf-16-le"), 8000)
        wait_until(lambda: "from C" in caplog.text)
    assert caplog.text.count("printed line") == 2000


def test_variables_of_the_policy_reach_it_and_secrets_are_no_arguments(
    box: Sshd, opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", "sesame-7")
    monkeypatch.setenv("HERE_TOKEN", "sesame-8")
    tts = opened(policy=WorkerPolicy(variables={"COLOUR": "a'b\n$(id)"}, pass_variables=("HERE_TOKEN",)))
    told = tts.generate_audio("hi").provenance.extra
    assert told["variables"] == {"COLOUR": "a'b\n$(id)", "FAR_KEY": "sesame-7", "HERE_TOKEN": "sesame-8"}
    running = [psutil.Process(tts._workers._workers[0].process.pid), *box.inside()]
    words = [" ".join(process.cmdline()) for process in running]
    assert any("python3 -uc" in line for line in words), "ssh and what it runs are looked at"
    assert not any("sesame" in line for line in words)


def test_what_a_shell_says_first_is_harmless(
    box: Sshd, opened: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    greeting = box.home / ".bashrc"
    greeting.write_text("printf 'Welcome!\\nNo newline'; echo oops >&2\n")
    try:
        with caplog.at_level(logging.INFO, "lollms_modalities.workers.far"):
            assert opened().list_voices() == ["a"]
    finally:
        greeting.write_text("")
    assert {"Welcome!", "No newline", "oops"} <= {record.message for record in caplog.records}


# --- environments ---------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(box: Sshd) -> Iterator[Path]:
    """An environment there, as ``lollms env create`` leaves it: a link, a lock, a recipe with a variable."""
    folder = Path(box.variables["XDG_DATA_HOME"]) / "lollms" / "environments"
    made = folder / ".env-1" / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    (made.parent / "lock").touch()
    (site,) = made.glob("lib/python3*/site-packages")
    here = [p for p in sys.path if p.endswith(("-packages", "/src"))]
    (site / "here.pth").write_text("\n".join([*here, str(Path(box.variables["PYTHONPATH"]))]))
    entries = site / "more-1.0.dist-info"
    entries.mkdir()
    (entries / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (entries / "entry_points.txt").write_text("[lollms_client.tts_bindings]\nmore = far_bindings:FarTTSBinding\n")
    (made / "lollms.json").write_text('{"recipe": "[variables]\\nCOLOUR = \\"green\\"\\n"}')
    (folder / "voice").symlink_to(made)
    yield made
    shutil.rmtree(folder)


def test_an_environment_is_one_that_is_there(opened: Callable[..., Any], box: Sshd, environment: Path) -> None:
    tts = opened(environment="voice")
    assert tts.environment == f"voice at {box.address}"
    assert tts.generate_audio("hi").provenance.extra["variables"] == {"COLOUR": "green"}
    held = subprocess.run(["flock", "-n", "-x", environment.parent / "lock", "true"], check=False)
    assert held.returncode == 1, "it cannot be taken away meanwhile"
    tts.close()
    wait_until(lambda: not subprocess.run(["flock", "-n", "-x", environment.parent / "lock", "true"]).returncode)
    with LollmsTTSBindingManager().require_binding("more", place=box.address) as only:
        assert only.generate_audio("hi").provenance.extra["variables"] == {"COLOUR": "green"}, "found by itself"
    assert opened(environment=str(environment)).list_voices() == ["a"]


NAMES = (
    "../environments/voice",
    "'; touch pwned; '",
    '"$(touch pwned)`touch pwned`',
    "a\nb\\",
    "~/none",
    "*",
    "-é voice ",
)


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_that_is_not_there_is_told(box: Sshd, environment: Path, name: str) -> None:
    found = r"is no virtual environment at ssh://|There is no environment .* at ssh://.*There are: voice"
    before = sorted(environment.parents[1].iterdir())
    with pytest.raises(BindingNotFoundError, match=rf"(?s)({found}).*lollms env create far --on ssh://"):
        LollmsTTSBindingManager().require_binding("far", place=box.address, environment=name)
    assert not any((Path(folder) / "pwned").exists() for folder in (box.home, HOME))
    assert sorted(environment.parents[1].iterdir()) == before, "none is made there that was not asked for"


def test_a_binding_that_is_not_there_is_told_with_those_that_are(box: Sshd) -> None:
    with pytest.raises(
        BindingNotFoundError, match=r"'nobodys' is installed at ssh://.*: .*far.*env create nobodys --on"
    ):
        LollmsTTSBindingManager().require_binding("nobodys", place=box.address)


# --- what goes wrong before there is a worker -----------------------------------------------------------------------


def fails(address: str, **kwargs: Any) -> Any:
    with pytest.raises(LollmsError) as caught:
        LollmsTTSBindingManager().require_binding("far", place=SshPlace(address), **kwargs)
    return caught.value


def test_what_ssh_says_becomes_an_error_with_its_mend(box: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    known = box.known.read_text()
    error = fails("ssh://nowhere.invalid")
    assert isinstance(error, PlaceError)
    assert isinstance(error, ConnectionError)
    assert (error.reason, error.place) == ("address", "ssh://nowhere.invalid")
    error = fails("ssh://127.0.0.1:1")
    assert (error.reason, "Connection refused" in error.message) == ("unreachable", True)
    error = fails(f"ssh://nobody@127.0.0.1:{box.port}")
    assert (error.reason, "ssh-copy-id" in error.hint) == ("authentication", True)
    try:
        box.known.write_text("")
        error = fails(box.address)
        assert (error.reason, "not known here" in error.hint) == ("identity", True)
        box.known.write_text(f"[127.0.0.1]:{box.port} {(box.bin.parent / 'user.pub').read_text()}")
        error = fails(box.address)
        assert (error.reason, "another than the one that is known" in error.hint) == ("identity", True)
    finally:
        box.known.write_text(known)
    monkeypatch.setenv("PATH", "/nowhere")
    error = fails(box.address)
    assert (error.reason, "openssh-client" in error.hint) == ("program", True)
    assert PlaceError.from_json(error.to_json()).reason == "program"


@pytest.mark.parametrize(
    ("shell", "kind", "reason", "said"),
    [("PATH=/nowhere", PlaceError, "program", "no python3 on the path"),
     ("echo go away; exit 3", PlaceError, "answer", r"not with a worker: b'go away' came"),
     ("cat /dev/urandom", PlaceError, "answer", "not with a worker: b"), ("exit 0", PlaceError, "answer", "not with a worker"),
     pytest.param("echo menu; cat >/dev/null", PlaceError, "unreachable", r"did not run Python within 9 s.*b'menu'",
                  marks=pytest.mark.full),
     ("kill -9 $PPID", PlaceError, "unreachable", "127.0.0.1"),
     ("unset PYTHONPATH; python3() { :; }; PATH=@", BindingDependencyError, "", "lollms-client.*env create far --on")],
)  # fmt: skip
def test_what_answers_instead_of_a_worker_is_told(
    box: Sshd, tmp_path: Path, shell: str, kind: type, reason: str, said: str
) -> None:
    if "@" in shell:  # a Python that has nothing of ours
        made = tmp_path / "bare"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
        shell = shell.replace("@", f"{made}/bin")
    (box.home / ".bashrc").write_text(f"{shell}\n")
    before = {process.pid for process in box.inside()}
    try:
        error = fails(box.address, policy=WorkerPolicy(start_timeout=9.0 if "menu" in shell else 60.0))
    finally:
        (box.home / ".bashrc").write_text("")
    assert type(error) is kind
    assert getattr(error, "reason", "") == reason
    assert re.search(said, str(error)), str(error)
    assert len(str(error)) < 1000
    wait_until(lambda: {process.pid for process in box.inside()} <= before)


def test_a_task_that_is_cancelled_while_it_connects_leaves_nothing(box: Sshd) -> None:
    (box.home / ".bashrc").write_text("echo menu; cat >/dev/null\n")
    before = {process.pid for process in box.inside()}

    async def main() -> None:
        making = asyncio.ensure_future(LollmsTTSBindingManager().acreate_binding("far", place=box.address))
        while not {process.pid for process in box.inside()} - before:
            await asyncio.sleep(0.01)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    try:
        asyncio.run(main())
        wait_until(lambda: {process.pid for process in box.inside()} <= before)
    finally:
        (box.home / ".bashrc").write_text("")


# --- ends -----------------------------------------------------------------------------------------------------------


class Speaking:
    """A call that lasts, with what it raised."""

    def __init__(self, tts: Any, do: str) -> None:
        self.error: Any = None
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(tts, do), daemon=True)
        self._thread.start()
        assert self._began.wait(30)

    def _run(self, tts: Any, do: str) -> None:
        try:
            tts.generate_audio("hi", do=do, progress=lambda p: self._began.set())
        except LollmsError as exc:
            self.error = exc

    def end(self) -> Any:
        self._thread.join(30)
        assert not self._thread.is_alive(), "the call hangs"
        return self.error


def kill_ssh(tts: Any, box: Sshd, pid: int) -> None:
    os.kill(tts._workers._workers[0].process.pid, signal.SIGKILL)


def kill_worker(tts: Any, box: Sshd, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_what_carries(tts: Any, box: Sshd, pid: int) -> None:
    os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)


def kill_the_sessions(tts: Any, box: Sshd, pid: int) -> None:
    for process in box.sessions:
        process.kill()


def kill_sshd(tts: Any, box: Sshd, pid: int) -> None:
    box.stop()
    box.start()


@pytest.mark.parametrize(
    "stopped", [pytest.param(False, id="listening"), pytest.param(True, id="deaf", marks=pytest.mark.full)]
)
@pytest.mark.parametrize(
    ("kill", "said", "code"),
    [(kill_ssh, "ssh was ended by SIGKILL", None), (kill_worker, "ended by SIGKILL; the system", -9),
     (kill_what_carries, "", None), (kill_the_sessions, "connection to ssh://.* was lost", None),
     (kill_sshd, "connection to ssh://.* was lost", None)],
)  # fmt: skip
def test_what_is_killed_ends_the_call_and_all_that_ran_there(
    opened: Callable[..., Any], box: Sshd, kill: Callable[..., None], said: str, code: int | None, stopped: bool
) -> None:
    tts = opened(policy=WorkerPolicy(grace=0.5))
    told = tts.generate_audio("hi", do="child").provenance.extra
    speaking = Speaking(tts, "wait")
    if stopped:  # it cannot see that its connection ends
        os.kill(told["pid"], signal.SIGSTOP)
    kill(tts, box, told["pid"])
    error = speaking.end()
    assert type(error) is WorkerCrashedError
    assert re.search(rf"{box.address}\) is gone: .*{said}", str(error)), str(error)
    assert error.exit_code == code
    wait_until(lambda: gone(told["pid"]) and gone(told["child"]))
    assert tts.generate_audio("hi").provenance.extra["pid"] != told["pid"], "the next call has a new one"


def test_a_worker_that_ends_by_itself_tells_how(opened: Callable[..., Any]) -> None:
    with pytest.raises(WorkerCrashedError, match="it ended with exit code 3") as caught:
        opened().generate_audio("hi", do="exit")
    error: Any = caught.value
    assert (error.exit_code, error.last_lines) == (3, ["the engine says goodbye"])


def test_an_engine_that_does_not_listen_is_killed(opened: Callable[..., Any]) -> None:
    tts, token = opened(policy=WorkerPolicy(grace=0.2)), CancelToken()
    pid = tts.generate_audio("hi").provenance.extra["pid"]
    with pytest.raises(CallCancelled):
        tts.generate_audio("hi", do="deaf", cancel=token, progress=lambda p: token.cancel())
    wait_until(lambda: gone(pid))
    assert tts.generate_audio("hi")


def test_close_and_dropping_leave_nothing(opened: Callable[..., Any], box: Sshd) -> None:
    tts = opened(policy=WorkerPolicy(pool=2))
    pid = tts.generate_audio("hi", do="child").provenance.extra["child"]
    ours = tts._workers._workers[0].process
    tts.close()
    assert ours.exit_code == 0
    wait_until(lambda: gone(pid))
    dropped = LollmsTTSBindingManager().require_binding("far", place=box.address)
    pid = dropped.generate_audio("hi").provenance.extra["pid"]
    del dropped
    wait_until(lambda: gone(pid))


PROGRAM = """
import sys
from lollms_modalities import LollmsTTSBindingManager
tts = LollmsTTSBindingManager().require_binding("far", place=sys.argv[1])
told = tts.generate_audio("hi", do="child").provenance.extra
print(told["pid"], told["child"], flush=True)
for chunk in tts.stream_audio("hi", count=10**9):
    pass
"""


def test_a_program_that_is_killed_leaves_nothing_there(box: Sshd) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, box.address], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        process.kill()
    assert len(pids) == 2
    wait_until(lambda: all(map(gone, pids)))


@pytest.mark.full
def test_a_cut_line_is_told_within_seconds(opened: Callable[..., Any], box: Sshd) -> None:
    tts = opened()
    pid = tts.generate_audio("hi").provenance.extra["pid"]
    speaking, began = Speaking(tts, "wait"), time.monotonic()
    sessions = box.sessions
    for process in sessions:  # nobody answers, and no connection ends
        process.suspend()
    try:
        error = speaking.end()
        assert "not responding" in error.cause
        assert 2 < time.monotonic() - began < 15  # five seconds, on a machine with nothing else to do
    finally:
        for process in sessions:
            process.resume()
    wait_until(lambda: gone(pid))


@pytest.mark.full
def test_a_worker_whose_host_is_silent_ends_though_sshd_notices_nothing(opened: Callable[..., Any]) -> None:
    tts = opened()
    pid = tts.generate_audio("hi").provenance.extra["pid"]
    ssh = tts._workers.all()[0].process.pid
    os.kill(ssh, signal.SIGSTOP)  # its connection stays, and nothing passes: as with a machine that is gone
    try:
        wait_until(lambda: gone(pid))
    finally:
        os.kill(ssh, signal.SIGKILL)
