"""The hook for encoded media: when it is called, with what, and what becomes of what plug-ins give or refuse."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    Image,
    LollmsError,
    LollmsTTIBinding,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    OptionError,
    PluginRefused,
    Provenance,
    StreamHead,
    current_call,
    hookimpl,
    hooks,
    verb,
)
from lollms_modalities.hooks.settings import made, settings_of, switched_off
from PIL import Image as Pillow

TAIL = b"told"  # players of WAV take no notice of what follows the sound


class Speaks(LollmsTTSBinding):
    """Says the same each time."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if text == "long":
            return Audio.from_chunks(self.stream_audio(text))
        return Audio.from_pcm(b"\1\0" * 8000, 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for _ in range(3):
            yield AudioChunk(b"\1\0" * 4000, 8000, text=text)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Draws(LollmsTTIBinding):
    """Gives what a service gave: JPEG."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        image = Image.from_pil(Pillow.new("RGB", (16, 16), "red"), "jpeg")
        call = current_call()
        return image if call.output_format is not None or call.original else image.convert("png")

    @verb("Image", content="images")
    def edit_images(self, images: Any, prompt: str = "", **kwargs: Any) -> Image:
        first = images[0]
        return Image(first.read_bytes() if isinstance(first, Path) else first)

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


class Marks:
    """Puts a few bytes behind what is encoded."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    @hookimpl
    def lollms_result_encoded(self, binding: Any, call: Any, media: Any, sources: Any, target: Any) -> Any:
        self.seen.append(
            {
                "verb": call and call.verb, "media": type(media).__name__, "format": media.format, "sources": sources,
                "target": target, "there": target is not None and target.exists(),
            }
        )  # fmt: skip
        if isinstance(media, StreamHead):
            return b"HEAD" + media
        if not len(media):
            with media.path.open("ab") as file:
                file.write(TAIL)
            return None
        return None if media.endswith(TAIL) else bytes(media) + TAIL


@contextmanager
def registered(*plugins: object) -> Iterator[None]:
    for plugin in plugins:
        hooks.register(plugin)
    try:
        yield
    finally:
        for plugin in plugins:
            hooks.unregister(plugin)


@pytest.fixture
def marks() -> Iterator[Marks]:
    plugin = Marks()
    with registered(plugin):
        yield plugin


def test_it_comes_after_encoding_and_before_the_file_is_there(marks: Marks, tmp_path: Path) -> None:
    speech = Speaks()
    for name in ("a.wav", "a.mp3", "a.flac"):
        made = speech.generate_audio("hi", output_path=tmp_path / name)
        assert (tmp_path / name).read_bytes().endswith(TAIL)
        assert (made.path, len(made), made.format) == (tmp_path / name, 0, name[2:])
    long = speech.generate_audio("long", output_path=tmp_path / "long.flac")
    assert (tmp_path / "long.flac").read_bytes().endswith(TAIL)
    assert long.provenance is not None
    assert speech.generate_audio("hi").endswith(TAIL)
    assert speech.generate_audio("hi", output_format="flac").endswith(TAIL)
    told = [(each["format"], each["there"]) for each in marks.seen]
    assert told == [(name, False) for name in ("wav", "mp3", "flac", "flac", "wav", "flac")]
    assert {each["verb"] for each in marks.seen} == {"generate_audio"}
    assert [each["target"] for each in marks.seen[:2]] == [tmp_path / "a.wav", tmp_path / "a.mp3"]
    assert list(tmp_path.glob(".lollms*")) == []


def test_the_instance_is_free_meanwhile(tmp_path: Path) -> None:
    speech = Speaks()
    others: list[Any] = []

    class Asks:
        @hookimpl
        def lollms_result_encoded(self, call: Any) -> None:
            if len(others) < 1:
                others.append(None)
                thread = threading.Thread(target=lambda: others.append(speech.generate_audio("other")))
                thread.start()
                thread.join(20)
                assert not thread.is_alive(), "the instance was held"

    with registered(Asks()):
        speech.generate_audio("hi")
    assert len(others) == 2


def test_it_is_called_once_a_call_and_outside_of_calls_for_save_convert_and_from_chunks(
    marks: Marks, tmp_path: Path
) -> None:
    speech = Speaks()
    made = speech.generate_audio("hi", output_format="flac")
    assert len(marks.seen) == 1
    made.save(tmp_path / "b.flac")
    assert (tmp_path / "b.flac").read_bytes() == made, "what is marked is not marked again"
    made.save(tmp_path / "b.wav")
    assert (tmp_path / "b.wav").read_bytes().endswith(TAIL)
    other = made.convert("ogg")
    assert other.endswith(TAIL)
    assert other.provenance == made.provenance
    whole = Audio.from_chunks(speech.stream_audio("hi"))
    assert whole.endswith(TAIL)
    assert whole.duration == 1.5
    held = Audio(path=tmp_path / "b.wav")
    held.save(tmp_path / "c.wav")
    assert (tmp_path / "c.wav").read_bytes() == (tmp_path / "b.wav").read_bytes() + TAIL
    assert [each["verb"] for each in marks.seen[1:]] == [None] * 5
    assert marks.seen[2]["sources"] == (made,)
    assert marks.seen[2]["target"] == tmp_path / "b.wav"


def test_a_large_result_is_changed_in_its_file_and_not_copied(tmp_path: Path) -> None:
    large = Audio.from_pcm(bytes(9 << 20), 48000)
    seen: list[tuple[int, Path | None]] = []

    class Appends(Marks):
        @hookimpl
        def lollms_result_encoded(self, media: Any) -> Any:  # type: ignore[override]
            seen.append((len(media), media.path))
            with media.path.open("ab") as file:
                file.write(TAIL)

    class Gives(Speaks):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return large

    with registered(Appends()):
        made = Gives().generate_audio("hi", output_path=tmp_path / "a.wav")
        large.save(tmp_path / "b.wav")
    assert [(size, path and path.parent == tmp_path) for size, path in seen] == [(0, True)] * 2
    assert (len(made), made.duration) == (0, large.duration)
    for name in ("a.wav", "b.wav"):
        assert (tmp_path / name).read_bytes() == large + TAIL
    with registered(Refuses("result_encoded")), pytest.raises(PluginRefused) as caught:
        large.save(tmp_path / "c.wav")
    assert caught.value.result == large
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]


