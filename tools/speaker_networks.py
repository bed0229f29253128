"""Make the networks of ``lollms_speakers`` from the packages that published them. Needs numpy and onnx, no torch.

    pip install numpy onnx
    pip download --no-deps Resemblyzer==0.1.4 faster-whisper==1.2.1 silero-vad==6.2.3
    python tools/speaker_networks.py Resemblyzer-0.1.4-*.whl faster_whisper-1.2.1-*.whl silero_vad-6.2.3-*.whl

Resemblyzer's weights are a pickle of torch's older kind: four pickles, then the numbers. They are read by an unpickler
that knows four names and nothing else. The encoder becomes an ONNX graph with its weights as float16, which changes the
vectors by less than 0.001; the voice activity network is taken as it is. Its sister for 8 kHz is published for a frame
at a time: its numbers are put into the same graph, which takes many.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = ("resemblyzer/pretrained.pt", "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e")
VOICE_ACTIVITY = (
    "faster_whisper/assets/silero_vad_v6.onnx",
    "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
)
NARROW = (
    "silero_vad/data/silero_vad_op18_ifless.onnx",
    "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28",
)
LAYERS, SIZE, BANDS = 3, 256, 40
FOLDER = Path(__file__).parent.parent / "packages" / "lollms-speakers" / "src" / "lollms_speakers" / "models"

Weights = dict[str, np.ndarray[Any, Any]]


class Storage:
    """The numbers of one or several tensors, which come after the pickles."""

    def __init__(self, dtype: str, size: int) -> None:
        self.dtype, self.size = np.dtype(dtype), size
        self.numbers = np.zeros(0, self.dtype)


def tensor(storage: Storage, offset: int, shape: tuple[int, ...], *_: Any) -> tuple[Storage, int, tuple[int, ...]]:
    """What stands for a tensor until the numbers have been read; all of them are contiguous."""
    return storage, offset, shape


class Reader(pickle.Unpickler):
    """Knows tensors and nothing else."""

    names: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def __init__(self, file: io.BytesIO, storages: dict[str, Storage]) -> None:
        super().__init__(file)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.names:
            raise pickle.UnpicklingError(f"{module}.{name} is none of a tensor's names")
        return self.names[module, name]

    def persistent_load(self, told: Any) -> Storage:
        _, dtype, key, _, size, _ = told
        return self.storages.setdefault(key, Storage(dtype, size))


def read_weights(data: bytes) -> Weights:
    """The model's tensors by name."""
    file = io.BytesIO(data)
    storages: dict[str, Storage] = {}
    _, _, _, held, keys = (Reader(file, storages).load() for _ in range(5))
    for key in keys:
        (size,) = struct.unpack("<q", file.read(8))
        storage = storages[key]
        storage.numbers = np.frombuffer(file.read(size * storage.dtype.itemsize), storage.dtype)
    found = {}
    for name, (storage, offset, shape) in held["model_state"].items():
        found[name] = storage.numbers[offset : offset + int(np.prod(shape))].reshape(shape)
    return found


