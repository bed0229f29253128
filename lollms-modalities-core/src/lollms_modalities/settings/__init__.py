"""What a binding can be set to and what a call can vary: pydantic models, and the list form that interfaces read.

Begin with ``base`` (``BindingSettings``, ``CallOptions``) and ``fields`` (the vocabulary). ``checking`` makes errors
of what pydantic finds, ``forms`` what is shown, ``changing`` new settings of old; ``older`` knows the names of 1.x.

Imports ``errors`` only. Knows no binding and no call.
"""
