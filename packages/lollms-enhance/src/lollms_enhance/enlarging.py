"""Real-ESRGAN (https://arxiv.org/abs/2107.10833) on ncnn, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lollms_modalities import GenerationError, ModelCache, ModelNotFoundError, report_progress

from lollms_enhance.models import Enlarger

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

_MAGIC = b"7767517"  # what a .param file begins with
_AROUND = 10  # pixels that a tile sees of its neighbours, as Real-ESRGAN's own program has it


def load(how: Enlarger, n_threads: int) -> Any:
    """The network in memory."""
    import ncnn

    with how.param.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:  # which the library would print
            raise ModelNotFoundError(f"{str(how.param)!r} is no network of ncnn's.", hint="Fetch both files again.")
    net = ncnn.Net()
    net.opt.num_threads = n_threads
    net.opt.use_vulkan_compute = False
    net.opt.openmp_blocktime = 0  # threads that wait give the processor to others
    if net.load_param(str(how.param)) or net.load_model(str(how.weights)):
        raise ModelNotFoundError(f"{str(how.param)!r} is no network of ncnn's.", hint="Fetch both files again.")
    return net


def loaded_enlargers(n_threads: int) -> ModelCache[Enlarger, Any]:
    """The network that one binding has in memory."""
    return ModelCache(lambda how: load(how, n_threads), key=("ncnn", n_threads), free=lambda net: net.clear())


def enlarged(net: Any, how: Enlarger, pixels: Pixels, tile: int, n_threads: int) -> Pixels:
    """An image of which each side is ``how.scale`` times as long.

    Args:
        net: the network.
        how: what it is.
        pixels: uint8, shape (height, width, 3).
        tile: pixels of a side of what is done at once; a call can stop between two.
        n_threads: which ncnn is to use.
    """
    import numpy as np

    height, width = pixels.shape[:2]
    scale = how.scale
    whole = np.empty((height * scale, width * scale, 3), np.uint8)
    padded = np.pad(pixels, ((_AROUND, _AROUND), (_AROUND, _AROUND), (0, 0)), "edge")
    corners = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    for done, (top, left) in enumerate(corners):
        report_progress(done, len(corners), unit="tile")
        bottom, right = min(top + tile, height), min(left + tile, width)
        seen = padded[top : bottom + 2 * _AROUND, left : right + 2 * _AROUND]
        made = _through(net, seen, n_threads)
        if made.shape[:2] != (seen.shape[0] * scale, seen.shape[1] * scale):
            raise GenerationError(
                f"{how.param.stem} made {made.shape[1]}x{made.shape[0]} of {seen.shape[1]}x{seen.shape[0]}: it does "
                f"not enlarge {scale} times.",
                hint="Name the files by what they do, such as NAME-x4.param.",
            )
        edge = _AROUND * scale
        inner = made[edge : edge + (bottom - top) * scale, edge : edge + (right - left) * scale]
        whole[top * scale : bottom * scale, left * scale : right * scale] = inner
    report_progress(len(corners), len(corners), unit="tile")
    return whole


def _through(net: Any, pixels: Pixels, n_threads: int) -> Pixels:
    """What the network makes of a tile. It takes and gives values from 0 to 1, channel by channel."""
    import ncnn
    import numpy as np

    taken = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255)
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], ncnn.Mat(taken).clone())
    code, given = extractor.extract(net.output_names()[0])
    if code:
        raise GenerationError(f"ncnn failed with code {code}.", hint="Use smaller tiles.")
    made = np.array(given).transpose(1, 2, 0)
    whole: Pixels = np.clip(np.rint(made * 255), 0, 255).astype(np.uint8)
    return whole
