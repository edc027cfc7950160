"""The README keeps its word: its Python example runs as it stands, its pictures and pages are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from weft_server.local import local_server

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_what_it_links_to_exists() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_HOME", str(tmp_path / "home"))
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with local_server(tmp_path / "home") as client, client:
        done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "StateEvent succeeded" in done.stdout
    with np.load(tmp_path / "textured.npz") as arrays:
        assert arrays["texture.0"].shape == (512, 512, 3)
        assert arrays["mesh.0.uv"].shape == (4, 3, 2)
        red, green, blue = arrays["texture.0"].reshape(-1, 3).mean(0)
    assert red > 1.2 * max(green, blue), "red bricks"
