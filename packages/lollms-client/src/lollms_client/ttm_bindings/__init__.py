"""Documented homes of the TTM bindings. Each module needs its own distribution."""
