"""Documented homes of the STT bindings. Each module needs its own distribution."""
