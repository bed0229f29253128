"""A binding elsewhere, behind the same object: the protocol, the host's side, the worker, the generated class.

Begin with ``isolated`` (what the application holds), then ``request`` and ``host``; ``worker`` is the program at the
other end. ``channel`` and ``exchange`` carry the frames of ``protocol``; ``values`` and ``remote_errors`` say what of a
call's crosses, and how; ``feeding`` brings a caller's sound into a worker.
A *place* (``places``) is where workers run: a process of this machine is the first.

Imports ``contract`` and what is below. Knows no environment: it is given an interpreter.
"""
