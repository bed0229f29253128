"""Documented homes of the TTI bindings. Each module needs its own distribution."""
