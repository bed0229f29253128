"""One more output of a network: numbers that it computes on its way and does not give.

A file of ONNX is a message of protocol buffers (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), and of such a
message more is told by what is appended to it (https://protobuf.dev/programming-guides/encoding/#last-one-wins). So the
package ``onnx`` is not needed, and the weights are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Numbers of the fields that are looked at, from onnx.proto.
_GRAPH = 7  # of a model
_NODE, _OUTPUT = 1, 12  # of a graph
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND = 1, 2, 4  # of a node
_NAME = 1  # of an output
_SIZES = {1: 8, 5: 4}  # bytes of a value, by its wire type


class OnnxGraph(NamedTuple):
    """What a network is made of, as far as its outputs are concerned.

    Attributes:
        made: the kind of the node that makes each tensor, such as "Ceil", by the tensor's name.
        outputs: names of the tensors that the network gives.
    """

    made: dict[str, str]
    outputs: tuple[str, ...]


def read_onnx_graph(model: bytes) -> OnnxGraph:
    """The nodes and outputs of a network.

    Raises:
        ValueError: this is no ONNX.
    """
    made: dict[str, str] = {}
    outputs: list[str] = []
    try:
        for number, graph in _fields(memoryview(model)):
            if number != _GRAPH:
                continue
            for kind, part in _fields(graph):
                if kind == _NODE:
                    node = [(n, value) for n, value in _fields(part) if n in (_NODE_OUTPUT, _NODE_KIND)]
                    what = next((_text(value) for n, value in node if n == _NODE_KIND), "")
                    made.update((_text(value), what) for n, value in node if n == _NODE_OUTPUT)
                elif kind == _OUTPUT:
                    outputs += (_text(value) for n, value in _fields(part) if n == _NAME)
    except IndexError as exc:
        raise ValueError("the message ends early") from exc
    return OnnxGraph(made, tuple(outputs))


def with_onnx_output(model: bytes, tensor: str, name: str | None = None) -> bytes:
    """The network with one more output.

    Args:
        model: the network.
        tensor: what it is to give.
        name: what that is to be called, where not as the tensor.
    """
    more = b""
    if name is not None:
        same = (_NODE_INPUT, tensor), (_NODE_OUTPUT, name), (_NODE_KIND, "Identity")
        more = _message(_NODE, b"".join(_message(number, value.encode()) for number, value in same))
    more += _message(_OUTPUT, _message(_NAME, (name or tensor).encode()))
    return b"".join((model, _message(_GRAPH, more)))


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


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")


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
