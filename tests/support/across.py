"""TCP to workers on another host, which is a network namespace of this machine."""

from __future__ import annotations

from typing import Any

from lollms_modalities.workers.tcp import TcpPlace
from namespaces import Host


class AcrossTcp(TcpPlace):
    """Workers ``there``, whoever on ``here`` asks for them."""

    def __init__(self, here: Host, there: Host, *, shares_files: bool = False) -> None:
        super().__init__(there.address, shares_files=shares_files)
        self._here, self._there = here, there

    def start(self, *args: Any, **kwargs: Any) -> Any:
        """Start one there."""
        with self._there.entered():
            return super().start(*args, **kwargs)

    def connect(self, port: int, limit: float) -> Any:
        """Connect to it from here."""
        with self._here.entered():
            return super().connect(port, limit)
