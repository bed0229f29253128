"""Where a server's answers lead: which addresses that it gives are asked, and which are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from lollms_modalities.errors import ServiceResponseError
from lollms_modalities.kit.http.address import is_loopback, origin

if TYPE_CHECKING:
    from lollms_modalities.kit.http.reading import Answer


class Links:
    """Addresses as one server gives them.

    Args:
        address, name: of the server.
        secrets: words that no error may show.
    """

    def __init__(self, address: str, name: str, secrets: tuple[str, ...]) -> None:
        self._address = address
        self._name = name
        self._secrets = secrets

    def url(self, path: str) -> str:
        """Of a path below the server's address; a whole URL must be of the same origin."""
        if "://" not in path:
            return f"{self._address}/{path.lstrip('/')}"
        if self._origin(path) != origin(self._address):
            host = urlsplit(path).hostname
            raise self._error(ServiceResponseError(f"{self._name} points to another place, {host!r:.100}: not asked."))
        return path

    def redirect(self, method: str, answer: Answer) -> str | None:
        """Where an answer redirects to, on the same server; None where it does not redirect."""
        location = answer.headers.get("Location")
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            return None
        target = self._joined(answer.url, location)
        if self._origin(target) != origin(self._address):
            raise self._error(
                ServiceResponseError(
                    f"{self._name} redirects to another place, {urlsplit(target).hostname!r:.100}: not followed.",
                    hint="Give that address, if it is the right one.",
                    status=answer.status,
                )
            )
        if answer.status in (301, 302, 303) and method != "GET":
            raise self._error(
                ServiceResponseError(
                    f"{self._name} redirects a {method} to {urlsplit(target).path[:100]!r}.",
                    hint="Give the address that it redirects to.",
                    status=answer.status,
                )
            )
        return target

    def check_foreign(self, url: str, hosts: tuple[str, ...]) -> None:
        """Raise unless something that an answer points to may be asked for, of the server itself or of these hosts."""
        self._origin(url)
        target = urlsplit(url)
        host = (target.hostname or "").lower()
        own = (urlsplit(self._address).hostname or "").lower()
        allowed = (
            host == own
            or self._is_own(url)
            or any(host == h or (h.startswith(".") and host.endswith(h)) for h in hosts)
        )
        safe = target.scheme == "https" or (target.scheme == "http" and is_loopback(self._address) and is_loopback(url))
        if not allowed or not safe or target.username is not None:
            raise self._error(
                ServiceResponseError(
                    f"{self._name} points to {target.scheme}://{host[:100]}, which is not asked.",
                    hint=f"Only https, from {', '.join((own, *hosts))}.",
                )
            )

    def _origin(self, url: str) -> tuple[str, str, int]:
        """Of an address that an answer gave, which may be none."""
        try:
            return origin(url)
        except ValueError as exc:
            raise self._no_address(url, exc) from None

    def _joined(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError as exc:
            raise self._no_address(location, exc) from None

    def _is_own(self, url: str) -> bool:
        """Whether it is our server under another name of this machine: some always call themselves localhost."""
        return is_loopback(url) and is_loopback(self._address) and origin(url)[2] == origin(self._address)[2]

    def _no_address(self, url: str, exc: ValueError) -> ServiceResponseError:
        return self._error(ServiceResponseError(f"{self._name} points to {url[:100]!r}, which is no address: {exc}."))

    def _error(self, error: ServiceResponseError) -> ServiceResponseError:
        return error.hide(self._secrets)
