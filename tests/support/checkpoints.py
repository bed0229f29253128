"""Checkpoints in the layout of transformers, spoilt on purpose."""

from __future__ import annotations

import json
from pathlib import Path


class Trap:
    """Pickled among weights, it ends the program that unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('it ran')",)


def name_code(folder: Path, name: str) -> None:
    """Let the checkpoint's file ``name``, config.json or tokenizer_config.json, name code of its own, ``evil.py``."""
    (folder / "evil.py").write_text("raise SystemExit('it ran')\nclass Evil: ...\n")
    told = json.loads((folder / name).read_text())
    if name == "config.json":
        told |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}}
    else:
        told |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}}
    (folder / name).write_text(json.dumps(told))


def spoil(folder: Path, damage: str) -> None:
    """Take from the checkpoint what ``damage`` says."""
    weights = folder / "model.safetensors"
    if damage == "no weights":
        weights.unlink()
    elif damage == "half of the weights":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif damage == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif damage == "no configuration":
        (folder / "config.json").write_text("{]")
    else:
        raise ValueError(damage)
