"""Documented homes of the TTV bindings. Each module needs its own distribution."""
