"""Documented homes of the TTS bindings. Each module needs its own distribution."""
