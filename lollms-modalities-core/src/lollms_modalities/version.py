"""The version of the core, which both sides of a worker must have."""

__version__ = "2.0.0"
