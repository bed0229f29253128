"""A voice that also tells how long it speaks each phoneme.

A Piper voice is a VITS network (https://arxiv.org/abs/2106.06103). It computes how many frames each phoneme lasts,
rounds that up, and gives only the sound. Here the rounded numbers become an output of the network, too, which Piper
reads where there is one. Its own way to do so needs the package ``onnx``.
"""

from __future__ import annotations

from pathlib import Path

from lollms_modalities.kit import read_onnx_graph, with_onnx_output

_ROUNDED_UP = "Ceil"


def telling_durations(path: Path) -> bytes | None:
    """The voice's network with one more output; None where it has no such numbers, or tells them already."""
    model = path.read_bytes()
    try:
        graph = read_onnx_graph(model)
    except ValueError:
        return None  # no ONNX: what is wrong with it is said by who loads it
    rounded = [name for name, kind in graph.made.items() if kind == _ROUNDED_UP]
    # Of several nobody knows which it is.
    return with_onnx_output(model, rounded[0]) if len(rounded) == 1 and len(graph.outputs) == 1 else None
