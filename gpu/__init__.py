"""What the bindings do on a card: checks and figures in few runs. ``python gpu/run.py STAGE --out DIR``."""
