"""The version of the core, which both sides of a worker must have, and the versions of ours that go with it."""

__version__ = "2.0.0"

CONTRACT_VERSION = ".".join(__version__.split(".")[:2])
"""Of the contract. A binding made for 2.N works with every core of 2.N or later, up to the next first number."""


def requirement(distribution: str, extra: str = "") -> str:
    """A requirement of one of our distributions that fits what is installed here, in quotes for a shell.

    Without its range an index may answer with lollms-client 1.x, which would take the place of all this.
    """
    return f'"{distribution}{f"[{extra}]" if extra else ""}>={__version__},<{int(__version__.partition(".")[0]) + 1}"'
