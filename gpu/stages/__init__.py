"""The checks of each stage, which take nine minutes of a card together."""
