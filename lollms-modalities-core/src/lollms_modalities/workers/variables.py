"""The environment variables that a worker gets: no secrets but those that its binding declares."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable

# A tokenizer is no token: what TOKENIZERS_PARALLELISM says is for engines to know.
_SECRET_NAME = re.compile(r"KEY|TOKEN(?!IZ)|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_NOT_PASSED = ("VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


def clean_variables() -> dict[str, str]:
    """This program's environment variables, without those that would make another Python look at this one's files."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k not in _NOT_PASSED}


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable of that name is likely to hold a key, a token or a password."""
    return _SECRET_NAME.search(name) is not None


def worker_variables(own: bool, passed: Iterable[str] = ()) -> dict[str, str]:
    """This program's environment variables for a worker: those that hold secrets only where ``passed`` names them.

    Args:
        own: whether the worker runs in the Python that runs here.
        passed: names, in which ``*`` stands for anything.
    """
    variables = dict(os.environ) if own else clean_variables()
    return {
        k: v
        for k, v in variables.items()
        if not is_secret_variable(k) or any(fnmatch.fnmatchcase(k, pattern) for pattern in passed)
    }
