"""Programs as engines: real ones, that end, hang, flood, crash, leave others, and are stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lollms_examples.tts import ToneTTSBinding
from lollms_modalities import (
    Audio,
    BindingDependencyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    GenerationError,
    report_progress,
)
from lollms_modalities.kit import program
from lollms_modalities.kit.program import Running, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sh and its kin are POSIX's")
PYTHON = sys.executable


def python(code: str) -> list[str]:
    return [PYTHON, "-u", "-c", code]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No process, no descriptor, no thread."""
    me = psutil.Process()
    before = me.num_fds(), ours()
    yield
    assert me.children(recursive=True) == []
    until = time.monotonic() + 10
    while (me.num_fds(), ours()) != before and time.monotonic() < until:
        time.sleep(0.01)
    assert (me.num_fds(), ours()) == before


def ours() -> int:
    return sum(thread.name.startswith("lollms-program") for thread in threading.enumerate())


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pid: int) -> bool:
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_what_it_wrote_and_how_it_ended() -> None:
    done = run(python("import sys; print('said'); print('told', file=sys.stderr)"))
    assert done == (0, b"said\n", "told")


def test_no_shell_reads_its_arguments(tmp_path: Path) -> None:
    words = ["$(touch marker)", "`touch marker`", "'; touch marker; '", "*", "a b", "ü🎵", "", "-x"]
    done = run([*python("import sys, json; print(json.dumps(sys.argv[1:]))"), *words], cwd=tmp_path)
    import json

    assert json.loads(done.stdout) == words
    assert list(tmp_path.iterdir()) == []


def test_its_standard_input_is_empty_or_what_it_is_given() -> None:
    echo = python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())")
    assert run(echo).stdout == b""
    much = os.urandom(3_000_000)
    assert run(echo, input=much).stdout == much
    assert run(["true"], input=much).code == 0  # which does not read it


def test_its_variables_and_directory(tmp_path: Path) -> None:
    done = run(python("import os; print(os.getcwd(), os.environ['MINE'], 'PATH' in os.environ)"),
               cwd=tmp_path, env={"MINE": "1"})  # fmt: skip
    assert done.stdout.decode().split() == [str(tmp_path.resolve()), "1", "True"]
    assert "MINE" not in os.environ


def test_a_program_that_fails_says_why() -> None:
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(100)]; sys.exit(3)"
    with pytest.raises(GenerationError, match=r"ended with the code 3.*line 98 \| line 99") as caught:
        run(python(code))
    assert "line 10 " not in str(caught.value)
    assert run(python(code), check=False).code == 3
    with pytest.raises(GenerationError, match="was ended by the signal SIGSEGV"):
        run(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BindingDependencyError, match=r"'no-such-program' cannot be started"):
        run(["no-such-program"])
    with pytest.raises(BindingDependencyError, match=r"There is no program 'no-such-program'"):
        program.find("no-such-program")
    (tmp_path / "plain").write_text("no program")
    with pytest.raises(GenerationError, match="cannot be started"):
        run([tmp_path / "plain"])
    with pytest.raises(GenerationError, match="cannot be started"):
        run(["true", "a\0b"])
    assert program.find("sh").name == "sh"


def test_what_it_writes_is_bounded() -> None:
    with pytest.raises(GenerationError, match="wrote more than 1000000 bytes"):
        run(["yes"], limit=1_000_000)
    flood = "import sys; [sys.stderr.write('x' * 1000) for _ in range(5000)]; sys.exit(1)"
    with pytest.raises(GenerationError) as caught:
        run(python(flood))
    assert len(str(caught.value)) < 1500


def test_what_is_no_text_is_told_all_the_same() -> None:
    wild = "import sys; sys.stderr.buffer.write(b'\\xff\\xfe bad \\xc3'); sys.stdout.buffer.write(bytes(range(256)))"
    done = run(python(wild))
    assert done.stdout == bytes(range(256))
    assert "bad" in done.last


