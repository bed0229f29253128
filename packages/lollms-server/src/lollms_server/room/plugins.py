"""The plug-ins that hear of the calls: with a time limit, and counted when they fail."""

from __future__ import annotations

from lollms_modalities import hooks

from lollms_server.room.configuration import Configuration
from lollms_server.room.metrics import Metrics


def limit(configuration: Configuration, metrics: Metrics) -> None:
    """Have hooks run as ``[serve] hook_timeout`` and ``[plugins.NAME]`` say, from the first call on."""
    hooks.limit(
        configuration.serve.hook_timeout,
        lambda plugin, hook, error: metrics.hook_failed(plugin, hook),
        own={name: plugin.timeout for name, plugin in configuration.plugins.items() if plugin.timeout is not None},
        without=[name for name, plugin in configuration.plugins.items() if not plugin.enabled],
        settings={name: plugin.model_dump() for name, plugin in configuration.plugins.items()},
    )


def unlimited() -> None:
    """Have them run as in any other program."""
    hooks.limit(None)


def installed() -> list[str]:
    """The plug-ins that there are, with their distributions and versions, by metadata."""
    return hooks.plugin_names()
