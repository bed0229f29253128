"""A voice that also tells how long it speaks each phoneme.

A Piper voice is a VITS network (https://arxiv.org/abs/2106.06103). It computes how many frames each phoneme lasts,
rounds that up, and gives only the sound. Here the rounded numbers become an output of the network, too, which Piper
reads where there is one. Its own way to do so needs the package ``onnx``; but a file of ONNX is a message of protocol
buffers, and of such a message more is told by what is appended to it
(https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Numbers of the fields that are looked at, from onnx.proto.
_GRAPH = 7  # of a model
_NODE, _OUTPUT = 1, 12  # of a graph
_NODE_OUTPUT, _NODE_KIND = 2, 4  # of a node
_NAME = 1  # of an output
_ROUNDED_UP = b"Ceil"
_SIZES = {1: 8, 5: 4}  # bytes of a value, by its wire type


def telling_durations(path: Path) -> bytes | None:
    """The voice's network with one more output; None where it has no such numbers, or tells them already."""
    model = path.read_bytes()
    try:
        name = _name_of_durations(memoryview(model))
    except (IndexError, ValueError):
        return None  # no ONNX: what is wrong with it is said by who loads it
    if name is None:
        return None
    return b"".join((model, _message(_GRAPH, _message(_OUTPUT, _message(_NAME, name)))))


def _name_of_durations(model: memoryview) -> bytes | None:
    rounded: list[bytes] = []
    told: list[bytes] = []
    for number, graph in _fields(model):
        if number != _GRAPH:
            continue
        for kind, part in _fields(graph):
            if kind == _NODE and _ROUNDED_UP in bytes(part):
                node = [(n, bytes(value)) for n, value in _fields(part) if n in (_NODE_OUTPUT, _NODE_KIND)]
                if (_NODE_KIND, _ROUNDED_UP) in node:
                    rounded += (value for n, value in node if n == _NODE_OUTPUT)
            elif kind == _OUTPUT:
                told += (bytes(value) for n, value in _fields(part) if n == _NAME)
    # Of several nobody knows which it is.
    return rounded[0] if len(rounded) == 1 and len(told) == 1 else None


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        start, wire = at, key & 7
        if wire == 0:
            _, at = _varint(message, at)
        elif wire == 2:
            size, start = _varint(message, at)
            at = start + size
        else:
            at += _SIZES.get(wire, 0) or _unknown(wire)
        if at > len(message):
            raise ValueError("the message ends early")
        yield key >> 3, message[start:at]


def _unknown(wire: int) -> int:
    raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at


def _message(number: int, content: bytes) -> bytes:
    """A field that holds bytes."""
    return _number(number << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)