def test_a_fifo_gets_what_is_marked(marks: Marks, tmp_path: Path) -> None:
    import os

    fifo = tmp_path / "x.wav"
    for ask in ("long", "hi"):
        os.mkfifo(fifo)
        got: list[bytes] = []
        reader = threading.Thread(target=lambda got=got: got.append(fifo.read_bytes()))  # type: ignore[misc]
        reader.start()
        Speaks().generate_audio(ask, output_path=fifo)
        reader.join(20)
        assert got[0].endswith(TAIL)
        assert got[0].startswith(b"RIFF")
        fifo.unlink()


def test_what_a_plug_in_answers_and_what_it_puts_in_the_place_of_a_result(marks: Marks, tmp_path: Path) -> None:
    mine = Audio.from_pcm(b"\2\0" * 800, 8000)

    class Answers:
        @hookimpl
        def lollms_answer_call(self, call: Any, arguments: Any) -> Any:
            return mine if arguments["text"] == "known" else None

        @hookimpl
        def lollms_after_call(self, call: Any, result: Any) -> Any:
            return bytes(mine) if call.verb == "generate_audio" and not call.answered_by else None

    with registered(Answers()):
        assert Speaks().generate_audio("known") == mine + TAIL
        Speaks().generate_audio("known", output_path=tmp_path / "a.wav")
        assert (tmp_path / "a.wav").read_bytes() == mine + TAIL
        assert Speaks().generate_audio("other") == mine + TAIL


def test_the_head_of_an_encoded_stream(marks: Marks) -> None:
    for output_format in ("wav", "mp3", "ogg", "opus", "flac", "aac"):
        parts = list(Speaks().stream_encoded("hi", output_format=output_format))
        assert b"".join(parts).startswith(b"HEAD")
        assert marks.seen.pop() == {
            "verb": "stream_audio", "media": "StreamHead", "format": output_format,
            "sources": (),
            "target": None,
            "there": False,
        }  # fmt: skip
    assert not b"".join(Speaks().stream_encoded("hi", output_format="pcm")).startswith(b"HEAD")


def test_results_are_chained() -> None:
    class Adds:
        def __init__(self, tail: bytes) -> None:
            self.tail = tail

        @hookimpl
        def lollms_result_encoded(self, media: Any) -> Any:
            return bytes(media) + self.tail

        @hookimpl
        def lollms_after_call(self, result: Any) -> Any:
            return None if result is None else bytes(result) + self.tail

        @hookimpl
        def lollms_stream_chunk(self, chunk: Any) -> Any:
            return AudioChunk(chunk.pcm, chunk.sample_rate, text=chunk.text + self.tail.decode())

    class Nonsense:
        @hookimpl
        def lollms_result_encoded(self) -> Any:
            return 5

        @hookimpl
        def lollms_stream_chunk(self) -> Any:
            return b"no chunk"

    with registered(Adds(b"1"), Nonsense(), Adds(b"2")):
        assert Speaks().generate_audio("hi").endswith(b"2121" + b"21")
        assert [chunk.text for chunk in Speaks().stream_audio("hi")] == ["hi21"] * 3


