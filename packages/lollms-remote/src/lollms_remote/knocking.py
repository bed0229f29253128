"""Asking without a key first, as of servers that know none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lollms_modalities import ServiceAuthError
from lollms_modalities.kit import Answer, HttpClient


class Knocking(HttpClient):
    """Asks without a key, and with it from the first 401 on, which ``lollms serve`` with keys answers.

    Args:
        keyed: gives the client that has the key.
    """

    def __init__(self, *args: Any, keyed: Callable[[], HttpClient], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._keyed = keyed
        self._refused = False

    def request(self, *args: Any, **request: Any) -> Answer:
        """As any client; after a 401 once more, with the key."""
        if not self._refused:
            try:
                return super().request(*args, **request)
            except ServiceAuthError as exc:
                if exc.status != 401:
                    raise
                self._refused = True
        return self._keyed().request(*args, **request)
