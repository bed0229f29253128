"""``lollms serve --open``: the page in the user's browser."""

from __future__ import annotations

import threading
import webbrowser

from lollms_modalities import ConfigurationError

from lollms_server.commands.output import say
from lollms_server.room.configuration import Serve

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # addresses to listen at, and none to go to


def check(serve: Serve) -> None:
    """Whether there is a page to open.

    Raises:
        ConfigurationError: it is switched off.
    """
    if not serve.page or "lollms" not in serve.surfaces:
        raise ConfigurationError(
            "There is no page to open: [serve] page is off, or its surface lollms is not served.",
            hint="Leave out --open or --no-page, or set page = true and have lollms among the surfaces.",
        )


def address_of(serve: Serve, port: int) -> str:
    """Where a browser on this machine finds the page."""
    host = _ANY.get(serve.host, serve.host)
    scheme = "https" if serve.tls_key is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def open_page(serve: Serve, port: int) -> None:
    """Open it, without waiting: a browser in a terminal stays until it is left."""
    address = address_of(serve, port)

    def run() -> None:
        if not webbrowser.open(address):
            say(f"No browser could be opened. The page is at {address}")

    threading.Thread(target=run, name="lollms-browser", daemon=True).start()
