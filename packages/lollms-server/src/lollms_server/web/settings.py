"""What the HTTP surface is set to: who may ask, and how much of anything it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from lollms_server.room.configuration import Configuration

MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """How much of anything is taken from a caller. What is beyond is refused while it comes, not when all is there.

    Attributes:
        header_bytes: the request line and all headers.
        json_bytes: a JSON body; sound or an image may be in it as base64.
        stranger_bytes: a body in which there may be the key, until that is known.
        json_depth: how deep its lists and objects go.
        upload_bytes: the files of one request, together.
        field_bytes: one field of a form; ``reference_bytes`` is that of one that may be a recording as a data URL.
        parts: of a form.
        text: characters to be spoken, or of a prompt.
        audio_seconds: of a recording.
        pixels: of an image.
        header_seconds: until all headers are there.
        body_rate: bytes a second that a body comes with at least, on the average, after ``patience`` seconds.
        read_seconds: for which nothing of an answer is taken.
        linger_seconds: that the rest of a body may take which nobody wants, so that its sender reads why.
        ping_seconds: after which an event stream says that it is there.
        connections: at once.
        frame_text: bytes of JSON in one frame of a worker's session.
        sessions: of all callers at once; ``caller_sessions`` is how many of them one may have.
        session_calls: requests that one session may have under way.
        unread_seconds: for which a session's client takes nothing of what its call gives.
        hello_seconds: in which a session must have said which binding it is of.
        turn_seconds: of speech without a pause, after which a realtime session begins another turn.
        stall_seconds: without sound, after which no engine of a realtime session waits for it.
        idle_seconds: for which a realtime session's client may send nothing.
    """

    header_bytes: int = 32_768
    json_bytes: int = 48 * MB
    stranger_bytes: int = 1 * MB
    json_depth: int = 32
    upload_bytes: int = 500 * MB
    field_bytes: int = 1 * MB
    reference_bytes: int = 4 * MB
    parts: int = 200
    text: int = 200_000
    audio_seconds: float = 4 * 3600.0
    pixels: int = 64 * MB
    header_seconds: float = 10.0
    patience: float = 10.0
    body_rate: int = 1024
    read_seconds: float = 60.0
    linger_seconds: float = 5.0
    ping_seconds: float = 10.0
    connections: int = 4096
    frame_text: int = 1 * MB
    sessions: int = 256
    caller_sessions: int = 64
    session_calls: int = 64
    unread_seconds: float = 30.0
    hello_seconds: float = 30.0
    turn_seconds: float = 300.0
    stall_seconds: float = 5.0
    idle_seconds: float = 1800.0


@dataclass(frozen=True)
class WebSettings:
    """What the surface is set to.

    Attributes:
        hosts: names by which the server may be asked, beside loopback's and the addresses that it is bound to.
        origins: sites whose pages may ask from a browser. Never with credentials of the browser's.
        trusted_proxies: addresses of proxies whose ``X-Forwarded-For`` is believed.
        root_path: what a proxy puts before our paths.
        uploads: the folder in which uploads are kept while they are needed; one of the system's where it is empty.
    """

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    root_path: str = ""
    uploads: str = ""
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        """As the configuration has it."""
        serve = configuration.serve
        hosts = (serve.host, *serve.allowed_hosts) if serve.host not in ("", "0.0.0.0", "::") else serve.allowed_hosts
        return cls(
            hosts=tuple(hosts), origins=serve.origins, trusted_proxies=serve.trusted_proxies, root_path=serve.root_path,
            limits=Limits(upload_bytes=serve.max_upload),
        )  # fmt: skip
