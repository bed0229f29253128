"""``/sdapi/v1`` as AUTOMATIC1111's web UI for Stable Diffusion has it, for clients of that: Open WebUI among them.

Begin with ``table``. There one checkpoint is loaded for all, and everybody sees and interrupts what is drawn; here each
caller has a choice and drawings of its own.
"""
