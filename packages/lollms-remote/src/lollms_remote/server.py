"""The server: which protocol it speaks, and a client with the credentials that the protocol wants."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from lollms_modalities import (
    BindingSettings,
    LollmsBinding,
    LollmsError,
    OptionError,
    ServiceAuthError,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    current_call,
    setting,
)
from lollms_modalities.kit import Answer, HttpClient, clean_address
from lollms_modalities.kit.http.address import is_loopback, origin
from lollms_modalities.kit.http.reading import parse_json
from pydantic import SecretStr

Protocol = Literal["classic", "modern", "openai"]
PATHS = ("/lollms/v1", "/v1")  # ends of addresses that mean the server itself
_found: dict[str, Protocol] = {}
_finding = threading.Lock()
_one_file: dict[str, threading.Lock] = {}
_OF_USERS = "This server transcribes for its users only."


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
        self.first_voice = ""  # of a classic server, once it has told
        self._token = ""
        self._lock = threading.Lock()
        self._making = threading.Lock()

    @property
    def protocol(self) -> Protocol:
        """What the server speaks: found out once for each address, without credentials."""
        if self._settings.protocol != "auto":
            return self._settings.protocol
        with _finding:
            if self.address not in _found:
                _found[self.address] = self._find()
            return _found[self.address]

    def _find(self) -> Protocol:
        anonymous = self._client("anonymous", {})
        return _find(anonymous, self._with_key() if self._key else anonymous)

    def _with_key(self) -> HttpClient:
        return self._client("key", {"Authorization": f"Bearer {self._key}"})

    def explain(self, error: ServiceError) -> None:
        """Where the protocol was given and is another than the server's, the error says so."""
        given = self._settings.protocol
        if given == "auto" or not (is_missing(error) or error.status == 500):
            return
        try:
            with _finding:
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
        with _finding:
            return _one_file.setdefault(at, threading.Lock())

    @property
    def client(self) -> HttpClient:
        """With the credentials of the protocol: a classic server has none in its headers."""
        if self.protocol == "classic" or not self._key:
            return self._client("anonymous", {})
        return self._with_key()

    def models(self, modality: str) -> list[str]:
        """Names of the models that the server tells of; a modern one tells of them by modality."""
        if self.protocol == "modern":
            told = self.client.get_json("lollms/v1/capabilities")
            active = told.get("active_bindings") if isinstance(told, dict) else None
            return names_in(active.get(modality) if isinstance(active, dict) else None)
        told = self.client.get_json("v1/models")
        return names_in(told.get("data") if isinstance(told, dict) else told)

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

    def _client(self, kind: str, headers: dict[str, str]) -> HttpClient:
        with self._making:
            if (made := self._clients.get(kind)) is not None:
                return made
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
        own = not self.loaded
        server = self.load_model() if own else self.model
        try:
            yield server
        except ServiceError as exc:
            server.explain(exc)
            raise
        finally:
            if own:
                server.close()

    @contextmanager
    def asking(self) -> Iterator[Server]:
        """The server, for what it is to make."""
        server: Server = self.model
        try:
            yield server
        except ServiceError as exc:
            server.explain(exc)
            raise


def forget_protocols() -> None:
    """Find out anew what each server speaks."""
    _found.clear()


def is_missing(error: ServiceError) -> bool:
    """Whether an error says that the server has no such endpoint."""
    return error.status in (404, 405, 501) or (isinstance(error, ServiceResponseError) and error.status is None)


def refuses(error: ServiceError, name: str) -> bool:
    """Whether an error says that the server does not take what is called so."""
    return error.status in (400, 422) and (name in error.message or name in (getattr(error, "param", None) or ""))


def tell_unused(server: Server, strict: bool, **options: Any) -> None:
    """Say which of the options that were given the server cannot take.

    Raises:
        OptionError: there are some, and ``strict``.
    """
    unused = [name for name, value in options.items() if value is not None]
    if not unused:
        return
    said = f"A server that speaks {server.protocol!r} does not take {' and '.join(unused)} here."
    if strict:
        raise OptionError(said, hint="Leave that out, or leave strict out: then it is told in a warning.", names=unused)
    warnings.warn(f"{said} The server does without.", stacklevel=3)


