"""One server: what it is set to, and a client with the credentials that its protocol wants."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from lollms_modalities import (
    BindingSettings,
    LollmsError,
    ServiceAuthError,
    ServiceError,
    SettingsError,
    UnsupportedError,
    setting,
)
from lollms_modalities.kit import HttpClient, clean_address
from lollms_modalities.kit.http.address import is_loopback, origin
from lollms_modalities.kit.http.reading import parse_json
from pydantic import SecretStr

from lollms_remote import v2
from lollms_remote.answers import is_missing, names_in, names_of
from lollms_remote.knocking import Knocking
from lollms_remote.protocols import FINDING, Protocol, find_protocol, protocol_at

PATHS = ("/lollms/v1", "/lollms/v2", "/v1")  # ends of addresses that mean the server itself
_one_file: dict[str, threading.Lock] = {}
_naming = threading.Lock()
_OF_USERS = "This server transcribes for its users only."


class RemoteSettings(BindingSettings):
    """What the five bindings are set to."""

    host_address: str = setting("http://localhost:9600", description="Address of the server.", shared=True, reload=True)
    model_name: str | None = setting(
        None, description="Model; of speech the voice to use when none is named.", kind="plain"
    )
    service_key: SecretStr | None = setting(
        None, description="Bearer key; with a classic server the client's id.", shared=True, reload=True
    )
    client_id: str | None = setting(None, description="The client's id with a classic server.")
    protocol: Literal["auto", "classic", "modern", "openai", "v2"] = setting(
        "auto", description="What the server speaks; found out when auto.", reload=True
    )
    user_name: str | None = setting(None, description="User, for what a modern server gives users only.", reload=True)
    user_password: SecretStr | None = setting(None, description="The user's password.", reload=True)
    verify_ssl_certificate: bool = setting(
        True, description="Check the server's certificate.", shared=True, reload=True
    )
    request_timeout: float = setting(600.0, description="Seconds for one request in all.", gt=0, reload=True)
    connect_timeout: float = setting(10.0, description="Seconds to reach the server.", gt=0, reload=True)
    max_retries: int = setting(2, description="How often a request is tried again.", ge=0, le=10, reload=True)


class Server:
    """One server, as a binding's settings name it. Asks nobody before it is asked for something."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._key = _open(settings.service_key)
        self._password = _open(settings.user_password)
        self.address = clean_address(settings.host_address, strip=PATHS)
        self._clients: dict[str, HttpClient] = {}
        self.first_voice = ""  # of a classic server, once it has told
        self._token = ""
        self._described: dict[tuple[str, str], dict[str, Any]] = {}  # by modality and model, of lollms serve
        self._lock = threading.Lock()
        self._making = threading.Lock()

    @property
    def protocol(self) -> Protocol:
        """What the server speaks: found out once for each address, without credentials."""
        if self._settings.protocol != "auto":
            return self._settings.protocol
        return protocol_at(self.address, self._find)

    def _find(self) -> Protocol:
        anonymous = self._client("anonymous", {})
        return find_protocol(anonymous, self._with_key() if self._key else anonymous)

    def _with_key(self) -> HttpClient:
        return self._client("key", {"Authorization": f"Bearer {self._key}"})

    def explain(self, error: ServiceError) -> None:
        """Where the protocol was given and is another than the server's, the error says so."""
        given = self._settings.protocol
        if given == "auto" or not (is_missing(error) or error.status == 500):
            return
        try:
            with FINDING:
                spoken = self._find()
        except LollmsError:
            return  # which says less than the error
        if spoken != given:
            error.hint = f"protocol={given!r} was given, and the server speaks {spoken!r}: give that, or leave it out."

    @property
    def one_file(self) -> threading.Lock:
        """For what a classic server does in one file that all its clients share."""
        scheme, host, port = origin(self.address)
        # This machine has several names, and the server behind them is one.
        at = f"{scheme}://{'localhost' if is_loopback(self.address) else host}:{port}"
        with _naming:
            return _one_file.setdefault(at, threading.Lock())

    @property
    def client(self) -> HttpClient:
        """With the credentials of the protocol: a classic server has none in its headers, unless it asks for some."""
        if not self._key:
            return self._client("anonymous", {})
        if self.protocol == "classic":
            return self._client("knocking", {}, partial(Knocking, keyed=self._with_key))
        return self._with_key()

    def models(self, modality: str) -> list[str]:
        """Names of the models that the server tells of; a modern one tells of them by modality."""
        if self.protocol == "modern":
            told = self.client.get_json("lollms/v1/capabilities")
            return names_of(modality, told.get("active_bindings") if isinstance(told, dict) else None)
        if self.protocol == "v2":
            return v2.names(self.client, modality)
        told = self.client.get_json("v1/models")
        return names_in(told.get("data") if isinstance(told, dict) else told)

    def called(self, modality: str, model: str | None, verb: str, strict: bool, extra: Mapping[str, Any] | None,
               **given: Any) -> tuple[str | None, dict[str, Any]]:  # fmt: skip
        """What a verb of a binding that ``lollms serve`` serves is asked with: the binding's name, and its arguments.

        Args:
            model: the binding, or None for the default one.
            extra: options of the binding's own; whether it has them the server says.
            given: what it may not know; None is left out.

        Raises:
            UnsupportedError: the binding has no such verb.
            OptionError: it does not know one of those given, and ``strict``.
        """
        key = (modality, model or "")
        if key not in self._described:
            self._described[key] = v2.describe(self.client, modality, model)
        if verb not in self._described[key]["verbs"]:
            has = ", ".join(sorted(self._described[key]["verbs"]))
            raise UnsupportedError(f"The server's {model or modality} has no verb {verb!r}.", hint=f"It has: {has}.")
        known = v2.takes(self._described[key], verb)
        if given.get("timestamps") == "segment" and "timestamps" not in known:
            given["timestamps"] = None  # segments it tells, or it would not be asked for less
        from lollms_remote.binding import tell_unused

        tell_unused(self, strict, **{name: value for name, value in given.items() if name not in known})
        taken = {name: value for name, value in given.items() if name in known and value is not None}
        return model, taken | dict(extra or {})

    def client_id(self, given: str | None) -> str | None:
        """The client's id with a classic server."""
        return given or self._settings.client_id or self._key or None

    def as_user(self, ask: Callable[[HttpClient], Any]) -> Any:
        """Ask with a user's token, for what a modern server gives users only; with a new one where it is refused, since
        a token has its time and ends with the server's key.

        Raises:
            SettingsError: no user was given.
        """
        token = self._user_token("")
        try:
            return ask(self._with_token(token))
        except ServiceAuthError as exc:
            if exc.status != 401:
                raise
            token = self._user_token(token)
        return ask(self._with_token(token))

    def _with_token(self, token: str) -> HttpClient:
        # Of its own for each: a thread that still has the old one must not have the others use it.
        return self._client(f"user {token}", {"Authorization": f"Bearer {token}"})

    def _user_token(self, refused: str) -> str:
        """The token; another one than ``refused``."""
        name = self._settings.user_name
        if not name or not self._password:
            raise SettingsError(_OF_USERS, hint="Give user_name and user_password.")
        with self._lock:
            if self._token in ("", refused):
                anonymous = self._client("anonymous", {})
                form = {"username": name, "password": self._password}
                answer = anonymous.request("POST", "api/auth/token", form=form, retries=0)
                told = parse_json(answer.body, answer.content_type, "The server")
                token = told.get("access_token") if isinstance(told, dict) else None
                if not isinstance(token, str) or not token:
                    raise ServiceAuthError("The server gave no token to the user.", hint="Check the password.")
                self._token = token
                if (old := self._clients.pop(f"user {refused}", None)) is not None:
                    old.close()
            return self._token

    def close(self) -> None:
        """Close the connections."""
        for client in list(self._clients.values()):
            client.close()

    def _client(self, kind: str, headers: dict[str, str], make: Callable[..., HttpClient] = HttpClient) -> HttpClient:
        with self._making:
            if (made := self._clients.get(kind)) is not None:
                return made
            settings = self._settings
            made = self._clients[kind] = make(
                self.address,
                headers=headers | _hops(),
                secrets=(self._key, self._password, self._token),
                verify=settings.verify_ssl_certificate,
                connect_timeout=settings.connect_timeout,
                read_timeout=settings.request_timeout,
                total_timeout=settings.request_timeout,
                retries=settings.max_retries,
                name="The server",
            )
        return made


def _hops() -> dict[str, str]:
    """Within a server it is told that a server asks, so that servers do not ask each other in a circle."""
    passed = os.environ.get("LOLLMS_HOPS", "")
    return {"X-Lollms-Hops": passed} if passed.isdigit() else {}


def _open(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