def reordered(gates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """From torch's order, input forget cell output, to that of ONNX: input output forget cell."""
    i, f, c, o = np.split(gates, 4)
    return np.concatenate([i, o, f, c])


def encoder(weights: Weights) -> onnx.ModelProto:
    """Three layers of LSTM, the last state through a linear layer and ReLU, to length 1."""
    nodes = [helper.make_node("Transpose", ["mels"], ["x0"], perm=[1, 0, 2])]
    held = [numpy_helper.from_array(np.array([n]), f"axis{n}") for n in (0, 1)]

    def use(name: str, values: np.ndarray[Any, Any]) -> str:
        held.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float16), f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def gates(name: str) -> np.ndarray[Any, Any]:
        return reordered(weights[name])

    for n in range(LAYERS):
        w = use(f"w{n}", gates(f"lstm.weight_ih_l{n}")[None])
        r = use(f"r{n}", gates(f"lstm.weight_hh_l{n}")[None])
        b = use(f"b{n}", np.concatenate([gates(f"lstm.bias_ih_l{n}"), gates(f"lstm.bias_hh_l{n}")])[None])
        nodes.append(helper.make_node("LSTM", [f"x{n}", w, r, b], [f"y{n}", f"h{n}"], hidden_size=SIZE))
        if n < LAYERS - 1:
            nodes.append(helper.make_node("Squeeze", [f"y{n}", "axis1"], [f"x{n + 1}"]))
    nodes.append(helper.make_node("Squeeze", [f"h{LAYERS - 1}", "axis0"], ["last"]))
    sums = ["last", use("linear", weights["linear.weight"]), use("bias", weights["linear.bias"])]
    nodes.append(helper.make_node("Gemm", sums, ["sum"], transB=1))
    nodes.append(helper.make_node("Relu", ["sum"], ["positive"]))
    nodes.append(helper.make_node("LpNormalization", ["positive"], ["vector"], axis=1, p=2))
    graph = helper.make_graph(
        nodes,
        "speaker_encoder",
        [helper.make_tensor_value_info("mels", TensorProto.FLOAT, ["windows", "frames", BANDS])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["windows", SIZE])],
        held,
    )
    opset = helper.make_opsetid("", 17)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="lollms-speakers")
    onnx.checker.check_model(made)
    return made


def narrow(wide: bytes, published: bytes) -> onnx.ModelProto:
    """The voice activity network for 8 kHz: that for 16 kHz with other numbers, and lengths half as long."""
    source = onnx.load_model_from_string(published)
    given = {held.name.removeprefix("model_8k."): numpy_helper.to_array(held) for held in source.graph.initializer}
    found: Weights = {
        "encoder.feature_extractor.forward_basis_buffer": given["stft.forward_basis_buffer"],
        "decoder.conv1d.weight": given["decoder.decoder.2.weight"],
        "decoder.conv1d.bias": given["decoder.decoder.2.bias"],
        "onnx::LSTM_209": reordered(given["decoder.rnn.weight_ih"])[None],
        "onnx::LSTM_210": reordered(given["decoder.rnn.weight_hh"])[None],
        "onnx::LSTM_211": np.concatenate([reordered(given[f"decoder.rnn.bias_{of}"]) for of in ("ih", "hh")])[None],
    }
    for n in range(4):
        for of in ("weight", "bias"):
            found[f"encoder.conv_layers.{n}.{of}"] = given[f"encoder.{n}.reparam_conv.{of}"]
    made = onnx.load_model_from_string(wide)
    del made.graph.value_info[:]
    for held in made.graph.initializer:
        values = found.get(held.name)
        if values is None:
            values = numpy_helper.to_array(held).copy()
            for length, half in ((129, 65), (128, 64)):  # bins of a spectrum, and samples before and after a frame
                values[values == length] = half
        held.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), held.name))
    (spectra,) = (
        node for node in made.graph.node if node.op_type == "Conv" and "forward_basis_buffer" in node.input[1]
    )
    for attribute in spectra.attribute:
        if attribute.name in ("kernel_shape", "strides"):
            attribute.ints[:] = [length // 2 for length in attribute.ints]
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value //= 2
    onnx.checker.check_model(made)
    return made


def taken(wheel: str, name: str, sha256: str) -> bytes:
    """A file of a wheel, if it is the one that is meant."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(name)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise SystemExit(f"{name} of {wheel} has the SHA-256 {found}, not {sha256}")
    return data


def main() -> None:
    """Write the networks, and print their SHA-256."""
    resemblyzer, faster_whisper, silero = sys.argv[1:]
    model = encoder(read_weights(taken(resemblyzer, *WEIGHTS)))
    wide = taken(faster_whisper, *VOICE_ACTIVITY)
    made = {
        "speaker_encoder.onnx": model.SerializeToString(deterministic=True),
        "silero_vad.onnx": wide,
        "silero_vad_8k.onnx": narrow(wide, taken(silero, *NARROW)).SerializeToString(deterministic=True),
    }
    for name, data in made.items():
        (FOLDER / name).write_bytes(data)
        sys.stdout.write(f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}\n")


if __name__ == "__main__":
    main()
