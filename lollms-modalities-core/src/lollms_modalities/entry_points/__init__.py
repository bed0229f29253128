"""What installed distributions declare, read from their metadata without importing any of them.

Begin with ``refs``: a ``BindingRef`` is all that is known of a binding before it is imported. ``metadata`` reads entry
points of any group, also those of plug-ins, commands and places.

Imports nothing of ours but ``errors``.
"""