def test_a_wrapper_sees_what_was_chained() -> None:
    seen: list[Any] = []

    class Around:
        @hookimpl(wrapper=True)
        def lollms_result_encoded(self) -> Any:
            given = yield
            seen.extend(given)
            return [given[-1] + b"w"]

    class Adds:
        @hookimpl
        def lollms_result_encoded(self, media: Any) -> Any:
            return bytes(media) + b"1"

    with registered(Adds(), Around()):
        assert Speaks().generate_audio("hi").endswith(b"1w")
    assert isinstance(seen[0], Audio)


class Refuses:
    """Raises where it is told to."""

    def __init__(self, *hooks_: str, after: int = 0) -> None:
        self.hooks = hooks_
        self.after = after

    def _refuse(self, hook: str) -> None:
        if hook in self.hooks:
            if not self.after:
                raise PluginRefused("not this")
            self.after -= 1

    @hookimpl
    def lollms_before_call(self) -> None:
        self._refuse("before_call")

    @hookimpl
    def lollms_answer_call(self) -> None:
        self._refuse("answer_call")

    @hookimpl
    def lollms_stream_chunk(self) -> None:
        self._refuse("stream_chunk")

    @hookimpl
    def lollms_after_call(self) -> None:
        self._refuse("after_call")

    @hookimpl
    def lollms_result_encoded(self) -> None:
        self._refuse("result_encoded")

    @hookimpl
    def lollms_call_failed(self) -> None:
        self._refuse("call_failed")


@pytest.mark.parametrize("hook", ["before_call", "answer_call", "after_call", "result_encoded"])
def test_a_plug_in_may_refuse(hook: str, tmp_path: Path) -> None:
    speech = Speaks()
    for arguments in ({}, {"output_path": tmp_path / "a.wav"}, {"output_path": tmp_path / "a.mp3"}):
        with registered(Refuses(hook)), pytest.raises(PluginRefused, match="not this") as caught:
            speech.generate_audio("long", **arguments)
        made = hook in ("after_call", "result_encoded")
        assert (caught.value.result is not None) == made
        if made and not (hook == "after_call" and arguments):
            assert Audio(caught.value.result).duration == pytest.approx(1.5, abs=0.1)
        assert list(tmp_path.iterdir()) == (
            [tmp_path / arguments["output_path"].name] if hook == "after_call" and arguments else []
        )
        for path in tmp_path.iterdir():
            path.unlink()
    assert speech.generate_audio("hi").duration == 1, "the instance is free"


def test_what_refuses_an_end_does_not(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Speaks):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            raise ValueError("engine")

    with registered(Refuses("call_failed")), pytest.raises(LollmsError, match="engine"):
        Fails().generate_audio("hi")
    assert "failed in lollms_call_failed" in caplog.text


def test_a_stream_is_refused_and_says_what_went_out() -> None:
    with registered(Refuses("stream_chunk", after=2)), pytest.raises(PluginRefused) as caught:
        list(Speaks().stream_audio("hi"))
    assert caught.value.sent == 2
    with registered(Refuses("stream_chunk", after=2)), pytest.raises(PluginRefused) as caught:
        list(Speaks().stream_encoded("hi", output_format="pcm"))
    assert caught.value.sent == 16000
    with registered(Refuses("after_call")), pytest.raises(PluginRefused) as caught:
        list(Speaks().stream_audio("hi"))
    assert caught.value.sent == 3
    with registered(Refuses("result_encoded")), pytest.raises(PluginRefused) as caught:
        list(Speaks().stream_encoded("hi", output_format="mp3"))
    assert caught.value.sent == 0
    speech = Speaks()
    with registered(Refuses("after_call")), speech.stream_audio("hi") as stream:
        next(stream)
    assert speech.generate_audio("hi"), "closed early it raises nothing, and the instance is free"


