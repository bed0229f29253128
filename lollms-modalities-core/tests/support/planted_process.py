"""Planted faults: the process that is the caller's, programs, files, and what is left where a call does not end well."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from lollms_examples.tti import BlocksTTIBinding
from lollms_examples.tts import PITCHES, ToneTTSBinding
from lollms_modalities import AudioChunk, BindingSettings, Image, current_call, read_media, setting

Chunks = Iterator[AudioChunk]
_KEPT: list[Any] = []


class Does(ToneTTSBinding):
    """Does something besides, before it speaks; a base of faults."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        self.besides(text)
        yield from super().stream_audio(text, voice, **kwargs)

    def besides(self, text: str) -> None:
        """Nothing, here."""


class ChangesDirectory(Does):
    """Goes where its engine is, and stays."""

    def besides(self, text: str) -> None:
        os.chdir(tempfile.gettempdir())


class ChangesDirectoryMeanwhile(ToneTTSBinding):
    """Goes where its engine is, and comes back."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        with contextlib.chdir(tempfile.gettempdir()):
            yield from super().stream_audio(text, voice, **kwargs)


class SetsTheEnvironment(Does):
    """Sets a variable for its engine."""

    def besides(self, text: str) -> None:
        os.environ["PLANTED_THREADS"] = str(time.monotonic())


class SetsTheEnvironmentOnLoading(ToneTTSBinding):
    """Sets a variable for its engine when it is loaded."""

    def load_model(self) -> str:
        os.environ["PLANTED_LOADS"] = str(1 + int(os.environ.get("PLANTED_LOADS", "0")))
        return "model"


class SetsTheEnvironmentOnce(Does):
    """Sets a variable for its engine, once for all."""

    def besides(self, text: str) -> None:
        os.environ["PLANTED_ONCE"] = "1"


class HandlesSignals(Does):
    """Takes a signal for itself."""

    def besides(self, text: str) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: None)


class BlocksSignals(Does):
    """Blocks a signal, where Python does not see it."""

    def besides(self, text: str) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])


class TurnsWarningsOff(Does):
    """Nobody is warned any more."""

    def besides(self, text: str) -> None:
        warnings.simplefilter("ignore")


class TurnsLoggingOff(Does):
    """Nobody's log is written any more."""

    def besides(self, text: str) -> None:
        logging.disable(logging.CRITICAL)


class TurnsLoggersOff(Does):
    """The loggers that there are are switched off."""

    def besides(self, text: str) -> None:
        import logging.config

        logging.config.dictConfig({"version": 1})


class SetsUpTheRootLogger(Does):
    """Logs everybody's messages, as it likes."""

    def besides(self, text: str) -> None:
        logging.getLogger().addHandler(logging.NullHandler())


class ReplacesItsOutput(Does):
    """Nobody's output is seen any more."""

    def besides(self, text: str) -> None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        _KEPT.append(sys.stdout)


class SetsTheTimeOfSockets(Does):
    """A time limit for everybody's sockets."""

    def besides(self, text: str) -> None:
        socket.setdefaulttimeout(600)


class TurnsTheCollectorOff(Does):
    """Nothing is collected any more."""

    def besides(self, text: str) -> None:
        gc.disable()


class SetsTheUmask(Does):
    """What others write is for everybody."""

    def besides(self, text: str) -> None:
        os.umask(0o007)


class SeedsRandom(Does):
    """Seeds the generator of the process."""

    def besides(self, text: str) -> None:
        import random

        random.seed(0)


class SeedsNumpy(Does):
    """Seeds numpy's generator of the process."""

    def besides(self, text: str) -> None:
        np.random.seed(0)


class EatsStandardInput(Does):
    """Its program reads what is the caller's."""

    def besides(self, text: str) -> None:
        subprocess.run(["cat"], capture_output=True, check=True)


class ReadsStandardInput(Does):
    """Reads what is the caller's."""

    def besides(self, text: str) -> None:
        os.read(0, 5)


class SwallowsControlC(ToneTTSBinding):
    """Catches everything, Ctrl-C among it, and goes on."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        chunks = super().stream_audio(text, voice, **kwargs)
        with contextlib.suppress(KeyboardInterrupt):
            yield from chunks


class IgnoresControlC(ToneTTSBinding):
    """Ignores the signal while it works."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        chunks = super().stream_audio(text, voice, **kwargs)
        if threading.current_thread() is not threading.main_thread():
            yield from chunks
            return
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield from chunks
        finally:
            signal.signal(signal.SIGINT, before)


class TakesControlCForAFailure(ToneTTSBinding):
    """Ctrl-C is an error of its engine."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        try:
            yield from super().stream_audio(text, voice, **kwargs)
        except KeyboardInterrupt as exc:
            raise RuntimeError("the engine failed") from exc


class LeavesZombies(Does):
    """Does not wait for its program."""

    def besides(self, text: str) -> None:
        _KEPT.append(subprocess.Popen(["true"], stdin=subprocess.DEVNULL))


class LeavesItsProgram(Does):
    """Begins a program with each call."""

    def besides(self, text: str) -> None:
        _KEPT.append(subprocess.Popen(["sleep", "30"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))


class LeavesAnOrphan(Does):
    """Its program leaves another."""

    def besides(self, text: str) -> None:
        subprocess.run("sleep 30 >/dev/null 2>&1 &", shell=True, stdin=subprocess.DEVNULL, check=True)


class LeavesItsProgramWhenStopped(ToneTTSBinding):
    """Ends its program where a call comes to its end."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        program = subprocess.Popen(["sleep", "30"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _KEPT.append(program)
        yield from super().stream_audio(text, voice, **kwargs)
        program.kill()
        program.wait()