def test_out_of_time_by_itself() -> None:
    began = time.monotonic()
    with pytest.raises(GenerationError, match=r"goes on after 0\.3 s"):
        run(["sleep", "60"], timeout=0.3)
    assert time.monotonic() - began < 30


def test_its_lines_come_while_it_works() -> None:
    code = "import sys, time; print('first'); print('second', file=sys.stderr); sys.stdin.read(); print('last', end='')"
    with Running(python(code)) as running:
        lines = list(running)
    assert lines == ["first", "second", "last"]
    assert running.code == 0
    with Running(["yes"]) as running:
        assert next(iter(running)) == "y"  # and is ended with the rest unread


def test_a_line_without_end_comes_in_pieces() -> None:
    with Running(python("import sys; sys.stdout.write('x' * 5_000_000)")) as running:
        pieces = list(running)
    assert max(map(len, pieces)) < 2_000_000
    assert sum(map(len, pieces)) == 5_000_000


@pytest.mark.parametrize("way", ["in its group", "a session of its own"])
def test_what_it_leaves_holds_nobody_up(tmp_path: Path, way: str) -> None:
    new = "True" if way == "a session of its own" else "False"
    note = tmp_path / "pid"
    code = f"import subprocess as s; p = s.Popen(['sleep', '60'], start_new_session={new}); print('done'); open({str(note)!r}, 'w').write(str(p.pid))"
    began = time.monotonic()
    assert run(python(code)).stdout == b"done\n"
    assert time.monotonic() - began < 30
    pid = int(note.read_text())
    if way == "in its group":
        assert gone(pid)
    else:
        psutil.Process(pid).kill()


class Programmed(ToneTTSBinding):
    """Its engine is a program."""

    command: Any = ("sleep", "60")
    began: Callable[[int], object] = staticmethod(lambda pid: None)

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        report_progress(0, 1)
        run(["sh", "-c", "sleep 61 & sleep 60"])
        return Audio(b"")


def sleeping() -> list[int]:
    return [c.pid for c in psutil.Process().children(recursive=True)]


def stop_when_it_runs(stop: Callable[[], object]) -> threading.Thread:
    def body() -> None:
        until = time.monotonic() + 60
        while len(sleeping()) < 2 and time.monotonic() < until:  # the shell, and what it has started
            time.sleep(0.01)
        stop()

    thread = threading.Thread(target=body)
    thread.start()
    return thread


def test_it_is_stopped_with_its_call() -> None:
    token = CancelToken()
    with Programmed() as binding:
        stopping = stop_when_it_runs(token.cancel)
        with pytest.raises(CallCancelled):
            binding.generate_audio("hi", cancel=token)
        stopping.join()
        assert sleeping() == []
        with pytest.raises(CallTimeout):
            binding.generate_audio("hi", timeout=0.3)
        assert sleeping() == []


def test_it_is_stopped_in_a_thread_that_is_not_the_main_one() -> None:
    token, errors = CancelToken(), list[BaseException]()

    def call() -> None:
        try:
            binding.generate_audio("hi", cancel=token)
        except BaseException as exc:
            errors.append(exc)

    with Programmed() as binding:
        thread = threading.Thread(target=call)
        thread.start()
        stop_when_it_runs(token.cancel).join()
        thread.join()
    assert [type(error) for error in errors] == [CallCancelled]
    assert sleeping() == []


def test_close_stops_it() -> None:
    binding = Programmed()
    stopping = stop_when_it_runs(binding.close)
    with pytest.raises(CallCancelled):
        binding.generate_audio("hi")
    stopping.join()
    assert sleeping() == []


def test_a_version() -> None:
    assert program.version(PYTHON) == ".".join(map(str, sys.version_info[:3]))
    assert program.version("true", "--nothing") == "" or program.version("true").count(".") >= 1


def test_many_at_once() -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda n=n: found.append(run(["echo", str(n)]).stdout)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, found)) == list(range(16))
