"""Places: where workers run, those of other distributions, and one that shares no files with the program."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingBrokenError,
    BindingDependencyError,
    BindingNotFoundError,
    BindingUnavailableWarning,
    CallCancelled,
    CancelToken,
    DuplicateBindingWarning,
    LollmsError,
    LollmsSTTBindingManager,
    LollmsTTIBindingManager,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    MediaError,
    OptionError,
    Place,
    ProcessPlace,
    SettingsError,
    Spec,
    UnsupportedError,
    WorkerCrashedError,
    WorkerPolicy,
    hookimpl,
    hooks,
)
from lollms_modalities.workers import finding_places
from lollms_modalities.workers.finding_places import find_place, place_names
from lollms_modalities.workers.host import Worker
from lollms_modalities.workers.network import set_up_tcp
from lollms_modalities.workers.places import PROCESS

sys.path.insert(0, str(Path(__file__).parent / "support"))
from far_place import HIDE, FarPlace
from sshd import sshd

SOURCE = Path(__file__).parent / "support" / "far_bindings.py"


def install(folder: Path, name: str, entry_points: str, source: str = "", module: str = "") -> None:
    """A distribution that is installed in ``folder``."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    if module:
        (folder / f"{module}.py").write_text(source)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed over there, and only there."""
    there = tmp_path_factory.mktemp("there")
    install(
        there / "site",
        "far-bindings",
        "".join(
            f"[lollms_client.{m}_bindings]\nfar = far_bindings:Far{m.upper()}Binding\n" for m in ("tts", "stt", "tti")
        ),
    )
    shutil.copy(SOURCE, there / "site")
    (there / "home").mkdir()
    return there


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host's files, which the other side does not have."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture
def here(hidden: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the host's, where it is."""
    here = Path(tempfile.mkdtemp(dir=hidden))
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def far(there: Path, hidden: Path) -> FarPlace:
    return FarPlace(there / "site", there / "home", hidden)


@pytest.fixture
def opened(far: FarPlace) -> Iterator[Callable[..., Any]]:
    """Makes bindings over there, which are closed at the end."""
    made: list[Any] = []
    managers = {"tts": LollmsTTSBindingManager, "stt": LollmsSTTBindingManager, "tti": LollmsTTIBindingManager}

    def make(modality: str = "tts", **kwargs: Any) -> Any:
        kwargs = {"place": far, "policy": WorkerPolicy(grace=0.5)} | kwargs
        made.append(managers[modality]().require_binding("far", **kwargs))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


@pytest.fixture(scope="module", params=["tcp", "ssh"])
def place(request: pytest.FixtureRequest, there: Path, hidden: Path) -> Iterator[Place]:
    """Each of two places that share no files."""
    if request.param == "tcp":
        yield FarPlace(there / "site", there / "home", hidden)
        return
    (there / "hide").mkdir()
    (there / "hide" / "sitecustomize.py").write_text(f"hidden = {str(hidden)!r}\n{HIDE}")
    paths = os.pathsep.join([str(there / "site"), str(there / "hide")])
    with sshd(there / "sshd", {"PYTHONPATH": paths}) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{server.bin}{os.pathsep}{os.environ['PATH']}")
        yield find_place(server.address)


@pytest.fixture(scope="module")
def bindings(place: Place) -> Iterator[dict[str, Any]]:
    """One of each, over there."""
    far = place
    made: dict[str, Any] = {
        "tts": LollmsTTSBindingManager().require_binding("far", place=far, policy=WorkerPolicy(grace=0.5)),
        "stt": LollmsSTTBindingManager().require_binding("far", place=far),
        "tti": LollmsTTIBindingManager().require_binding("far", place=far),
    }
    yield made
    for binding in made.values():
        binding.close()


@pytest.fixture
def tts(bindings: dict[str, Any]) -> Any:
    return bindings["tts"]


@pytest.fixture
def far_tts(opened: Callable[..., Any]) -> Any:
    return opened()


@pytest.fixture
def stt(bindings: dict[str, Any]) -> Any:
    return bindings["stt"]


@pytest.fixture
def tti(bindings: dict[str, Any]) -> Any:
    return bindings["tti"]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- a place that shares no files -----------------------------------------------------------------------------------


