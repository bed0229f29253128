"""Home Assistant's protocol for voices, Wyoming: transcription and speech over TCP.

Events as in https://github.com/OHF-Voice/wyoming: a line of JSON, then what that says the length of. Begin with
``server``, which listens; ``session`` is one connection, ``hearing`` and ``speaking`` what it asks for, ``info`` what
is told of the models, ``events`` how much of anything is taken. The protocol knows no keys: whoever connects has the
rights of the one key that the configuration names, or is this machine.
"""
