"""What the thin modules say when their distribution is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str, package: str) -> Iterator[None]:
    """Import inside it what the extra ``name`` brings; without ``package`` the ImportError says how to install it."""
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name != package:
            raise
        from lollms_modalities.finding.mending import install_command

        raise ImportError(f"{package} is not installed. Run {install_command(name)}.", name=package) from exc