def test_a_recording_goes_over_to_be_kept_as_a_voice(tts: Any, here: Path) -> None:
    sound = Audio.from_pcm(bytes(range(200)), 8000)
    (here / "me.wav").write_bytes(sound)
    for recording in ("me.wav", here / "me.wav", sound, bytes(sound), Audio(path=here / "me.wav")):
        tts.add_voice("Me", recording, "Me, today")
        name, kind, content, consent = tts.told_to_keep()
        assert (name, content, consent) == ("Me", digest(sound), "Me, today")
        assert kind in ("bytes", "Audio"), "no path, which names another file there"
    with pytest.raises(UnsupportedError, match="keeps no voices"):
        tts.remove_voice("Me")
    assert [row["name"] for row in tts.describe_voices()] == tts.list_voices()


def test_a_binding_that_is_only_there_runs_there(opened: Callable[..., Any], far: FarPlace, there: Path) -> None:
    assert isinstance(far, Place)
    tts = opened(voice_name="b")
    assert isinstance(tts, LollmsTTSBinding)
    assert tts.environment == "far"
    made = tts.generate_audio("hi", seed=3)
    assert made == Audio.from_pcm("hi".encode("utf-16-le"), 8000)
    told = made.provenance
    assert (told.model, told.seed, told.distribution) == ("b", 3, "far-bindings")
    assert told.extra["folder"] == str(there / "home")
    assert [own for _, own in far.started] == [True]
    assert tts.set_settings({"voice_name": "c"})
    assert tts.generate_audio("hi").provenance.model == "c"
    chunks = list(tts.stream_audio("hi", count=100))
    assert [c.text for c in chunks] == [f"hi {n}" for n in range(100)]


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "bytearray", "file", "audio", "held", "large"])
def test_media_of_every_kind_goes_over_as_bytes(stt: Any, here: Path, kind: str) -> None:
    data = os.urandom(10_000_001 if kind == "large" else 1000)
    (here / "x.wav").write_bytes(data)
    given: Any = {
        "path": Path("x.wav"), "str": "x.wav", "bytes": data, "bytearray": bytearray(data), "large": here / "x.wav",
        "audio": Audio(data), "file": io.BytesIO(data), "held": Audio(path=here / "x.wav"),
    }[kind]  # fmt: skip
    assert stt.transcribe_audio(given) == f"bytes {digest(data)}"
    assert [s.text for s in stt.stream_transcript("x.wav")] == [f"bytes {digest(data)}"]


def test_media_in_options_and_lists_go_over_as_bytes(tts: Any, tti: Any, here: Path) -> None:
    (here / "s.wav").write_bytes(b"sound")
    for given in ("s.wav", here / "s.wav", b"sound", Audio(path=here / "s.wav")):
        assert tts.generate_audio("hi", sample=given).provenance.extra["sample"] == digest(b"sound")
        assert tts.generate_audio("hi", samples=[given, b"2"]).provenance.extra["samples"] == [
            digest(b"sound"), digest(b"2"),
        ]  # fmt: skip
    square = tti.generate_image("a square", width=4, height=4)
    (here / "a.png").write_bytes(square)
    as_text = base64.b64encode(square).decode()
    (edited,) = tti.edit_images(["a.png", square, as_text], prompt="more", mask="a.png")
    assert edited.provenance.extra["images"] == [digest(square)] * 4
    assert tti.edit_image("a.png", "more", mask=as_text).provenance.extra["images"] == [digest(square)] * 2


def test_a_file_that_is_missing_here_is_not_looked_for_there(tts: Any, stt: Any, tti: Any, there: Path) -> None:
    (there / "home" / "theirs.wav").write_bytes(b"a secret of that machine")
    for name in ("theirs.wav", str(there / "home" / ".." / "none.wav")):
        with pytest.raises(AudioFileNotFoundError, match="There is no audio file"):
            stt.transcribe_audio(name)
        with pytest.raises(OptionError, match=r"sample: There is no media file"):
            tts.generate_audio("hi", sample=name)
        with pytest.raises(OptionError, match=r"samples: There is no media file"):
            tts.generate_audio("hi", samples=[Path(name)])
        with pytest.raises(OptionError, match=r"mask: There is no media file"):
            tti.edit_images(b"\x89PNG", "more", mask=name)
    with pytest.raises(MediaError):
        tti.edit_images("theirs.wav", "more")


