"""The packages of the extra ``[audio]``, imported when they are first needed."""

from __future__ import annotations

from typing import Any

from lollms_modalities.errors import BindingDependencyError
from lollms_modalities.version import requirement


def import_av() -> Any:
    """PyAV.

    Raises:
        BindingDependencyError: it is not installed.
    """
    try:
        import av
        import av.error
    except ImportError as exc:
        raise missing("av", exc) from exc
    return av


def missing(package: str, cause: Exception) -> BindingDependencyError:
    """The error for a package of the extra ``[audio]`` that is not there."""
    return BindingDependencyError(
        f"Sound files are read and written with {package}, which cannot be imported ({cause}).",
        hint=f"Run pip install {requirement('lollms-modalities-core', 'audio')}.",
    )


def import_soundfile() -> Any:
    """soundfile.

    Raises:
        BindingDependencyError: it is not installed, or its libsndfile is not.
    """
    try:
        import soundfile
    except (ImportError, OSError) as exc:
        raise missing("soundfile", exc) from exc
    return soundfile
