"""The command line and plug-in listing: over bare Python, and beside what others take for the same.

Each peer has an environment of its own, with one plug-in to list, padded to 300 distributions.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.harness import paired, seconds, show, show_extra

ROOT = Path(__file__).parent.parent
COUNT = 300
OURS = [ROOT / "lollms-modalities-core", ROOT / "packages" / "lollms-client", ROOT / "packages" / "lollms-piper"]
# Of each peer: what is installed, the entry point of a plug-in, its module, and the programs that import and list.
PLUGINS = {
    "stevedore": (
        "[bench.plugins]\none = bench_plugin:One\n",
        "class One:\n    pass\n",
    ),
    "ovos-plugin-manager": (
        "[mycroft.plugin.tts]\nbench-tts = bench_plugin:One\n",
        "class One:\n    pass\n",
    ),
    "llm": (
        "[llm]\nbench = bench_plugin\n",
        "import llm\n\n@llm.hookimpl\ndef register_models(register):\n    pass\n",
    ),
}
PROGRAMS = {
    "stevedore": ("import stevedore", "from stevedore import ExtensionManager as M; assert M('bench.plugins').names()"),
    "ovos-plugin-manager": (
        "import ovos_plugin_manager",
        "from ovos_plugin_manager.tts import find_tts_plugins as f; assert f()",
    ),
    "llm": (
        "import llm",
        "import llm; from llm.plugins import load_plugins, pm; load_plugins(); assert pm.list_name_plugin()",
    ),
}
# stevedore keeps what it has read in a file, and finds it there from its second run on.
LIST = "from lollms_client.lollms_tts_binding import LollmsTTSBindingManager as M; assert M().get_available_bindings()"


def uv() -> str:
    """The program, from the path or from its distribution."""
    found = shutil.which("uv")
    if found is None:
        from uv import find_uv_bin  # type: ignore[import-not-found, unused-ignore]

        found = str(find_uv_bin())
    return found


class Place:
    """An environment of its own."""

    def __init__(self, folder: Path, *requirements: str) -> None:
        subprocess.run([uv(), "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        self.bin = folder / "bin"
        self.python = str(self.bin / "python")
        install = [uv(), "pip", "install", "-q", "--python", self.python, *requirements]
        subprocess.run(install, check=True, cwd=ROOT)
        (self.site,) = folder.glob("lib/python3*/site-packages")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        subprocess.run([self.python, "-m", "compileall", "-q", str(self.site)], stdout=subprocess.DEVNULL)

    def pad(self, count: int) -> None:
        """Add distributions, every tenth with entry points, until there are ``count``."""
        have = len(list(self.site.glob("*.dist-info")))
        for n in range(count - have):
            info = self.site / f"pad_{n}-1.0.dist-info"
            info.mkdir()
            text = f"Metadata-Version: 2.1\nName: pad-{n}\nVersion: 1.0\nSummary: x\n" + "Classifier: y\n" * 20
            (info / "METADATA").write_text(text)
            (info / "RECORD").write_text("x,,\n" * 50)
            if n % 10 == 0:
                (info / "entry_points.txt").write_text(f"[console_scripts]\npad{n} = pad_{n}:main\n")

    def add_plugin(self, entry_points: str, code: str) -> None:
        """A distribution with one plug-in."""
        info = self.site / "bench_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        (self.site / "bench_plugin.py").write_text(code)

    def run(self, *words: str) -> float:
        """Seconds of a whole process."""
        return seconds(lambda: subprocess.run(words, check=True, env=self.env, stdout=subprocess.DEVNULL))

    def program(self, text: str) -> float:
        """Seconds of a whole Python that runs ``text``."""
        return self.run(self.python, "-c", text)


def command_line() -> None:
    """``lollms --help`` and ``lollms list`` over bare Python, as whole processes."""
    with tempfile.TemporaryDirectory() as folder:
        _over_bare(_ours(Path(folder)))


def _over_bare(ours: Place) -> None:
    lollms = str(ours.bin / "lollms")
    for words, goal in ((["--help"], 0.015), (["list"], 0.1)):
        taken = [(ours.run(lollms, *words), ours.program("pass")) for _ in range(21)]
        bare = statistics.median(b for _, b in taken)
        extra = statistics.median(a - b for a, b in taken)
        how = f"over python -c pass ({bare * 1e3:.1f} ms), among {COUNT} distributions"
        show_extra(f"lollms {' '.join(words)}", extra, goal, 1e3, "ms", how)


def _ours(folder: Path) -> Place:
    place = Place(folder / "ours", *map(str, OURS))
    place.pad(COUNT)
    return place


def listing_peers() -> None:
    """``lollms`` beside llm; importing and listing beside stevedore, ovos-plugin-manager and llm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = _ours(folder)
        _over_bare(ours)
        for peer in PROGRAMS:
            place = Place(folder / peer, peer)
            place.add_plugin(*PLUGINS[peer])
            place.pad(COUNT)
            _beside(ours, peer, place)
            if peer == "llm":
                _beside_llm(ours, place)


def _beside(ours: Place, peer: str, place: Place) -> None:
    lollms = str(ours.bin / "lollms")
    import_peer, list_peer = PROGRAMS[peer]
    pair = paired(lambda: ours.program("import lollms_client"), lambda: place.program(import_peer), pairs=11)
    show("import lollms_client", import_peer, pair, 1)
    pair = paired(lambda: ours.program(LIST), lambda: place.program(list_peer), pairs=11)
    show("a manager lists", f"{peer} lists", pair, 1)
    pair = paired(lambda: ours.run(lollms, "list"), lambda: place.program(list_peer), pairs=11)
    show("lollms list", f"{peer} lists", pair, 1)


def _beside_llm(ours: Place, place: Place) -> None:
    lollms, llm = str(ours.bin / "lollms"), str(place.bin / "llm")
    pair = paired(lambda: ours.run(lollms, "--help"), lambda: place.run(llm, "--help"), pairs=11)
    show("lollms --help", "llm --help", pair, 1)
    pair = paired(lambda: ours.run(lollms, "list"), lambda: place.run(llm, "plugins"), pairs=11)
    show("lollms list", "llm plugins", pair, 1)
