"""What happens around a verb of any binding: the call, what stops it, who waits for whom, threads and forks.

Begin with ``call``: ``current_call()`` is what engine code asks. ``progress``, ``cancelling`` and ``deadlines`` are the
three arguments that every call has; ``failures`` is what engines raise. ``locks`` and ``askers`` know who holds an
instance and who waits; ``scheduler`` wakes what is due; ``threads``, ``fork`` and ``sweeping`` are about Python's own
ends.

Imports nothing of ours but ``errors`` and ``masking``, so that a decoder, a download and an engine may all ask whether
to go on.
"""