def test_a_hook_that_is_required_lets_nothing_pass_when_it_fails(tmp_path: Path) -> None:
    class Required:
        required_hooks = ("lollms_result_encoded",)
        seconds = 0.0

        @hookimpl
        def lollms_result_encoded(self) -> None:
            if not self.seconds:
                raise ValueError("broken")
            threading.Event().wait(self.seconds)

    plugin = Required()
    with registered(plugin):
        with pytest.raises(PluginRefused, match="ValueError: broken") as caught:
            Speaks().generate_audio("hi", output_path=tmp_path / "a.wav")
        assert caught.value.result.duration == 1
        assert list(tmp_path.iterdir()) == []
        plugin.seconds = 1
        hooks.limit(0.1)
        try:
            with pytest.raises(PluginRefused, match="longer than"):
                Speaks().generate_audio("hi")
        finally:
            hooks.limit(None)


def test_the_error_copies_and_pickles_with_the_result() -> None:
    error = PluginRefused("no", plugin="marks", result=Audio.from_pcm(b"\0\0", 8000), sent=3)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (again.plugin, again.result, again.sent) == ("marks", error.result, 3)
    told = LollmsError.from_json(error.to_json())
    assert isinstance(told, PluginRefused)
    assert (told.plugin, told.sent) == ("marks", 3)


def test_sources_are_what_a_verb_was_given_and_what_was_converted(marks: Marks, tmp_path: Path) -> None:
    draws = Draws()
    given = Image.from_pil(Pillow.new("RGB", (16, 16), "blue"))
    (tmp_path / "given.png").write_bytes(given)
    draws.edit_images([given], "redder")
    draws.edit_images([tmp_path / "given.png"], "redder")
    assert [each["sources"] for each in marks.seen] == [(given,), (tmp_path / "given.png",)]
    draws.generate_image("x")
    (source,) = marks.seen[-1]["sources"]
    assert Image(source).format == "jpeg", "what the service gave, and the binding converted"
    draws.generate_image("x", output_format="webp")
    (source,) = marks.seen[-1]["sources"]
    assert Image(source).format == "jpeg"


def test_the_original_and_its_own_format_pass_untouched() -> None:
    draws = Draws()
    given = Image.from_pil(Pillow.new("RGB", (16, 16), "red"), "jpeg")
    assert draws.generate_image("x", output_format="original") == given
    assert draws.generate_image("x", output_format="jpeg") == given
    assert draws.generate_image("x").format == "png"
    assert draws.generate_image("x", output_format="webp").format == "webp"
    with pytest.raises(OptionError, match="original"):
        draws.generate_image("x", output_format="original", output_path="x.png")
    assert Speaks().generate_audio("x", output_format="original").format == "wav"


def test_isolated_results_too(marks: Marks, tmp_path: Path) -> None:
    with LollmsTTSBindingManager().require_binding("example", isolated=True) as tone:
        whole = tone.generate_audio("hi")
        assert whole.endswith(TAIL)
        tone.generate_audio("hi", output_path=tmp_path / "a.flac")
        assert (tmp_path / "a.flac").read_bytes().endswith(TAIL)
        assert b"".join(tone.stream_encoded("hi", output_format="mp3")).startswith(b"HEAD")
    assert [each["there"] for each in marks.seen] == [False] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]


def test_a_plug_in_has_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[plugins.my-plug]\nproducer = "me"\nlevel = 3\ntimeout = 2\n[plugins.off]\nenabled = false\n')
    monkeypatch.setenv("LOLLMS_CONFIG", str(config))
    monkeypatch.setenv("LOLLMS_PLUGINS_MY_PLUG_LEVEL", "4")

    class Takes:
        def __init__(self, settings: Any) -> None:
            self.settings = settings

    assert made(Takes, "my-plug").settings == {"producer": "me", "level": "4"}
    assert made(list, "off") == []
    assert settings_of("none") == {}
    assert (switched_off("off"), switched_off("my-plug")) == (True, False)
    monkeypatch.setenv("LOLLMS_PLUGINS_MY_PLUG_ENABLED", "no")
    assert switched_off("my-plug")
    config.write_text("nonsense")
    assert not switched_off("off"), "what cannot be read switches nothing off"


def test_without_the_hook_nothing_changes(tmp_path: Path) -> None:
    class Observes:
        @hookimpl
        def lollms_before_call(self) -> None: ...

    plain = Speaks().generate_audio("hi")
    with registered(Observes()):
        made = Speaks().generate_audio("hi", output_path=tmp_path / "x.wav")
        assert (tmp_path / "x.wav").read_bytes() == plain
    assert isinstance(made.provenance, Provenance)
