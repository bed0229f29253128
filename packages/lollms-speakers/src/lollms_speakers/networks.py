"""The networks that the distribution carries, each checked before it is used.

``tools/speaker_networks.py`` makes them from what others have published; NOTICE says what they are.
"""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lollms_modalities import BindingDependencyError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHA256 = {
    "speaker_encoder.onnx": "7adc5dd9da8552ffad51f539ebeca3967754fc8ce6eed7b1bcfb9bfaa7f26c30",
    "silero_vad.onnx": "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
    "silero_vad_8k.onnx": "3ef8272b95fd226adfb2b0f78a59c7707f607af8b927cc11a13fcb9a6ecfde4d",
}


@functools.cache
def network(name: str) -> Any:
    """The ``onnxruntime.InferenceSession`` of a network, on one thread. Several threads may run it at once.

    Raises:
        BindingDependencyError: the file is missing or not the one that was published.
    """
    import onnxruntime

    file = files("lollms_speakers") / "models" / name
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise BindingDependencyError(
            f"lollms-speakers lacks its file {name}.", hint="Install lollms-speakers again."
        ) from exc
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise BindingDependencyError(
            f"The file {name} of lollms-speakers is damaged: its SHA-256 is not {SHA256[name]}.",
            hint="Install lollms-speakers again.",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # small work gains nothing from more
    options.log_severity_level = 3
    # The arena would keep what the largest batch took.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(name: str, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """The outputs of a network, in its order."""
    outputs: list[npt.NDArray[np.float32]] = network(name).run(None, inputs)
    return outputs
