"""The page about notebooks, each of its blocks a cell, in a real kernel: what is displayed is there."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from printed import ROOT, blocks


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_each_verb_in_a_notebook(tmp_path: Path) -> None:
    kernel = tmp_path / "kernels" / "here"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
    code = [block.text for block in blocks(ROOT / "docs" / "notebook.md") if block.kind == "python"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in code])
    client = NotebookClient(notebook, timeout=120, kernel_name="here", resources={"metadata": {"path": str(tmp_path)}})
    client.km = client.create_kernel_manager()
    client.km.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])
    asyncio.run(client.async_execute())

    def shown(containing: str) -> str:
        """What the cell with that text displays or prints."""
        (cell,) = (cell for cell in notebook.cells if containing in cell.source)
        data = "".join(str(out.get("data", {})) + out.get("text", "") for out in cell.outputs)
        assert data, containing
        return data

    assert "<audio controls" in shown("A player appears below")
    assert "00:00:00," in shown("to_srt()")
    assert "en_US-joe-medium" in shown("describe_voices()")
    assert "data:audio/mpeg;base64," in shown("stream_encoded(")
    assert "<v Joe>" in shown("diarize=True")
    assert "planks" in shown("diarize=True")
    live = shown("transcribe_live(").splitlines()
    assert any(" so far " in line for line in live)
    assert sum(" final " in line for line in live) >= 1
    for verb in ("edit_image(", "upscale_image(", "remove_background("):
        assert "image/png" in shown(verb)
    assert "<audio controls" in shown("start=1.5, end=2.5")
    assert "with sound" in shown("Video.from_frames(")
