"""``lollms serve``: bindings behind HTTP, and behind Home Assistant's protocol.

``room`` decides what is served, loaded, queued, counted and allowed, and knows no HTTP; ``web`` is HTTP on a room;
``wyoming`` is Home Assistant's; ``commands`` is what is typed.
"""

__version__ = "2.0.0"
