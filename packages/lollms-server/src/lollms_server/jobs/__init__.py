"""Jobs: calls that outlive the request that asked for them, and the server that took it.

Begin with ``board``: ``Jobs`` is the whole, and what surfaces are written against. ``store`` is the table, which
several servers may share, ``schema`` what stands in it, ``database`` where it may be; ``files`` is where uploads and
results lie. ``runner`` runs what waits, ``sweeping`` ends what nobody runs any more. Imports the room; the room does
not know it.
"""