def test_a_setting_that_names_a_file_of_this_machine_alone_is_refused(
    tts: Any, opened: Callable[..., Any], here: Path, there: Path
) -> None:
    (here / "models").mkdir()
    said = r"models_path='.*models' is on the machine of the program, and not on the one where the binding runs"
    for path in (here / "models", str(here / "models"), Path("models"), "./models"):
        with pytest.raises(SettingsError, match=said):
            tts.set_settings({"models_path": path})
        with pytest.raises(SettingsError, match=said):
            tts.set_settings([{"name": "models_path", "value": str(here / "models")}])
    with pytest.raises(SettingsError, match=said):
        opened(models_path=here / "models")
    assert tts.settings.models_path is None
    for path in (there / "home", "/nowhere/yet", None):  # what is in both places, and what is in neither
        assert tts.set_settings({"models_path": path})


@pytest.mark.parametrize("name", ["hi.wav", "hi.flac"])
def test_the_host_writes_output_path(tts: Any, here: Path, name: str) -> None:
    result = tts.generate_audio("hi", output_path=name)
    assert result.path == here / name
    assert (len(result), result.format, result.sample_rate) == (0, name[3:], 8000)
    assert Audio((here / name).read_bytes()).format == name[3:]
    assert [p.name for p in here.iterdir()] == [name]
    assert (result.provenance.binding, result.provenance.options.get("output_format")) == ("far", None)
    with pytest.raises(OptionError, match="stands for"):
        tts.generate_audio("hi", output_path=name, output_format="mp3")


def test_no_file_is_left_of_a_call_that_fails(tts: Any, tti: Any, here: Path) -> None:
    with pytest.raises(OptionError, match="folder does not exist"):
        tts.generate_audio("hi", output_path="none/hi.wav")
    with pytest.raises(WorkerCrashedError, match="is gone: it ended"):
        tts.generate_audio("hi", do="exit", output_path="hi.wav")
    with pytest.raises(OptionError, match="2 results for one output_path"):
        tti.generate_images("x", output_path="x.png")
    assert not list(here.iterdir())
    assert tti.generate_images("x", n=1, output_path="x.png")[0].path == here / "x.png"


def test_a_result_that_the_worker_holds_in_a_file_comes_as_bytes(tts: Any, here: Path) -> None:
    made = tts.generate_audio("hi", do="held")
    assert (made, made.path, made.sample_rate) == (Audio.from_pcm(b"\0\0", 8000), None, 8000)
    kept = tts.generate_audio("hi", do="held", output_path="hi.wav")
    assert kept.path == here / "hi.wav"
    (here / "s.wav").write_bytes(b"sound")
    assert tts.heard(Audio(path=here / "s.wav")) == digest(b"sound"), "of a method that is no verb, too"


def test_plug_ins_see_what_the_caller_gave(tts: Any, here: Path) -> None:
    seen = []

    class Plugin:
        @hookimpl
        def lollms_answer_call(self, call: Any, arguments: Any) -> None:
            seen.append(dict(arguments))

    plugin, path = Plugin(), here / "hi.flac"
    hooks.register(plugin)
    try:
        tts.generate_audio("hi", output_path="hi.flac")
        tts.generate_audio("hi", output_path="hi.flac", output_format="flac")
    finally:
        hooks.unregister(plugin)
    assert seen == [
        {"text": "hi", "output_path": path}, {"text": "hi", "output_path": path, "output_format": "flac"},
    ]  # fmt: skip


def test_cancelling_and_dropping_a_stream_stop_the_engine(tts: Any) -> None:
    token, deaf = CancelToken(), CancelToken()
    with pytest.raises(CallCancelled):
        tts.generate_audio("hi", do="wait", cancel=token, progress=lambda p: token.cancel())
    stream = tts.stream_audio("hi", count=1_000_000)
    next(stream)
    stream.close()
    assert tts.generate_audio("hi").provenance.extra["pid"] == tts.generate_audio("hi").provenance.extra["pid"]
    with pytest.raises(CallCancelled):  # one that does not listen is killed
        tts.generate_audio("hi", do="deaf", cancel=deaf, progress=lambda p: deaf.cancel())


