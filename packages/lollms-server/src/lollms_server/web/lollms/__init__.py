"""The surfaces of LoLLMs' own servers, of today (``modern``) and of before (``classic``), for the clients of these.

Begin with ``table``. Paths, fields and answers are what lollms (``/lollms/v1``) and lollms-webui (at the root) were
seen to take and give; what they pass over is passed over, and told in ``x-lollms-ignored``.
"""
