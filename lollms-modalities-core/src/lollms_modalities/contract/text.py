"""Checks of the text that a verb is given."""

from __future__ import annotations

from lollms_modalities.errors import OptionError


def check_prompt(prompt: object, name: str = "prompt") -> str:
    """``prompt`` if it is a string that can be encoded, else an ``OptionError``. Empty is the engine's affair."""
    if not isinstance(prompt, str):
        raise OptionError(f"{name} is {type(prompt).__name__}, not a string.", names=[name])
    if "\0" in prompt:
        raise OptionError(
            f"{name} holds a NUL character at position {prompt.index(chr(0))}.",
            hint="It is no text, or damaged: give text.",
            names=[name],
        )
    if not prompt.isascii():
        try:
            prompt.encode()
        except UnicodeEncodeError as exc:
            raise OptionError(
                f"{name} holds a lone surrogate at position {exc.start}, which is no character.",
                hint="Decode the bytes it came from with errors='replace'.",
                names=[name],
            ) from None
    return prompt


def check_speakable(text: object) -> str:
    """``text`` if there is something to say in it: a letter or a digit of any script, else an ``OptionError``."""
    checked = check_prompt(text, "text")
    if not any(map(str.isalnum, checked)):
        shown = repr(checked if len(checked) <= 40 else checked[:40] + "...")
        raise OptionError(
            f"text {shown} holds nothing to say.", hint="Give at least one letter or digit.", names=["text"]
        )
    return checked


def check_texts(texts: object) -> list[str]:
    """``texts`` if it is a list of one or more with something to say each, else an ``OptionError``."""
    if not isinstance(texts, (list, tuple)) or not texts:
        raise OptionError("texts is no list, or empty.", hint="Give at least one text.", names=["texts"])
    return [check_speakable(text) for text in texts]
