"""Telling the log of a failure that no caller can be told of."""

from __future__ import annotations


def log_failure(logger: str, message: str, *args: object) -> None:
    """Log ``message`` with the exception that is being handled.

    ``logging`` is imported here, since it costs every program some milliseconds at start and most have nothing to log.

    Args:
        logger: the name of the module that tells it.
        message: with its ``%s`` for ``args``, as ``logging`` takes them.
    """
    import logging

    logging.getLogger(logger).exception(message, *args)
