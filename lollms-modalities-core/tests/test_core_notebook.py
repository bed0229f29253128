"""Results play and show themselves in a notebook with a real kernel."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_audio_plays_and_an_image_shows(tmp_path: Path) -> None:
    kernel = tmp_path / "kernels" / "here"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        f'{{"argv": ["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"], '
        '"display_name": "here", "language": "python"}'
    )
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "import numpy as np\nfrom lollms_modalities import Audio, Image\n"
                "Audio.from_samples(np.zeros(800, np.float32), 8000)"
            ),
            nbformat.v4.new_code_cell("image = Image.from_pixels(np.zeros((4, 6, 3), np.uint8))\nimage"),
            nbformat.v4.new_code_cell("print(bytes(image).hex())"),
        ]
    )
    client = NotebookClient(notebook, timeout=60, kernel_name="here")
    client.km = client.create_kernel_manager()
    client.km.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])
    asyncio.run(client.async_execute())

    sound, picture, printed = (cell.outputs[0] for cell in notebook.cells)
    assert "<audio controls" in sound.data["text/html"]
    assert "data:audio/wav;base64,UklGR" in sound.data["text/html"]
    assert sound.data["text/plain"].startswith("<Audio wav 0.10 s")
    assert base64.b64decode(picture.data["image/png"]).hex() == printed.text.strip()