class LeavesItsServer(ToneTTSBinding):
    """Its engine is a server that nobody ends."""

    def load_model(self) -> Any:
        server = subprocess.Popen(["sleep", "30"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _KEPT.append(server)
        return server

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        assert self.model.poll() is None
        yield from super().stream_audio(text, voice, **kwargs)


class LeavesItsThread(ToneTTSBinding):
    """Its engine has a thread that nobody ends."""

    def load_model(self) -> threading.Thread:
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        return thread

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        assert self.model.is_alive()
        yield from super().stream_audio(text, voice, **kwargs)


class SharesItsFile(Does):
    """The same temporary file for all."""

    def besides(self, text: str) -> None:
        path = Path(tempfile.gettempdir(), "planted.txt")
        path.write_text(text)
        path.unlink()


class SharesItsProgramsFile(Does):
    """Its program writes the same temporary file for all."""

    def besides(self, text: str) -> None:
        path = Path(tempfile.gettempdir(), "planted.wav")
        subprocess.run(["touch", str(path)], stdin=subprocess.DEVNULL, check=True)
        path.unlink()


class WritesHere(Does):
    """Writes into the current directory."""

    def besides(self, text: str) -> None:
        Path("planted.tmp").write_text(text)
        Path("planted.tmp").unlink()


class SpeaksThroughAShell(Does):
    """Puts the text into a command line."""

    def besides(self, text: str) -> None:
        subprocess.run(f'true "{text}"', shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)


class QuotesForAShell(Does):
    """Puts the text into a command line, in quotes of its own."""

    def besides(self, text: str) -> None:
        subprocess.run(f"true '{text}'", shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)


class TakesTextForAnOption(Does):
    """Its program may take the text for an option."""

    def besides(self, text: str) -> None:
        subprocess.run(["grep", text, os.devnull], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if text.startswith("-"):
            raise RuntimeError("unknown option")


# -- what is left where a call does not end well ---------------------------------------------------------------------


class LeaksWhenStopped(ToneTTSBinding):
    """Closes what it opened where a call comes to its end."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        opened = os.open(os.devnull, os.O_RDONLY) if len(text) > 200 else None
        try:
            for number, chunk in enumerate(super().stream_audio(text, voice, **kwargs)):
                yield chunk
                for _ in range(1000 if number == 100 else 0):  # or it may be done before it is told to stop
                    current_call().check()
                    time.sleep(0.02)
        except GeneratorExit:
            if opened is not None:
                os.close(opened)
            raise
        if opened is not None:
            os.close(opened)


class LeaksMemoryWhenStopped(ToneTTSBinding):
    """Keeps what a call had done that was stopped."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        done = False
        try:
            yield from super().stream_audio(text, voice, **kwargs)
            done = True
        finally:
            if not done:
                _KEPT.append(os.urandom(6_000_000))


class LeaksWhenRefused(ToneTTSBinding):
    """Opens before it looks."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        opened = os.open(os.devnull, os.O_RDONLY)
        if voice in PITCHES:
            os.close(opened)
        yield from super().stream_audio(text, voice, **kwargs)


class LeaksThreadsWhenRefused(ToneTTSBinding):
    """Begins before it looks."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        if voice not in PITCHES:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        yield from super().stream_audio(text, voice, **kwargs)


class LeaksWhenStreamed(ToneTTSBinding):
    """Closes what it opened where a stream is read to its end."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        opened = os.open(os.devnull, os.O_RDONLY)
        closed = False
        try:
            yield from super().stream_audio(text, voice, **kwargs)
            closed = True
        except Exception:
            closed = True
            raise
        finally:
            if closed:
                os.close(opened)


class LeavesFilesWhenStopped(ToneTTSBinding):
    """Takes its temporary file away where a call comes to its end."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        handle, name = tempfile.mkstemp()
        os.close(handle)
        yield from super().stream_audio(text, voice, **kwargs)
        os.unlink(name)


# -- engines that are dead, and pictures that are given --------------------------------------------------------------


class IsDead(Does):
    """Its engine does nothing at all."""

    def besides(self, text: str) -> None:
        raise OSError("libplanted.so.1: cannot open shared object file")


class WantsASetting(ToneTTSBinding):
    """Cannot be made without a setting."""

    class Settings(BindingSettings):
        default_voice: str = setting("low", description="Voice to use when none is named.")
        loudness: float = setting(0.5, description="From 0 to 1.", ge=0, le=1)
        folder: Path = setting(description="Where its engine is.")


class NeverEnds(Does):
    """Waits for a program that does not end."""

    def besides(self, text: str) -> None:
        subprocess.run(["sleep", "60"], stdin=subprocess.DEVNULL, check=True)


class ChangesPictures(BlocksTTIBinding):
    """Makes the picture darker that it was given, where it lies."""

    def edit_images(self, images: list[Path | bytes], prompt: str, *args: Any, **kwargs: Any) -> list[Image]:
        made: list[Image] = super().edit_images(images, prompt, *args, **kwargs)
        for image in images:
            if isinstance(image, Path):
                image.write_bytes(Image.from_pixels(np.asarray(Image(read_media(image)).to_pil()) // 2))
        return made


class LeavesThumbnails(BlocksTTIBinding):
    """Leaves a small picture beside the one that it was given."""

    def edit_images(self, images: list[Path | bytes], prompt: str, *args: Any, **kwargs: Any) -> list[Image]:
        made: list[Image] = super().edit_images(images, prompt, *args, **kwargs)
        for image in images:
            if isinstance(image, Path):
                image.with_name("thumbnail.png").write_bytes(made[0])
        return made
