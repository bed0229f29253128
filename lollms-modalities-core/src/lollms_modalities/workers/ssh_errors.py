"""Why nothing runs at the other end of ssh: in its own words, with what mends it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lollms_modalities.errors import BindingDependencyError, BindingNotFoundError, LollmsError, PlaceError
from lollms_modalities.workers.ssh_address import SshAddress

SSH_FAILED: Final = 255
"""How ssh ends when it has failed itself; other codes are of what ran there."""

# What ssh prints, the reason, and what mends it, where {target} is as one writes it for ssh.
_FAILURES = (
    (r"has changed and you", "identity", "Its key is another than the one that is known. If that is right, run "
     "ssh-keygen -R for the host, then ssh {target}, and compare the fingerprint."),
    (r"[Hh]ost key (verification failed|is known)|key is not known", "identity",
     "Its key is not known here: run ssh {target} once in a terminal, and compare the fingerprint."),
    (r"Permission denied|Too many authentication failures", "authentication",
     "No password is asked for: give it a key with ssh-copy-id {target}, or unlock yours with ssh-add."),
    (r"Could not resolve hostname", "address", "Look at the spelling; an alias stands in the configuration of ssh."),
    (r"Connection refused", "unreachable", "No sshd listens there: start it, or name its port."),
    (r"timed out|No route to host|[Uu]nreachable|not responding", "unreachable",
     "Look whether the machine runs and can be reached from here: ssh {target}"),
    (r"(python3|exec).*(not found|No such file|not recognized)|[Uu]nknown command.*python3", "program",
     "There is no python3 on the path that ssh gives there: install one, or link it to /usr/local/bin."),
)  # fmt: skip


def failure(address: SshAddress, code: int | None, said: bytes, lines: Sequence[str]) -> PlaceError:
    """The error for a connection that did not come about.

    Args:
        address: where to.
        code: how ssh ended; None if it has not.
        said: what came in the place of the first line of ours.
        lines: what it printed.
    """
    words = " ".join([line for line in lines if line.strip()][-2:])[-600:]
    plain = ("unreachable" if code == SSH_FAILED else "answer", "Try it in a terminal: ssh {target} python3 -V")
    reason, mend = next((told for pattern, *told in _FAILURES if re.search(pattern, words)), plain)
    if reason == "answer" or (said and code != SSH_FAILED):
        came = [f"{said[:200]!r} came"] if said else []
        message = f"{address} answers, but not with a worker: {', and '.join([*came, words or 'it ended'])}"
    else:
        message = f"{address}: {words or f'ssh ended with {code} and said nothing'}"
    hint = mend.format(target=address.target)
    return PlaceError(message.rstrip(".") + ".", hint=hint, place=str(address), reason=reason)


def missing(
    address: SshAddress, told: Mapping[str, Any], modality: str, name: str, environment: str | None
) -> LollmsError:
    """The error for what the other side has not found, which ``told`` says."""
    at, what = str(address), told["missing"]
    create = f"lollms env create {shlex.quote(name)} --on {at}"
    if what == "folder":
        return BindingNotFoundError(
            f"{environment!r} is no virtual environment at {at}: {told['folder']!r} holds no pyvenv.cfg there.",
            hint=f"Make one there, or run {create}.",
        )
    if what == "environment":
        known = f"There are: {', '.join(told['known'])}." if told["known"] else "There is none yet."
        return BindingNotFoundError(
            f"There is no environment {environment!r} at {at}.",
            hint=f"{known} {create} --name {shlex.quote(environment or '')} makes it.",
        )
    if what == "binding":
        there = "; ".join(f"{where}: {', '.join(names) or 'none'}" for where, names in told["there"].items())
        return BindingNotFoundError(
            f"No {modality} binding {name!r} is installed at {at}. Of this modality it has: {there}.",
            hint=f"Run {create}, which makes an environment for it there.",
        )
    return BindingDependencyError(
        f"At {at} neither Python {told['version']} ({told['python']}) nor the command lollms has "
        f"{told.get('lacks', 'lollms-modalities-core')}, and no environment does.",
        hint=f"Install it there, such as by ssh {address.target} pipx install lollms-client; then run "
        f"{create if name else 'this again'}.",
        name=name,
    )
