"""How workers are kept, and what each worker of a binding is started with."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import SettingsError
from lollms_modalities.workers.masking import Secrets
from lollms_modalities.workers.output import Output
from lollms_modalities.workers.scaling import Rule
from lollms_modalities.workers.variables import worker_variables

if TYPE_CHECKING:
    from lollms_modalities.workers.places import Place

Pool = int | tuple[int, int] | list[int]  # how many workers, or the least and the most
_IDLE = 60.0  # seconds after which a worker of an elastic pool ends, where nothing else is said


@dataclass(frozen=True)
class WorkerPolicy:
    """How the workers of one binding are kept.

    Attributes:
        pool: how many there may be at once; each runs as many calls as the binding declares (mostly one). Two numbers,
            as in ``(0, 8)``, are an *elastic* pool: the least and the most; workers are started while calls wait, and
            ended when they have nothing to do.
        grace: seconds that a call may take to stop after it was asked to; then its worker is killed.
        start_timeout: seconds that a worker may take to start and make the binding.
        max_calls: a worker is replaced after so many calls; None for never.
        max_growth: or when it has grown by so many bytes since its first call; None for never (Linux).
        idle_timeout: or ended when it had nothing to do for so many seconds; None for never, and in an elastic pool for
            60, which its least workers stay beyond.
        wait_target: seconds that a call may wait for a worker of an elastic pool before a further one is started.
        variables: environment variables of the workers, besides the host's.
        pass_variables: names of the host's variables that workers get although the names say that they hold secrets
            (KEY, TOKEN, SECRET, PASSWORD, CREDENTIAL); ``*`` stands for anything. Those that the binding declares
            (``setting(env=...)``) it gets anyway.
    """

    pool: Pool = 1
    grace: float = 5.0
    start_timeout: float = 300.0
    max_calls: int | None = None
    max_growth: int | None = None
    idle_timeout: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    pass_variables: Sequence[str] = ()
    wait_target: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool", checked_pool(self.pool))
        for name in ("wait_target", "idle_timeout"):
            _check_seconds(name, getattr(self, name))

    @property
    def rule(self) -> Rule | None:
        """By which an elastic pool grows and shrinks; None where it is none."""
        if isinstance(self.pool, int):
            return None
        least, most = self.pool
        return Rule(least, most, self.wait_target, _IDLE if self.idle_timeout is None else self.idle_timeout)

    @property
    def most(self) -> int:
        """How many workers there may be at once."""
        return self.pool if isinstance(self.pool, int) else self.pool[1]


def checked_pool(pool: object) -> int | tuple[int, int]:
    """How many workers: a number, or the least and the most.

    Raises:
        SettingsError: it is neither.
    """
    given = tuple(pool) if isinstance(pool, (list, tuple)) else pool
    numbers = given if isinstance(given, tuple) else (given, given)
    if len(numbers) == 2 and all(type(number) is int for number in numbers):
        least, most = numbers
        if most >= 1 and 0 <= least <= most and given != 0:
            return given  # type: ignore[return-value]
    raise SettingsError(
        f"pool={pool!r:.100} is no number of workers.",
        hint="Give a whole number from 1, or two: (0, 8) is none while nothing is asked, and at most eight.",
        names=["pool"],
    )


def _check_seconds(name: str, value: object) -> None:
    if value is None and name == "idle_timeout":
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise SettingsError(
            f"{name}={value!r:.100} is no number of seconds.", hint="Give a number from 0.", names=[name]
        )


class Spec:
    """What every worker of one binding is started with.

    Attributes:
        place: what starts them; ``where`` says where that is, for messages.
        python: the interpreter. Where the place shares no files it is this machine's, and tells nothing.
        environment: the environment that was asked for by name or path, or None.
        lock: the file that keeps its environment from being taken away, or None.
        settings, shared: which the binding is made with, None before it is; ``settings`` follows ``set_settings``.
    """

    def __init__(
        self, modality: str, name: str, python: Path, where: str, directory: str | None, policy: WorkerPolicy,
        place: Place, *, distribution: str | None = None, environment: str | None = None, lock: Path | None = None,
    ) -> None:  # fmt: skip
        self.modality = modality
        self.name = name
        self.python = python
        self.where = where
        self.place = place
        self.environment = environment
        self.directory = directory
        self.distribution = distribution
        self.policy = policy
        self.lock = lock
        self.settings: dict[str, Any] | None = None
        self.version = 0  # of the settings
        self.secrets = Secrets()
        self.shared: dict[str, Any] = {}
        # Under the binding's name, so that a program can turn one engine's chatter up or down.
        self.log = logging.getLogger(f"lollms_modalities.workers.{name}")

    def variables(self, *, own: bool) -> dict[str, str]:
        """The environment variables of a worker: this program's without secrets, and the policy's.

        Secrets among them are masked from now on. What a place that shares no files makes of this program's own is its
        business; those of ``policy.variables`` are meant for the worker wherever it is.

        Args:
            own: whether it runs in the Python that runs here.
        """
        found = {**worker_variables(own, self.policy.pass_variables), **self.policy.variables}
        self.secrets.note_variables(found)
        return found

    def output(self) -> Output:
        """What takes in, logs and remembers what one worker prints."""
        return Output(self.log, self.secrets.clean)

    def change(self, settings: Mapping[str, Any]) -> None:
        """Workers that are started from now on have these settings."""
        self.settings = {**(self.settings or {}), **settings}
        self.version += 1

    def __str__(self) -> str:
        return f"The worker of the {self.modality} binding {self.name!r} ({self.where})"
