"""Make an installed torchaudio importable beside a torch for the CPU: ``python torchaudio_for_cpu.py``.

PyPI's torchaudio for Linux is built for CUDA: its compiled files look for libraries that a torch for the CPU does not
have. Then neither coqui-tts nor transformers (Bark, MusicGen) nor diffusers can be imported, since all of them import
torchaudio once it is installed. torchaudio does without these files where they are not there, and nothing that is used
here needs them (they are for forced alignment, RNN-T losses and a few filters). So they are removed from the environment
whose Python runs this. Whoever can reach pytorch.org installs the torchaudio for the CPU from there instead.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path


def compiled_files() -> list[Path]:
    """torchaudio's compiled files; it is not imported for that."""
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("torchaudio is not installed.")
    folder = Path(spec.submodule_search_locations[0]) / "lib"
    return sorted(p for p in folder.glob("*") if p.suffix in (".so", ".pyd", ".dylib"))


def why_not_importable() -> str:
    """The last line of what ``import torchaudio`` says in a Python of its own; "" where it works."""
    done = subprocess.run([sys.executable, "-c", "import torchaudio"], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def main() -> None:
    """Remove the compiled files if it is they that cannot be loaded."""
    reason = why_not_importable()
    if not reason:
        print("torchaudio can be imported as it is.")
        return
    if "Could not load this library" not in reason:
        raise SystemExit(f"torchaudio cannot be imported: {reason}")
    removed = compiled_files()
    for path in removed:
        path.unlink()
    if again := why_not_importable():
        raise SystemExit(f"torchaudio cannot be imported without its compiled files either: {again}")
    print(f"torchaudio was built for another torch; removed {', '.join(p.name for p in removed)}.")


if __name__ == "__main__":
    main()
