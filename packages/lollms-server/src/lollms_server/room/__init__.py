"""The engine room: which models are served, loaded, queued for, allowed and counted. Knows no surface and no HTTP.

Begin with ``room``: ``Room`` is the whole, and what surfaces are written against. ``configuration`` reads the file,
``models`` says what is served, ``admission`` queues, ``threads`` run it, ``residency`` loads and unloads, ``keys``
says who asks, ``inputs`` what may be asked, ``metrics`` and ``log`` what is seen from outside.
"""
