"""HTTP on a room: an ASGI application.

Begin with ``app``. Imports the room; the room does not know it.
"""
