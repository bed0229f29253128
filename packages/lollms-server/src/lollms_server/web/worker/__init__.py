"""The worker's protocol over a WebSocket, ``/lollms/v2/worker``: a served model as a place where a binding runs.

Nothing that comes is passed on. ``messages`` says what may be said at all, ``session`` holds one connection and its
bounds, ``exchange`` one request of it, ``acts`` makes of that a call of the engine room; ``values`` turns what crosses
into arguments and results. Begin with ``entrance``, which lets a connection in.
"""
