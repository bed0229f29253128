"""What stands before its background, with rembg."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import ModelCache, ModelNotFoundError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_U2NET = 320  # pixels of a side at which U-2-Net and its kin look at an image; ISNet's look at 1024


def load(path: Path, n_threads: int) -> Any:
    """A network as a session of rembg's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # Threads that spin while they wait take the processor from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        side = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        shape = side.get_inputs()[0].shape
    except Exception as exc:  # onnxruntime raises classes of its own for each way in which a file can be wrong
        raise ModelNotFoundError(f"{str(path)!r} is no network: {exc}.", hint="Fetch the model again.") from exc
    del side
    from rembg.sessions.dis_custom import DisCustomSession
    from rembg.sessions.u2net_custom import U2netCustomSession

    kind = U2netCustomSession if shape[-1] == _U2NET else DisCustomSession

    class Session(kind):  # type: ignore[misc, valid-type]
        """rembg reads models in its own folder only."""

        @classmethod
        def download_models(cls, *args: Any, **kwargs: Any) -> str:
            return str(path)

    return Session(path.stem, options, model_path=str(path), providers=["CPUExecutionProvider"])


def loaded_cutters(n_threads: int) -> ModelCache[Path, Any]:
    """The network that one binding has in memory."""
    return ModelCache(lambda path: load(path, n_threads), key=("rembg", n_threads))


def cut_out(session: Any, picture: Picture, *, smooth: bool, matting: bool, decontaminate: bool) -> Picture:
    """The image as RGBA, with its background transparent.

    Args:
        session: of rembg's.
        picture: RGB.
        smooth: whether the edge is smoothed.
        matting: whether what is half transparent is looked for along the edge.
        decontaminate: whether the background's colour is taken out of the edge.
    """
    from rembg import remove

    made: Picture = remove(
        picture, session=session, post_process_mask=smooth, alpha_matting=matting, decontaminate=decontaminate
    )
    return made.convert("RGBA")
