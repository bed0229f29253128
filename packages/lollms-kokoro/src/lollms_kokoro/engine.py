"""A Kokoro network in memory: phonemes and a style in, sound and the length of each phoneme out.

Kokoro-82M (https://huggingface.co/hexgrad/Kokoro-82M) is a StyleTTS 2 (https://arxiv.org/abs/2306.07691), here as
thewh1teagle has exported it. The network computes how long each phoneme lasts; newer exports give that, too. Of those
that keep it to themselves it becomes an output when they are loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import BindingDependencyError, ModelCache, ModelNotFoundError, current_call
from lollms_modalities.kit import read_onnx_graph, with_onnx_output

from lollms_kokoro.files import read_model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnxruntime

    Samples = npt.NDArray[np.float32]

RATE = 24000
MOST = 510  # phonemes that it says at once
_LENGTHS = "/encoder/Cast_output_0"  # in the released network
_TELLS = "duration"
_TOKENS = ("tokens", "input_ids")  # what exports call their first input


class Speech(NamedTuple):
    """What was said.

    Attributes:
        samples: mono, 24 kHz, without the silence around it.
        edges: the sample that each phoneme begins with, and the one after the last; None where it is not told.
    """

    samples: Samples
    edges: npt.NDArray[np.int64] | None


class Engine:
    """A network, and the phonemes that it knows. It serves several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        from kokoro_onnx.config import DEFAULT_VOCAB
        from kokoro_onnx.session import embedded_vocab, input_dtypes

        self.session = session
        self._vocabulary: dict[str, int] = embedded_vocab(session) or DEFAULT_VOCAB
        self._types: dict[str, Any] = input_dtypes(session)
        self._tokens = next(name for name in _TOKENS if name in self._types)
        self.tells_lengths = _TELLS in (output.name for output in session.get_outputs())

    def known(self, phonemes: str) -> str:
        """Of some phonemes those that the network knows."""
        return "".join(filter(self._vocabulary.__contains__, phonemes))

    def speak(self, phonemes: str, style: Samples, speed: float) -> Speech:
        """Say phonemes that the network knows, at most 510.

        Args:
            phonemes: one or more.
            style: of the voice, shape (n, 1, 256).
            speed: 1.0 is natural.
        """
        import numpy as np
        from kokoro_onnx.sliding import token_edges
        from kokoro_onnx.trim import trim

        tokens = [self._vocabulary[phoneme] for phoneme in phonemes]
        inputs = {
            self._tokens: np.array([[0, *tokens, 0]], self._types[self._tokens]),
            "style": style[min(len(tokens), len(style)) - 1].astype(self._types["style"], copy=False),
            "speed": np.array([speed], self._types["speed"]),
        }
        sound, *lengths = self._run(inputs)
        samples, (head, _) = trim(np.asarray(sound, np.float32).reshape(-1))
        if not self.tells_lengths:
            return Speech(samples, None)
        edges = token_edges(np.asarray(lengths[0]).reshape(-1), np.size(sound))
        return Speech(samples, np.clip(edges[1:-1] - head, 0, len(samples)))

    def _run(self, inputs: dict[str, Any]) -> list[Any]:
        """The network's outputs; stops within it when the call is to stop."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        call = current_call()
        back = call.on_cancel(lambda: setattr(options, "terminate", True))
        try:
            wanted = [self.session.get_outputs()[0].name, *([_TELLS] if self.tells_lengths else [])]
            return list(self.session.run(wanted, inputs, options))
        except Exception:
            call.check()  # it was told to stop
            raise
        finally:
            back()


def load_engine(files: tuple[Path, ...], n_threads: int, use_cuda: bool) -> Engine:
    """Load a network from its file, or from the parts that it is in."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # Threads that spin while they wait take the processor from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = "CUDAExecutionProvider" if use_cuda else "CPUExecutionProvider"
    if wanted not in onnxruntime.get_available_providers():
        raise BindingDependencyError(
            f"use_cuda=True, and the installed onnxruntime has {', '.join(onnxruntime.get_available_providers())}.",
            hint="Run pip install onnxruntime-gpu in place of onnxruntime, or leave use_cuda out.",
        )
    shown = str(files[0])
    try:
        session = onnxruntime.InferenceSession(_telling(read_model(files)), options, providers=[wanted])
        missing = {"style", "speed"} - {one.name for one in session.get_inputs()}
        if missing:
            raise ValueError(f"it has no input {', '.join(sorted(missing))}")
        engine = Engine(session)
    except ModelNotFoundError:
        raise
    except Exception as exc:  # onnxruntime raises classes of its own for each way in which a file can be wrong
        raise ModelNotFoundError(f"{shown!r} is no Kokoro model: {exc}.", hint="Fetch the model again.") from exc
    if wanted not in session.get_providers():
        raise BindingDependencyError(
            "use_cuda=True, and onnxruntime found no device it can use.",
            hint="Check the driver, or leave use_cuda out.",
        )
    return engine


def loaded_engines(n_threads: int, use_cuda: bool) -> ModelCache[tuple[Path, ...], Engine]:
    """The network that one binding has in memory, by its files."""
    how = (n_threads, use_cuda)
    return ModelCache(lambda files: load_engine(files, *how), key=("kokoro", *how))


def _telling(model: bytes) -> bytes:
    """The network, with the lengths of phonemes as an output where it computes them."""
    try:
        graph = read_onnx_graph(model)
    except ValueError:
        return model  # what is wrong with it is said by who loads it
    if _TELLS in graph.outputs or _LENGTHS not in graph.made:
        return model
    return with_onnx_output(model, _LENGTHS, _TELLS)
