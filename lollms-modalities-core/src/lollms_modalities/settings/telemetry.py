"""What switches telemetry off in the libraries that bindings drive: environment variables, each set before its library
is imported.

Who wants a library to report home sets its variable before: what is set stays.
"""

from __future__ import annotations

import os

VARIABLES = {
    # onnxruntime reports from its first session on, and keeps a device's number and a database under ~/.cache;
    # its function disable_telemetry_events comes too late.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub with hf_xet, and transformers, diffusers and faster-whisper, which fetch with them.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DISABLE_TELEMETRY": "1",  # diffusers and older ones of these
    # transformers tells a service on the hub of each model that has no safetensors, so that it be converted there.
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TRAINER_TELEMETRY": "0",  # coqui's trainer, which coqui-tts imports
    "GRADIO_ANALYTICS_ENABLED": "False",  # audiocraft brings gradio
    "DO_NOT_TRACK": "1",  # what several libraries agree on: https://consoledonottrack.com
}


def switch_off_telemetry() -> None:
    """Tell the engines' libraries to report nothing to anybody. Called by the core before a binding is imported or
    made, in workers too; a program that imports such a library by itself, and earlier, calls it first.
    """
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
