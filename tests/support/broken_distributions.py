"""Distributions that are broken, each in another way, written as pip would have installed them.

``make_all(folder)`` writes one of each kind and two healthy ones; ``KINDS`` says of each what is to be heard of it.
``python tests/support/broken_distributions.py FOLDER [KIND ...]`` does the same by hand.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from distributions import install

GOOD = """
from lollms_modalities import Audio, LollmsSTTBinding, LollmsTTSBinding, Transcript


class Good(LollmsTTSBinding):
    '''Says nothing, for a moment.'''

    def generate_audio(self, text, voice=None, **kwargs):
        return Audio.from_pcm(bytes(1600), 8000)

    def list_voices(self, **kwargs):
        return ["only"]


class Half(LollmsTTSBinding):
    def list_voices(self, **kwargs):
        return []


class Ears(LollmsSTTBinding):
    def transcribe_audio(self, audio_path, model=None, **kwargs):
        return Transcript("")

    def list_models(self, **kwargs):
        return []


class BadOptions(Good):
    class Options:
        volume = 1


class Other:
    pass


text = "Good"
"""


class Kind(NamedTuple):
    """One way to be broken.

    Attributes:
        said: what the explanation must hold.
        code: the module's; None for no module at all.
        target: what the entry point names, after the module.
        requires: the requirements in its metadata.
        seen_in: how far one must look: "files" (the metadata cannot be read), "metadata" (it says what is wrong), or
            "import".
        ends: importing it ends, or stops, the process that does.
        endless: importing it comes to no end.
        listed: whether its name can be known at all.
        works: it can be used all the same.
    """

    said: str
    code: str | None = GOOD
    target: str = ":Good"
    requires: tuple[str, ...] = ()
    seen_in: str = "import"
    ends: bool = False
    endless: bool = False
    listed: bool = True
    works: bool = False


KINDS: dict[str, Kind] = {
    # what the files say
    "no_equals_sign": Kind("is no entry point", seen_in="files", listed=False),
    "not_utf8": Kind("is no text", seen_in="files", listed=False),
    "unreadable": Kind("entry_points.txt:", seen_in="files", listed=False),
    "no_metadata": Kind("METADATA is missing", seen_in="files", works=True),
    "no_name": Kind("METADATA is missing or tells no name", seen_in="files", works=True),
    "bad_requirement": Kind("a requirement that cannot be read", requires=("%%%",), seen_in="metadata"),
    "newer_core": Kind(
        "needs lollms-modalities-core>=99", requires=("lollms-modalities-core>=99",), seen_in="metadata"
    ),
    "missing_requirement": Kind(
        "needs no-such-thing>=3 (missing)", requires=("no-such-thing>=3",), seen_in="metadata"
    ),
    "unfit_requirement": Kind("needs packaging>=9999", requires=("packaging>=9999",), seen_in="metadata"),
    # what importing shows
    "syntax_error": Kind("SyntaxError", code="def x(:\n"),
    "null_byte": Kind("null bytes", code="x = 1\0\n"),
    "not_python_text": Kind("SyntaxError", code="x = '\udcff'\n"),
    "raises": Kind("ZeroDivisionError", code="1 / 0"),
    "endless_recursion": Kind("RecursionError", code="def f():\n    f()\nf()\n"),
    "missing_import": Kind("imports 'no_such_engine'", code="import no_such_engine"),
    "newer_name": Kind("cannot import name 'NotYet'", code="from lollms_modalities.media import NotYet"),
    "circular": Kind("circular import", code="from broken_circular import Good\n"),
    "no_module": Kind("No module named 'broken_no_module'", code=None),
    "no_attribute": Kind("has no attribute 'Better'", target=":Better"),
    "no_target": Kind("names a module, and no class in it", target=""),
    "not_a_class": Kind("a str, which is no LollmsTTSBinding", target=":text"),
    "wrong_base": Kind("the class Other, which is no LollmsTTSBinding", target=":Other"),
    "wrong_modality": Kind("the class Ears, which is no LollmsTTSBinding", target=":Ears"),
    "half_done": Kind("does not say how to generate_audio", target=":Half"),
    "bad_options": Kind("is no CallOptions", target=":BadOptions"),
    "bad_settings": Kind("Settings is no BindingSettings", code=GOOD + "class B(Good):\n    class Settings:\n        x = 1\n"),
    "asks_the_user": Kind("EOFError", code="input('Licence? ')"),
    "exits": Kind("SystemExit: 3", code="import sys\nsys.exit(3)\n"),
    # what no program survives that imports it
    "ends_at_once": Kind("exit code 7; it last printed 'goodbye'", code="import os\nprint('goodbye', flush=True)\nos._exit(7)\n", ends=True),
    "crashes": Kind("SIGSEGV", code="import ctypes\nctypes.string_at(0)\n", ends=True),
    "kills_itself": Kind("SIGKILL", code="import os\nos.kill(os.getpid(), 9)\n", ends=True),
    "endless_loop": Kind("it took longer than", code="while True:\n    pass\n", ends=True, endless=True),
    "waits": Kind("it took longer than", code="import threading\nthreading.Event().wait()\n", ends=True, endless=True),
    "interrupts": Kind("KeyboardInterrupt", code="raise KeyboardInterrupt\n", ends=True),
    # what is no fault
    "noisy": Kind("", code="print('x' * 200_000)\n" + GOOD, works=True),
}  # fmt: skip
HEALTHY = ("healthy_a", "healthy_b")


def make(folder: Path, kind: str) -> Path:
    """Write the distribution of one kind; gives the folder of its metadata."""
    how = KINDS[kind]
    module = f"broken_{kind}"
    info = write(folder, module, {kind: f"{module}{how.target}"}, how.code, how.requires)
    if kind == "no_equals_sign":
        (info / "entry_points.txt").write_text("[lollms_client.tts_bindings]\nno_equals_sign\n", "utf-8")
    elif kind == "not_utf8":
        (info / "entry_points.txt").write_bytes(b"[lollms_client.tts_bindings]\n\xff\xfe = x:y\n")
    elif kind == "unreadable":
        # Not with its mode, which does not keep an administrator from reading.
        (info / "entry_points.txt").unlink()
        (info / "entry_points.txt").mkdir()
    elif kind == "no_metadata":
        (info / "METADATA").unlink()
    elif kind == "no_name":
        (info / "METADATA").write_text("nothing\n", "utf-8")
    return info


def make_all(folder: Path) -> Path:
    """Write one of each kind, two that are healthy, and two that claim one name; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        make(folder, kind)
    for name in HEALTHY:
        write(folder, name, {name: f"{name}:Good"}, GOOD)
    for name in ("claims_a", "claims_b"):
        write(folder, name, {"claimed": f"{name}:Good"}, GOOD)
    return folder


def write(folder: Path, name: str, entries: dict[str, str], code: str | None, requires: tuple[str, ...] = ()) -> Path:
    """A distribution ``name`` 1.0 with TTS bindings and a module of that name; gives the folder of its metadata."""
    points = "".join(f"{key} = {value}\n" for key, value in entries.items())
    info = install(folder, name, f"[lollms_client.tts_bindings]\n{points}", requires)
    if code is not None:
        (folder / f"{name}.py").write_bytes(os.fsencode(code))
    return info


if __name__ == "__main__":
    target, *kinds = sys.argv[1:]
    if kinds:
        for chosen in kinds:
            make(Path(target), chosen)
    else:
        make_all(Path(target))
