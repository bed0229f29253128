"""HTTP on an engine room.

Begin with ``app``: one request from its first line to its last byte. ``surfaces`` is the table of routes, ``routes``
how a path finds its handler, ``openapi`` the document of them. ``guard`` says who may come in, ``bodies`` and ``forms``
how much is taken, ``errors`` what a failure is, ``answers`` and ``sse`` what goes out, ``listening`` is uvicorn with
deadlines, ``connection`` what a request is told of whom it came from, ``writing`` how few packets it takes. ``openai``
and ``v2`` are the surfaces. Imports the room; the room does not know it.
"""