def test_a_worker_that_dies_there_is_told_and_replaced(far_tts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tts = far_tts
    with pytest.raises(WorkerCrashedError, match=r"\(far\) is gone: it ended far away with 3") as caught:
        tts.generate_audio("hi", do="exit")
    error: Any = caught.value
    assert (error.exit_code, error.last_lines) == (3, ["the engine says goodbye"])

    def start(self: Any, spec: Spec, *, own: bool) -> Any:
        raise ConnectionRefusedError("nobody is there")

    with monkeypatch.context() as patched:
        patched.setattr(FarPlace, "start", start)
        for _ in range(4):  # which are no losses of workers: the next start need not wait
            with pytest.raises(WorkerCrashedError, match=r"\(far\) could not be started: nobody is there"):
                tts.generate_audio("hi")
    assert tts.generate_audio("hi")


def test_what_the_place_is_told(opened: Callable[..., Any], far: FarPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", "sesame-7")
    tts = opened(environment="gpu-7", policy=WorkerPolicy(variables={"COLOUR": "red"}))
    assert [(s.environment, own, s.where) for s, own in far.started] == [("gpu-7", False, "gpu-7 at far")]
    told = tts.generate_audio("hi").provenance.extra
    assert told["variables"] == {"COLOUR": "red", "FAR_KEY": "sesame-7"}, "what the binding declares reaches it"


def test_a_binding_that_is_only_here_is_not_there(far: FarPlace, tmp_path: Path) -> None:
    install(tmp_path, "only-here", "[lollms_client.tts_bindings]\nhere = far_bindings:FarTTSBinding\n")
    manager = LollmsTTSBindingManager(tmp_path)
    assert manager.find("here").origin == "directory"
    with pytest.warns(BindingUnavailableWarning, match="No tts binding 'here' is installed"):
        assert manager.create_binding("here", place=far) is None


def test_closing_while_a_place_starts_one_leaves_nothing(opened: Callable[..., Any], far: FarPlace) -> None:
    tts, failures = opened(), []

    def speak() -> None:
        try:
            tts.generate_audio("hi")
        except LollmsError as exc:
            failures.append(exc)

    with pytest.raises(WorkerCrashedError):
        tts.generate_audio("hi", do="exit")
    far.hold.clear()
    speaking, closing = threading.Thread(target=speak), threading.Thread(target=tts.close)
    speaking.start()
    try:
        wait_until(lambda: len(far.started) == 2)
        closing.start()
        wait_until(lambda: tts._closed)
    finally:
        far.hold.set()
    closing.join(30)
    speaking.join(30)
    assert len(failures) == 1
    wait_until(lambda: [worker.exit_code for worker in far.workers] == [3, -9])


def test_starting_one_holds_up_no_other_call(opened: Callable[..., Any], far: FarPlace) -> None:
    tts = opened(policy=WorkerPolicy(grace=0.5, pool=2))
    stream = tts.stream_audio("hi", count=3)
    next(stream)
    far.hold.clear()
    second: list[Any] = []
    thread = threading.Thread(target=lambda: second.append(tts.generate_audio("ho")))
    thread.start()
    try:
        wait_until(lambda: len(far.started) == 2)
        assert len(list(stream)) == 2
        assert tts.generate_audio("hi"), "by the first, while the second is being started"
        assert tts.list_voices() == ["a"]
        assert not second
    finally:
        far.hold.set()
        thread.join(30)
    assert second


def test_one_that_is_not_wanted_any_more_ends_when_it_has_begun(tts: Any) -> None:
    worker = Worker(tts._workers.spec)
    assert worker.alive
    worker.kill("nobody wants it", 0.0)
    # A place that takes its time is stopped before it has begun.
    with suppress(WorkerCrashedError):
        worker.begin(own=True)
    if not worker.begun:
        with pytest.raises(WorkerCrashedError, match="is gone: nobody wants it"):
            worker.begin(own=True)
        return
    wait_until(lambda: not worker.alive)
    worker.process.wait(30)
    assert worker.process.killed_because == "nobody wants it"
    assert worker.process.exit_code in (-9, None), "over ssh it is not known"


def wait_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.005)


def test_a_connection_over_a_network_is_set_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        server.accept()[0].close()
        set_up_tcp(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: data that nobody acknowledges, of which keepalive says nothing
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4000
            quiet, between, times = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert quiet + between * (times - 1) <= 5
    one, other = socket.socketpair()
    with one, other:
        set_up_tcp(one)


# --- awaited --------------------------------------------------------------------------------------------------------


def test_awaiting_one_holds_up_no_loop(there: Path, far: FarPlace) -> None:
    async def main() -> tuple[Any, int, Any]:
        far.hold.clear()
        manager, ticks = LollmsTTSBindingManager(), 0
        making = asyncio.ensure_future(manager.acreate_binding("far", place=far, voice_name="b"))
        while not far.started or ticks < 10:
            await asyncio.sleep(0.001)
            ticks += 1
        far.hold.set()
        tts = await making
        assert tts is not None
        try:
            return await tts.agenerate_audio("hi"), ticks, tts
        finally:
            tts.close()

    made, ticks, tts = asyncio.run(main())
    assert made.provenance.model == "b"
    assert ticks >= 10
    assert isinstance(tts, LollmsTTSBinding)


def test_what_awaiting_cannot_get_is_told_as_by_waiting(far: FarPlace) -> None:
    async def main() -> None:
        with pytest.warns(BindingUnavailableWarning, match="No tts binding 'nobodys'") as told:
            assert await LollmsTTSBindingManager().acreate_binding("nobodys", place=far) is None
        assert told[0].filename == __file__
        with pytest.raises(BindingNotFoundError):
            await LollmsTTSBindingManager().arequire_binding("nobodys")
        with pytest.raises(SettingsError, match="unknown"):
            await LollmsTTSBindingManager().acreate_binding("far", place=far, unknown=1)

    asyncio.run(main())


@pytest.mark.parametrize("when", ["starting", "finding", "making", "made"])
def test_a_task_that_is_cancelled_leaves_no_worker(far: FarPlace, when: str) -> None:
    async def main() -> None:
        if when == "starting":
            far.hold.clear()
        slow = {"finding": {"FAR_SLOW": "import"}, "making": {"FAR_SLOW": "make"}}.get(when, {})
        policy = WorkerPolicy(variables=slow)
        making = asyncio.ensure_future(LollmsTTSBindingManager().acreate_binding("far", place=far, policy=policy))
        begun = (lambda: far.started) if when == "starting" else (lambda: far.workers)
        while not begun() or (slow and not any("slowly" in line for w in far.workers for line in w.last_lines())):
            await asyncio.sleep(0.005)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        far.hold.set()

    asyncio.run(main())
    wait_until(lambda: far.workers and all(worker.exit_code is not None for worker in far.workers))


# --- places by name -------------------------------------------------------------------------------------------------

PLACES = """
from lollms_modalities import ProcessPlace

class Counted(ProcessPlace):
    name = "counted"
    made = 0

    def __init__(self):
        type(self).made += 1

class Addressed(ProcessPlace):
    def __init__(self, address):
        self.name = address

class Optioned(ProcessPlace):
    def __init__(self, address="none", *, num_gpus=0.0):
        self.name = address
        self.num_gpus = num_gpus

def breaks(address):
    raise RuntimeError("no way to " + address)

def fails():
    raise RuntimeError("no room")

ready = Counted()
nothing = object()
"""


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that offers places, good and bad."""
    entries = {
        "counted": "some_places:Counted", "ready": "some_places:ready", "fails": "some_places:fails",
        "nothing": "some_places:nothing", "missing": "no_such_module:Place", "lost": "some_places:gone",
        "process": "some_places:nothing", "addressed": "some_places:Addressed", "breaks": "some_places:breaks",
        "optioned": "some_places:Optioned",
    }  # fmt: skip
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    install(tmp_path / "site", "some-places", f"[lollms_client.places]\n{lines}", PLACES, "some_places")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "some_places", raising=False)
    monkeypatch.setattr(finding_places, "_loaded", {})
    return tmp_path / "site"


def test_places_are_listed_without_importing_any(offered: Path) -> None:
    assert {"process", "counted", "missing"} <= {*place_names()}
    assert "some_places" not in sys.modules


def test_a_place_is_found_by_its_name_and_made_once(offered: Path) -> None:
    assert find_place(None) is PROCESS is find_place("process")
    found: Any = find_place("counted")
    assert found is find_place("counted")
    assert type(found).made == 2, "by find_place, and by the module itself"
    assert find_place("ready") is sys.modules["some_places"].ready
    mine = ProcessPlace()
    assert find_place(mine) is mine


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [("nowhere", SettingsError, r"No distribution offers a place 'nowhere'.*There are: .*counted.*process"),
     ("missing", BindingDependencyError, r"'missing' of some-places cannot be imported: .*no_such_module"),
     ("lost", BindingDependencyError, r"cannot be imported: .*gone"),
     ("fails", BindingBrokenError, r"'fails' of some-places cannot be made: RuntimeError: no room"),
     ("nothing", BindingBrokenError, r"is no place"), ("gone://x", SettingsError, r"addresses gone://.*There are: "),
     (ProcessPlace, SettingsError, r"is no place"), (3, SettingsError, r"is no place")],
)  # fmt: skip
def test_what_is_no_place_is_told(offered: Path, name: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=r"(?s)" + said):
        LollmsTTSBindingManager().require_binding("far", place=name)


def test_an_address_reaches_the_place_that_its_scheme_names(offered: Path) -> None:
    one, other = find_place("addressed://me@one:7/x?y"), find_place("addressed://other")
    assert (one.name, other.name) == ("addressed://me@one:7/x?y", "addressed://other")
    assert one is find_place("addressed://me@one:7/x?y")
    assert find_place("ADDRESSED://one").name == "ADDRESSED://one"
    with pytest.raises(SettingsError, match=r"'addressed' needs an address.*addressed://host"):
        find_place("addressed")
    for name in ("counted", "ready"):
        with pytest.raises(SettingsError, match=f"'{name}' takes no address"):
            find_place(f"{name}://x")
    with pytest.raises(BindingBrokenError, match=r"no way to breaks://\.\.\.") as caught:
        find_place("breaks://me:sesame@x")
    assert "sesame" not in str(caught.value)


def test_a_place_has_options_of_its_own(offered: Path) -> None:
    one: Any = find_place({"kind": "optioned", "num_gpus": 0.5})
    assert (one.name, one.num_gpus) == ("none", 0.5)
    assert find_place({"num_gpus": 0.5, "kind": "optioned"}) is one
    assert find_place({"kind": "optioned", "num_gpus": 1}) is not one
    assert find_place({"kind": "optioned"}) is find_place("optioned")
    far: Any = find_place({"kind": "optioned://x", "num_gpus": 2})
    assert (far.name, far.num_gpus) == ("optioned://x", 2)
    assert find_place({"kind": "optioned", "address": "x"}).name == "x"
    assert find_place({"kind": "process"}) is PROCESS


@pytest.mark.parametrize(
    ("place", "said"),
    [({"kind": "optioned", "num_gpu": 1}, r"'optioned' has no option 'num_gpu'.*address, num_gpus"),
     ({"kind": "optioned://x", "address": "y"}, r"has no option 'address'.*It has: num_gpus"),
     ({"kind": "ready", "num_gpus": 1}, r"has no option 'num_gpus'.*It has none"),
     ({"kind": "process", "num_gpus": 1}, r"'process' has no option"), ({"num_gpus": 1}, r"needs its kind; given: num_gpus"),
     ({}, r"needs its kind; given: nothing"), ({"kind": 3}, r"needs its kind"), ({"kind": "nowhere"}, r"No distribution")],
)  # fmt: skip
def test_what_is_no_option_of_a_place_is_told(offered: Path, place: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=r"(?s)" + said):
        LollmsTTSBindingManager().require_binding("far", place=place)


def test_two_claims_of_one_name_are_told(offered: Path) -> None:
    install(offered, "another", "[lollms_client.places]\nready = other_places:none\n")
    with (
        pytest.warns(DuplicateBindingWarning, match=r"'ready' is claimed by another and some-places"),
        pytest.raises(BindingDependencyError, match="other_places"),
    ):
        find_place("ready")


def test_a_place_that_shares_files_works_like_a_process(there: Path, here: Path) -> None:
    class Nice(ProcessPlace):
        name = "nice"

        def start(self, spec: Spec, *, own: bool) -> Any:
            running = super().start(spec, own=own)
            os.setpriority(os.PRIO_PROCESS, running.pid, 5)
            return running

    with LollmsTTSBindingManager(there / "site").require_binding("far", place=Nice()) as tts:
        assert tts.environment == "nice"
        made = tts.generate_audio("hi", output_path="hi.wav")
        assert os.getpriority(os.PRIO_PROCESS, made.provenance.extra["pid"]) == 5
        with pytest.raises(WorkerCrashedError, match=r"\(nice\) is gone"):
            tts.generate_audio("hi", do="exit")
