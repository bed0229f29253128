"""What the jobs refuse, as errors of the one tree."""

from __future__ import annotations

from lollms_modalities import LollmsError, SaveError


class JobNotFound(LollmsError, LookupError):
    """No job has that id, or it is another's."""


class JobUnfinished(LollmsError, LookupError):
    """There is nothing of the job to be had yet, or ever.

    Attributes:
        retry_after: seconds after which it is worth asking again.
    """

    retry_after: float


class JobLost(LollmsError, RuntimeError):
    """The job was not done: its server ended, its key was removed, or nobody serves its model."""


class KeyReused(LollmsError, ValueError):
    """The ``Idempotency-Key`` has been used for something else."""


class StoreFull(SaveError):
    """The results take as much as they may, or the disk is full."""


class StoreLost(LollmsError, ConnectionError):
    """The database of the jobs, or the place of their results, does not answer.

    Attributes:
        retry_after: seconds after which it is worth asking again.
    """

    retry_after: float
