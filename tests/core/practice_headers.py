"""Files of weights by hand, for tests that look at headers alone, and copies of tiny models to be spoilt."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["change_json", "copied", "write_weights"]


def write_weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """A safetensors file of zeros, f4."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))
    return path


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def copied(models: Path, to: Path, *sources: str) -> Path:
    """`to` as a folder of models, with copies of these; all without any."""
    for source in sources or [entry.name for entry in models.iterdir()]:
        (copy := shutil.copytree if (models / source).is_dir() else shutil.copy)
        (to / source).parent.mkdir(parents=True, exist_ok=True)
        copy(models / source, to / source)
    return to
