"""A place that is reached with the user's own ``ssh``: ``place="ssh://user@gpu-box"``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lollms_modalities.workers.ssh_address import parse_address
from lollms_modalities.workers.ssh_process import SshProcess
from lollms_modalities.workers.variables import is_secret_variable

if TYPE_CHECKING:
    from lollms_modalities.workers.policy import Spec


class SshPlace:
    """A machine on which ``ssh`` starts workers, each over a connection of its own.

    Nothing of ours has to run there: Python 3.8 finds the environment, which holds the binding and the core. Nothing is
    installed there either.

    Args:
        address: ``ssh://user@host:port``; the user and the port may be left out, and the host may be an alias of the
            user's ssh configuration.

    Attributes:
        address: as it was read.

    Raises:
        SettingsError: the address cannot be read.
    """

    shares_files = False

    def __init__(self, address: str) -> None:
        self.address = parse_address(address)

    @property
    def name(self) -> str:
        """The address."""
        return str(self.address)

    def start(self, spec: Spec, *, own: bool) -> SshProcess:
        """Connect, find the environment, start the worker.

        Raises:
            PlaceError: the machine cannot be reached, or nothing can be run there.
            BindingNotFoundError: no environment there has the binding, or there is no such environment.
        """
        found = spec.variables(own=False)
        # This program's own variables mean nothing there, but for those that the policy names.
        passed = {name: value for name, value in found.items() if is_secret_variable(name)}
        return SshProcess(self.address, spec, {**passed, **spec.policy.variables})

    def __repr__(self) -> str:
        return f"SshPlace({self.name!r})"