@contextmanager
def waiting_for(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock, unless the call is stopped while it is waited for."""
    while not lock.acquire(timeout=0.05):
        current_call().check()
    try:
        yield
    finally:
        lock.release()


def first_that_works(ways: list[Callable[[], Any]], of_the_engine: Sequence[Callable[[], Any]] = ()) -> Any:
    """The first result; the errors of those before are told by the last one's, which is raised.

    Args:
        of_the_engine: ways of which a 500 with words (JSON) means that the server's engine failed.
    """
    failed: list[ServiceError] = []
    for way in ways:
        try:
            return way()
        except ServiceAuthError:
            raise
        except ServiceError as exc:
            if exc.status is None and exc.retryable:
                raise  # it is not there at all
            if exc.status == 500 and way in of_the_engine and getattr(exc, "keys", None):
                raise  # which failed, and is not asked to do it again in another way
            failed.append(exc)
    last = failed[-1]
    if len(failed) > 1:
        last.message = " ".join(error.message for error in failed)
        last.args = (last.message,)
    raise last


def _find(client: HttpClient, with_key: HttpClient) -> Protocol:
    answered: dict[str, int] = {}

    def probe(asker: HttpClient, path: str, body: Any = None) -> tuple[int, Any]:
        answered[path], json = _probe(asker, path, body)
        return answered[path], json

    capabilities = "lollms/v1/capabilities"
    modern = _is_modern(*probe(client, capabilities))
    if modern and with_key is client:
        return "modern"
    status, json = probe(client, "tts_is_ready")
    if status in (401, 403) and with_key is not client:
        # This one lets nobody in without a key, whatever is asked for, so that a 401 tells nothing.
        modern = _is_modern(*probe(with_key, capabilities))
    if modern:
        return "modern"
    if status == 200 and isinstance(json, dict) and isinstance(json.get("status"), bool):
        return "classic"
    askers = tuple(dict.fromkeys((client, with_key)))
    for asker in askers:  # some fail where no key is given
        if _is_openai(*probe(asker, "v1/models")):
            return "openai"
    no_list = answered["v1/models"] in (404, 405)
    for asker, path in itertools.product(askers, _ROUTES):
        # Some have no list of models. Nothing is made of nothing, but a route that is there says what is wrong with it.
        status, json = probe(asker, path, {})
        said = isinstance(json, dict)
        if said and (status in (400, 401, 403, 415, 422) or (no_list and status == 500 and "error" in json)):
            return "openai"
    if all(status in (401, 403) for status in answered.values()):
        raise ServiceAuthError(
            f"The server at {client.address} lets nobody in without the right key, so what it speaks is not known.",
            hint="Give service_key, or check it.", status=min(answered.values()),
        )  # fmt: skip
    by_status: dict[int, list[str]] = {}
    for path, status in answered.items():
        by_status.setdefault(status, []).append(path)
    raise ServiceResponseError(
        f"The server at {client.address} speaks none of the protocols classic, modern and openai: it answers "
        + "; ".join(f"{status} to {', '.join(paths)}" for status, paths in by_status.items())
        + ".",
        hint="Check the address, or say which with protocol=.",
    )


def _probe(client: HttpClient, path: str, body: Any = None) -> tuple[int, Any]:
    """The status, and the JSON of the answer; of one that says failure its keys alone, None where it is no JSON."""
    try:
        method = "GET" if body is None else "POST"
        answer: Answer = client.request(method, path, json=body, retries=0, max_bytes=1 << 20)
        status, body, content_type = answer.status, answer.body, answer.content_type
    except ServiceError as exc:
        if exc.status is None and exc.retryable:
            raise  # nobody is there
        keys = getattr(exc, "keys", ())
        return exc.status or 0, dict.fromkeys(keys) if keys else None
    # Some answer any GET with 200 and a web page: JSON it must be.
    if content_type and "json" not in content_type:
        return status, None
    try:
        return status, parse_json(body, content_type, "The server")
    except ServiceResponseError:
        return status, None


_NAMES = ("alias", "voice_id", "id", "name", "binding_name", "model_name")


def names_in(told: Any) -> list[str]:
    """The names in what servers tell of models and voices: one, a list, a table by name, or rows that hold theirs."""
    if isinstance(told, str):
        return [told] if told else []
    if isinstance(told, dict):
        own = next((told[key] for key in _NAMES if isinstance(told.get(key), str)), None)
        return [own] if own else [str(name) for name in told]
    if isinstance(told, list):
        return list(dict.fromkeys(name for row in told for name in names_in(row)))
    return []


def _is_modern(status: int, json: Any) -> bool:
    if not isinstance(json, dict):
        return False
    return (status == 200 and "capabilities" in json) or (status in (401, 403) and "detail" in json)


def _is_openai(status: int, json: Any) -> bool:
    if isinstance(json, list):  # of some the list stands alone
        return status == 200 and bool(json) and all(isinstance(row, dict) and "id" in row for row in json)
    if not isinstance(json, dict):
        return False
    # 400: what a proxy without a database says to a key that it does not know.
    listed = isinstance(json.get("data"), list) or json.get("object") == "list"
    return (status == 200 and listed) or (status in (400, 401, 403) and "error" in json)


_ROUTES = ("v1/audio/speech", "v1/audio/transcriptions", "v1/images/generations")


def _open(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
