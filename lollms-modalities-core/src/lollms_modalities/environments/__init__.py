"""Interpreters of their own: made from a recipe, recorded, listed, inspected, removed.

Begin with ``environment`` (what one is) and ``changing`` (how one is made). ``building`` does it step by step:
``sources`` and ``wheels`` find what is to be installed, ``resolving`` says in which versions, ``installers`` run pip or
uv.

Imports ``workers`` (for processes that end with us) and what is below.
"""
