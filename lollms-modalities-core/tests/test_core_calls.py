"""What happens around a verb: arguments, context, locks, progress, stopping, errors, results."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallCancelled,
    CallOptions,
    CallTimeout,
    CancelToken,
    GenerationError,
    Image,
    LollmsTTIBinding,
    LollmsTTSBinding,
    OptionError,
    Progress,
    Seed,
    SettingsError,
    Speed,
    current_call,
    report_progress,
    setting,
    verb,
)
from lollms_modalities.calls.call import CURRENT
from pydantic import SecretStr

Spawn = Callable[[Callable[[], Any]], Any]


class Tone(LollmsTTSBinding):
    """Gives silence."""

    class Settings(BindingSettings):
        default_voice: str | None = setting(None, description="Voice.")
        default_pitch: float | None = setting(None, description="Pitch.")
        api_key: SecretStr = setting(SecretStr(""), description="Key.")

    class Options(CallOptions):
        speed: Speed = 1.0
        pitch: float = 2.0
        seed: Seed = None

    settings: Settings

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        self.seen = {"text": text, "voice": voice, **kwargs}
        self.defaulted = current_call().defaulted
        return Audio.from_pcm(b"\0\0" * 80, 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["a", "b"]


# --- arguments ------------------------------------------------------------------------------------------------------


def test_options_reach_the_engine_with_defaults_filled_in() -> None:
    tone = Tone()
    tone.generate_audio("hi", "a", speed="2")
    assert tone.seen["voice"] == "a"
    assert tone.seen["speed"] == 2.0
    assert tone.seen["pitch"] == 2.0


@pytest.mark.parametrize("left_out", [{}, {"voice": None, "pitch": None}])
def test_what_the_caller_left_out_takes_the_default_setting(left_out: dict[str, Any]) -> None:
    tone = Tone(default_voice="b", default_pitch=5)
    tone.generate_audio("hi", **left_out)
    assert (tone.seen["voice"], tone.seen["pitch"]) == ("b", 5.0)
    assert tone.defaulted == ("voice", "pitch")
    tone.generate_audio("hi", voice="a", pitch=1)
    assert (tone.seen["voice"], tone.seen["pitch"]) == ("a", 1.0)
    assert tone.defaulted == ()
    tone.generate_audio("hi", voice="b")  # named, though it is the default
    assert tone.defaulted == ("pitch",)


def test_an_unknown_option_names_the_near_miss() -> None:
    with pytest.raises(OptionError, match="Did you mean 'speed'"):
        Tone().generate_audio("hi", sped=1)
    with pytest.raises(OptionError, match="Did you mean 'timeout'"):
        Tone().generate_audio("hi", timeot=1)


@pytest.mark.parametrize(
    "wrong", [{"speed": "fast"}, {"speed": 0}, {"speed": float("nan")}, {"seed": -2}, {"seed": "x"}]
)
def test_a_wrong_option_says_which_and_what_was_found(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(OptionError, match=name) as caught:
        Tone().generate_audio("hi", **wrong)
    assert caught.value.names == [name]  # type: ignore[attr-defined]


def test_arguments_that_python_would_refuse_are_refused_in_the_same_way() -> None:
    tone = Tone()
    call: Any = tone.generate_audio
    with pytest.raises(TypeError, match="missing"):
        call()
    with pytest.raises(TypeError, match="multiple values"):
        call("hi", text="ho")
    with pytest.raises(TypeError, match="positional"):
        call("hi", "a", 3)


@pytest.mark.parametrize("nothing", ["", "  \n", "...!?", "\u2026"])
def test_text_with_nothing_to_say_is_refused(nothing: str) -> None:
    with pytest.raises(OptionError, match="nothing to say"):
        Tone().generate_audio(nothing)


def test_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(OptionError, match="not a string"):
        Tone().generate_audio(5)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="surrogate"):
        Tone().generate_audio("a\ud800")


class Seeded(Tone):
    class Settings(BindingSettings):
        seed: Seed = setting(None, description="Seed.")


def test_a_setting_of_an_option_s_name_is_its_default() -> None:
    tone = Seeded(seed=11)
    tone.generate_audio("hi")
    assert tone.seen["seed"] == 11
    tone.generate_audio("hi", seed=12)
    assert tone.seen["seed"] == 12
    tone.set_settings({"seed": -1})
    tone.generate_audio("hi")
    assert tone.settings.seed is None
    assert tone.seen["seed"] not in (None, -1)
    with pytest.raises(SettingsError, match="seed"):
        Seeded(seed=-2)


@pytest.mark.parametrize("given", [{}, {"seed": None}, {"seed": -1}])
def test_a_seed_that_is_not_given_is_drawn_and_recorded(given: dict[str, Any]) -> None:
    tone = Tone()
    seeds = set()
    for _ in range(5):
        audio = tone.generate_audio("hi", **given)
        assert audio.provenance is not None
        assert audio.provenance.seed == tone.seen["seed"]
        seeds.add(tone.seen["seed"])
    assert len(seeds) == 5
    audio = tone.generate_audio("hi", seed=7)
    assert audio.provenance is not None
    assert audio.provenance.seed == 7


# --- which function runs --------------------------------------------------------------------------------------------


class Louder(Tone):
    calls = 0

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        assert current_call().binding is self
        type(self).calls += 1
        return super().generate_audio(text + "!", voice, **kwargs)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        yield from super().stream_audio(text, voice, **kwargs)


def test_super_in_a_verb_runs_raw_within_the_same_call() -> None:
    louder = Louder()
    audio = louder.generate_audio("hi")
    assert louder.seen["text"] == "hi!"
    assert audio.provenance is not None
    assert audio.provenance.options["pitch"] == 2.0
    assert [chunk.sample_rate for chunk in louder.stream_audio("ho")] == [8000]


class Mixin:
    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> bytes:
        return bytes(Audio.from_pcm(b"\1\1" * 10, 16000))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def test_a_verb_from_a_mixin_is_wrapped() -> None:
    class Mixed(Mixin, LollmsTTSBinding):  # type: ignore[misc]
        pass

    audio = Mixed().generate_audio("hi")
    assert isinstance(audio, Audio)
    assert audio.sample_rate == 16000
    with pytest.raises(OptionError):
        Mixed().generate_audio("hi", speed=1)

    class Over(Mixin, Tone):  # type: ignore[misc]
        pass

    assert Over().generate_audio("hi", speed=1).sample_rate == 16000


def test_an_incomplete_binding_cannot_be_made() -> None:
    class Half(LollmsTTSBinding):
        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

    with pytest.raises(TypeError, match="generate_audio"):
        Half()  # type: ignore[abstract]


class Many(LollmsTTIBinding):
    class Edit(CallOptions):
        strength: float = 0.5

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        self.size = (width, height)
        return Image(b"\x89PNG")

    @verb("Image", content="prompt")
    def generate_images(self, prompt: str, n: int = 2, **kwargs: Any) -> list[Image]:
        return [self.generate_image(prompt) for _ in range(n)]

    @verb("Image", options=Edit)
    def edit_image(self, image: bytes, prompt: str, **kwargs: Any) -> bytes:
        self.strength = kwargs["strength"]
        return image

    @verb("Image")
    def surprise(self, **kwargs: Any) -> bytes:
        report_progress(0)
        return b"\x89PNG"

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


def test_marked_verbs_are_treated_alike() -> None:
    many = Many()
    images = many.generate_images("cat", 3)
    assert [type(image) for image in images] == [Image] * 3
    assert all(image.provenance is not None and image.provenance.binding == "Many" for image in images)
    assert isinstance(many.edit_image(b"\x89PNG", "dog", strength=0.25), Image)
    assert many.strength == 0.25
    with pytest.raises(OptionError, match="strength"):
        many.edit_image(b"\x89PNG", "dog", strenth=1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'prompt'"):
        many.edit_image(b"\x89PNG")  # type: ignore[call-arg]
    token = CancelToken()
    token.cancel()
    with pytest.raises(CallCancelled):
        many.surprise(cancel=token)
    with pytest.raises(OptionError):
        many.surprise(strength=1)
    assert isinstance(many.surprise(), Image)
    assert many.supports("strength")
    assert hasattr(many, "agenerate_images")


# --- context --------------------------------------------------------------------------------------------------------


def test_the_call_is_current_inside_and_nowhere_else() -> None:
    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine")

    class Looks(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            assert mine.get() == "outer"
            assert current_call().verb == "generate_audio"
            return super().generate_audio(text)

        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            for _ in range(3):
                assert mine.get() == "outer"
                assert current_call().verb == "stream_audio"
                mine.set("inner")
                mine.set("outer")
                yield AudioChunk(b"\0\0", 8000)

    mine.set("outer")
    looks = Looks()
    looks.generate_audio("hi")
    assert CURRENT.get() is None
    for _ in looks.stream_audio("hi"):
        assert CURRENT.get() is None
        assert mine.get() == "outer"
    assert not current_call().active


def test_a_context_copied_in_a_call_does_not_pass_for_it_later() -> None:
    copied = []

    class Copies(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            copied.append(contextvars.copy_context())
            return super().generate_audio(text, voice, **kwargs)

    copies = Copies()
    copies.generate_audio("hi")
    later = copied[0].run(copies.generate_audio, "ho")
    assert later.provenance is not None, "a call of its own, not a raw one"


def test_an_engine_thread_can_carry_the_call() -> None:
    class Threaded(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            call, told = current_call(), []

            def work() -> None:
                with call.attach():
                    report_progress(1, 2)
                    told.append(len(self.list_voices()))
                    super(Threaded, self).generate_audio(text)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join(5)
            assert told == [2]
            return Audio.from_pcm(b"\0\0", 8000)

    seen: list[Progress] = []
    Threaded().generate_audio("hi", progress=seen.append)
    assert [(p.done, p.total, p.fraction) for p in seen] == [(1, 2, 0.5)]


# --- threads --------------------------------------------------------------------------------------------------------


class Counting(LollmsTTSBinding):
    """Tells how many calls ran at once."""

    class Options(CallOptions):
        number: int = 0

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.now = self.most = 0
        self.guard = threading.Lock()
        self.gate = threading.Barrier(self.concurrency)

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        with self.guard:
            self.now += 1
            self.most = max(self.most, self.now)
        if self.concurrency > 1 and kwargs["number"] < self.concurrency:
            self.gate.wait(5)
        time.sleep(0.002)
        with self.guard:
            self.now -= 1
        return Audio.from_pcm(bytes([kwargs["number"], 0]), 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class CountingThree(Counting):
    concurrency = 3


@pytest.mark.parametrize("cls", [Counting, CountingThree])
def test_eight_threads_get_their_own_answers(cls: type[Counting], background: Spawn) -> None:
    binding = cls()
    for _ in range(5):
        runs = [background(lambda n=n: binding.generate_audio("hi", number=n)) for n in range(8)]  # type: ignore[misc]
        assert [run.result()[-2] for run in runs] == list(range(8))
    assert binding.most == cls.concurrency


class Slow(LollmsTTSBinding):
    """Works until it is told to end, listening to its call."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.ended = 0

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        self.started.set()
        try:
            while not self.go_on.wait(0.005):
                report_progress(0)
        finally:
            self.ended += 1
        return Audio.from_pcm(b"\0\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["v"]


def test_listing_takes_no_lock(background: Spawn) -> None:
    slow = Slow()
    run = background(lambda: slow.generate_audio("hi"))
    assert slow.started.wait(5)
    assert slow.list_voices() == ["v"]
    assert slow.capabilities.streaming is False
    slow.go_on.set()
    run.result()


# --- stopping -------------------------------------------------------------------------------------------------------


def test_cancelled_before_it_begins() -> None:
    token = CancelToken()
    token.cancel("changed my mind")
    tone = Tone()
    with pytest.raises(CallCancelled, match="changed my mind"):
        tone.generate_audio("hi", cancel=token)
    assert not hasattr(tone, "seen")


def test_cancelled_while_it_runs_and_while_it_waits(background: Spawn) -> None:
    slow, first, second = Slow(), CancelToken(), CancelToken()
    running = background(lambda: slow.generate_audio("hi", cancel=first))
    assert slow.started.wait(5)
    waiting = background(lambda: slow.generate_audio("ho", cancel=second))
    while not slow._lock._waiters:
        time.sleep(0.001)
    second.cancel()
    with pytest.raises(CallCancelled):
        waiting.result()
    assert running.running
    first.cancel()
    with pytest.raises(CallCancelled):
        running.result()
    assert slow.ended == 1
    slow.go_on.set()
    assert slow.generate_audio("again")


def test_out_of_time_while_it_runs_and_while_it_waits(background: Spawn) -> None:
    slow = Slow()
    start = time.monotonic()
    with pytest.raises(CallTimeout, match=r"0\.05 s"):
        slow.generate_audio("hi", timeout=0.05)
    slow.started.clear()
    run = background(lambda: slow.generate_audio("hi"))
    assert slow.started.wait(5)
    with pytest.raises(CallTimeout):
        slow.generate_audio("ho", timeout=0.05)
    assert time.monotonic() - start < 5
    slow.go_on.set()
    run.result()


def test_an_engine_that_does_not_listen_cannot_hide_that_it_was_stopped(background: Spawn) -> None:
    token = CancelToken()

    class Deaf(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            token.cancel()
            return super().generate_audio(text)

    with pytest.raises(CallCancelled):
        Deaf().generate_audio("hi", cancel=token)


def test_on_cancel_wakes_what_waits() -> None:
    token, woken = CancelToken(), threading.Event()

    class Waits(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            current_call().on_cancel(woken.set)
            threading.Timer(0.01, token.cancel).start()
            assert woken.wait(5)
            raise OSError("the socket was closed")

    with pytest.raises(CallCancelled):
        Waits().generate_audio("hi", cancel=token)


def test_a_token_serves_several_calls_and_lets_go_of_each() -> None:
    token = CancelToken()
    tone = Tone()
    for _ in range(3):
        tone.generate_audio("hi", cancel=token)
    assert not token._callbacks
    token.cancel()
    for _ in range(2):
        with pytest.raises(CallCancelled):
            tone.generate_audio("hi", cancel=token)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": "x"}, {"timeout": True}, {"cancel": 1}, {"progress": 1}])
def test_wrong_controls_are_option_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Tone().generate_audio("hi", **wrong)


class Reports(Tone):
    swallow = False

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        for done in range(4):
            try:
                report_progress(done, 3, stage="generate", unit="step")
            except Exception as exc:
                if not self.swallow:
                    raise RuntimeError("wrapped by the engine") from exc
        return super().generate_audio(text)


class Stop(BaseException):
    pass


@pytest.mark.parametrize("swallow", [False, True])
@pytest.mark.parametrize("error", [KeyError("mine"), Stop()])
def test_an_exception_from_the_progress_callable_ends_the_call(error: BaseException, swallow: bool) -> None:
    seen: list[Progress] = []

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 1:
            raise error

    reports = Reports()
    reports.swallow = swallow
    with pytest.raises(type(error)) as caught:
        reports.generate_audio("hi", progress=tell)
    assert caught.value is error
    assert [p.done for p in seen] == [0, 1]
    assert reports.generate_audio("hi")


def test_progress_true_shows_a_bar_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Reports().generate_audio("hi", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "generate" in err
    assert "3/3" in err


# --- errors and results ---------------------------------------------------------------------------------------------


def test_engine_errors_are_translated_without_secrets() -> None:
    class Fails(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            raise ZeroDivisionError(f"key {self.settings.api_key.get_secret_value()}")

    with pytest.raises(GenerationError, match="ZeroDivisionError") as caught:
        Fails(api_key="hunter2").generate_audio("hi")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, "text", 3])
def test_a_result_that_is_none_is_told(wrong: object) -> None:
    class Wrong(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return wrong  # type: ignore[return-value]

    with pytest.raises(GenerationError, match="not Audio"):
        Wrong().generate_audio("hi")


def test_provenance_tells_how_a_result_was_made() -> None:
    class Records(Tone):
        engine = "pydantic"

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            current_call().record(model="m", usage={"tokens": 3}, extra={"a": 1})
            current_call().record(extra={"b": 2})
            return super().generate_audio(text)

    made = Records(api_key="hunter2").generate_audio("hi", "a", speed=2).provenance
    assert made is not None
    assert (made.binding, made.modality, made.engine, made.model) == ("Records", "tts", "pydantic", "m")
    assert made.engine_version.startswith("2.")
    assert made.options["speed"] == 2.0
    assert made.options["voice"] == "a"
    assert (made.usage, made.extra) == ({"tokens": 3}, {"a": 1, "b": 2})
    assert made.elapsed > 0
    assert time.time() - made.started < 60
    assert "hunter2" not in repr(made)
    assert made == type(made).from_json(made.to_json())
    with pytest.raises(AttributeError):
        made.seed = 3  # type: ignore[misc]


def test_a_result_does_not_keep_its_binding_alive() -> None:
    import gc
    import weakref

    tone = Tone()
    audio = tone.generate_audio("hi")
    gone = weakref.ref(tone)
    del tone
    gc.collect()
    assert gone() is None
    assert audio.provenance is not None


def test_output_format_and_output_path(tmp_path: Path) -> None:
    tone = Tone()
    flac = tone.generate_audio("hi", output_format="flac")
    assert flac.format == "flac"
    assert flac[:4] == b"fLaC"
    written = tone.generate_audio("hi", output_path=tmp_path / "x.mp3")
    assert written.path == tmp_path / "x.mp3"
    assert len(written) == 0
    assert written
    assert written.format == "mp3"
    assert written.provenance is not None
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp3"]


@pytest.mark.parametrize(
    "wrong",
    [{"output_format": "docx"}, {"output_path": "x.docx"}, {"output_path": "/no/such/x.wav"}, {"output_path": 3}],
)
def test_output_that_cannot_be_made_is_told_before_the_work(wrong: dict[str, Any]) -> None:
    tone = Tone()
    with pytest.raises(OptionError):
        tone.generate_audio("hi", **wrong)
    assert not hasattr(tone, "seen")


def test_no_partial_file_is_left_by_a_failure(tmp_path: Path) -> None:
    token = CancelToken()

    class Cancelled(Tone):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            token.cancel()
            return super().generate_audio(text)

    with pytest.raises(CallCancelled):
        Cancelled().generate_audio("hi", cancel=token, output_path=tmp_path / "x.wav")
    assert list(tmp_path.iterdir()) == []


def test_supports_tells_the_truth() -> None:
    tone = Tone()
    assert all(map(tone.supports, ["speed", "seed", "progress", "output_path", "output_format"]))
    assert not any(map(tone.supports, ["streaming", "cloning", "guidance_scale", "wings"]))


def test_settings_errors_propagate_from_the_constructor() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'default_voice'"):
        Tone(defalt_voice="a")
