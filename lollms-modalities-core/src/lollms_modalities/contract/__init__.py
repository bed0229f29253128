"""What a binding is: the base, the five kinds, their verbs, and how a verb is run.

Begin with ``tts`` (a small ABC), then ``binding``. ``verbs`` wraps the methods, ``plan`` checks the arguments and
finishes the result, ``running`` runs, ``streams`` runs item by item, ``async_streams`` off the event loop.
``live`` hears speech as it comes, out of ``frames``, cut into ``utterances``.

Imports the rooms below: ``errors``, ``calls``, ``entry_points``, ``hooks``, ``media``, ``settings``, ``models``. Knows
neither where a binding runs nor how it was found.
"""
