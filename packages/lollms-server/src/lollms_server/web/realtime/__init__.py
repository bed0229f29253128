"""OpenAI's realtime transcription: a session over a WebSocket, in which speech is written down while it is said.

Begin with ``session``. ``setting`` is what a session is set to, ``wanted`` which model writes down, ``sound`` how sound
comes, ``turns`` where somebody speaks in it, ``items`` how that is written down, ``deltas`` what is told of a text that
may change, ``older`` the shapes of clients from before 2025-08.
"""
