"""The server: which protocol it speaks, and a client with the credentials that the protocol wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from lollms_modalities import (
    BindingSettings,
    LollmsBinding,
    ServiceAuthError,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    setting,
)
from lollms_modalities.http import Answer, HttpClient, clean_address
from lollms_modalities.http.reading import parse_json
from pydantic import SecretStr

Protocol = Literal["classic", "modern", "openai"]
PATHS = ("/lollms/v1", "/v1")  # ends of addresses that mean the server itself
_found: dict[str, Protocol] = {}
_finding = threading.Lock()


class RemoteSettings(BindingSettings):
    """What the five bindings are set to."""

    host_address: str = setting("http://localhost:9600", description="Address of the server.", shared=True, reload=True)
    model_name: str | None = setting(None, description="Model; of speech the voice to use when none is named.")
    service_key: SecretStr | None = setting(
        None, description="Bearer key; with a classic server the client's id.", shared=True, reload=True
    )
    client_id: str | None = setting(None, description="The client's id with a classic server.")
    protocol: Literal["auto", "classic", "modern", "openai"] = setting(
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
        self._token = ""
        self._lock = threading.Lock()

    @property
    def protocol(self) -> Protocol:
        """What the server speaks: found out once for each address, without credentials."""
        if self._settings.protocol != "auto":
            return self._settings.protocol
        with _finding:
            if self.address not in _found:
                _found[self.address] = _find(self._client("anonymous", {}))
            return _found[self.address]

    @property
    def client(self) -> HttpClient:
        """With the credentials of the protocol: a classic server has none in its headers."""
        if self.protocol == "classic" or not self._key:
            return self._client("anonymous", {})
        return self._client("key", {"Authorization": f"Bearer {self._key}"})

    def client_id(self, given: str | None) -> str | None:
        """The client's id with a classic server."""
        return given or self._settings.client_id or self._key or None

    def as_user(self) -> HttpClient:
        """With a user's token, for what a modern server gives users only.

        Raises:
            SettingsError: no user was given.
        """
        name = self._settings.user_name
        if not name or not self._password:
            raise SettingsError("This server transcribes for its users only.", hint="Give user_name and user_password.")
        with self._lock:
            if not self._token:
                anonymous = self._client("anonymous", {})
                form = {"username": name, "password": self._password}
                answer = anonymous.request("POST", "api/auth/token", form=form, retries=0)
                token = parse_json(answer.body, answer.content_type, "The server").get("access_token")
                if not isinstance(token, str):
                    raise ServiceAuthError("The server gave no token to the user.", hint="Check the password.")
                self._token = token
        return self._client("user", {"Authorization": f"Bearer {self._token}"})

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, kind: str, headers: dict[str, str]) -> HttpClient:
        made = self._clients.get(kind)
        if made is None:
            settings = self._settings
            made = self._clients[kind] = HttpClient(
                self.address,
                headers=headers,
                secrets=(self._key, self._password, self._token),
                verify=settings.verify_ssl_certificate,
                connect_timeout=settings.connect_timeout,
                read_timeout=settings.request_timeout,
                total_timeout=settings.request_timeout,
                retries=settings.max_retries,
                name="The server",
            )
        return made


class Remote(LollmsBinding):
    """What the five bindings share: the server in the place of a model."""

    engine = "lollms-server"
    concurrency = 64
    settings: RemoteSettings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        clean_address(self.settings.host_address, strip=PATHS)

    def load_model(self) -> Server:
        return Server(self.settings)

    def free_model(self, model: Server) -> None:
        model.close()

    @contextmanager
    def asked(self) -> Iterator[Server]:
        """The server, for lists: what is listed is no reason to keep connections."""
        if self.loaded:
            yield self.model
            return
        server = self.load_model()
        try:
            yield server
        finally:
            server.close()


def forget_protocols() -> None:
    """Find out anew what each server speaks."""
    _found.clear()


def is_missing(error: ServiceError) -> bool:
    """Whether an error says that the server has no such endpoint."""
    return error.status in (404, 405, 501) or (isinstance(error, ServiceResponseError) and error.status is None)


def first_that_works(ways: list[Callable[[], Any]]) -> Any:
    """The first result; the errors of those before are told by the last one's, which is raised."""
    failed: list[ServiceError] = []
    for way in ways:
        try:
            return way()
        except ServiceAuthError:
            raise
        except ServiceError as exc:
            if exc.status is None and exc.retryable:
                raise  # it is not there at all
            failed.append(exc)
    last = failed[-1]
    if len(failed) > 1:
        last.message = " ".join(error.message for error in failed)
        last.args = (last.message,)
    raise last


def _find(client: HttpClient) -> Protocol:
    probes: tuple[tuple[str, Protocol, Callable[[int, Any], bool]], ...] = (
        ("lollms/v1/capabilities", "modern", _is_modern),
        ("tts_is_ready", "classic", lambda status, json: status == 200 and isinstance(json.get("status"), bool)),
        ("v1/models", "openai", _is_openai),
    )
    for path, protocol, fits in probes:
        status, json = _probe(client, path)
        if isinstance(json, dict) and fits(status, json):
            return protocol
    raise ServiceResponseError(
        f"The server at {client.address} speaks none of the protocols classic, modern and openai.",
        hint="Check the address, or say which with protocol=.",
    )


def _probe(client: HttpClient, path: str) -> tuple[int, Any]:
    try:
        answer: Answer = client.request("GET", path, retries=0, max_bytes=1 << 20)
        status, body, content_type = answer.status, answer.body, answer.content_type
    except ServiceError as exc:
        if exc.status is None and exc.retryable:
            raise  # nobody is there
        return exc.status or 0, dict.fromkeys(getattr(exc, "keys", ()))
    # Some answer any GET with 200 and a web page: JSON it must be.
    if "json" not in content_type:
        return status, None
    try:
        return status, parse_json(body, content_type, "The server")
    except ServiceResponseError:
        return status, None


def _is_modern(status: int, json: Any) -> bool:
    return (status == 200 and "capabilities" in json) or (status in (401, 403) and "detail" in json)


def _is_openai(status: int, json: Any) -> bool:
    return (status == 200 and isinstance(json.get("data"), list)) or (status in (401, 403) and "error" in json)


def _open(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
