"""What files of weights say of themselves: headers and configurations, checked without reading a single weight.

The safetensors format: 8 bytes with the length of a JSON header, the header {name: {dtype, shape, data_offsets}}, then
the data without gaps. A file whose last offset is not its end was cut off. Pickles are never opened: they run code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.errors import BadCheckpoint, ModelMissing

__all__ = ["PICKLES", "SUFFIX", "Weights", "pickle_refusal", "read_json", "read_weights", "weights_in"]

PICKLES = (".ckpt", ".bin", ".pt", ".pth")
SUFFIX = ".safetensors"
STEMS = ("diffusion_pytorch_model", "model")  # of diffusers' and of transformers' files
LARGEST_HEADER = 100 << 20  # bytes; what the format allows
LARGEST_JSON = 64 << 20  # bytes; an index of shards stays far below


@dataclass(frozen=True)
class Weights:
    """Tensors in one or several files, by name."""

    shapes: Mapping[str, tuple[int, ...]]
    size: int  # bytes of the files

    @property
    def count(self) -> int:
        """Of all values."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def joined(self, others: Iterable[Weights]) -> Weights:
        shapes, size = dict(self.shapes), self.size
        for other in others:
            shapes.update(other.shapes)
            size += other.size
        return Weights(shapes, size)


def read_weights(path: Path) -> Weights:
    """The header of one safetensors file; raises BadCheckpoint unless the file is whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise _damaged(
                path, f"has {size} bytes and no whole header" if size < 1 << 20 else "is no safetensors file"
            )
        header = file.read(length)
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise _damaged(path, "has a header that cannot be read") from None
    if end != size:
        raise _damaged(path, f"has {size:,} bytes, its header tells of {end:,}")
    return Weights(shapes, size)


def weights_in(folder: Path) -> Weights:
    """The weights of one component: a file, or shards with their index; those in half precision where they are alone.
    Raises ModelMissing, BadCheckpoint."""
    for variant in ("", ".fp16"):
        for stem in STEMS:
            if (file := folder / f"{stem}{variant}{SUFFIX}").is_file():
                return read_weights(file)
            if (index := folder / f"{stem}{SUFFIX}.index{variant}.json").is_file():
                return _sharded(index)
    if pickles := sorted(path for path in folder.glob("*") if path.suffix in PICKLES):
        raise pickle_refusal(pickles[0])
    raise ModelMissing(f"there are no weights in {folder}")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises ModelMissing, BadCheckpoint."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise BadCheckpoint(f"{path} is too large for a configuration", "fetch it again")
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelMissing(f"there is no {path.name} in {path.parent}") from None
    except (ValueError, RecursionError):
        raise _damaged(path, "is no JSON") from None
    if not isinstance(value, dict):
        raise _damaged(path, "holds no object")
    return value


def pickle_refusal(path: Path) -> BadCheckpoint:
    """Why a pickle is not opened, and how its tensors become a file that is."""
    stem = {"pytorch_model": "model", "diffusion_pytorch_model": STEMS[0]}.get(path.stem, path.stem)
    code = (
        f"import torch, safetensors.torch as s; d = torch.load('{path.name}', map_location='cpu', weights_only=True); "
        f"s.save_file({{k: v.clone() for k, v in d.get('state_dict', d).items() if hasattr(v, 'clone')}}, "
        f"'{stem}{SUFFIX}')"
    )
    message = f"{path} is a pickle, which can run code when it is opened"
    return BadCheckpoint(message, f'fetch safetensors instead, or convert it in its folder: python -c "{code}"')


def _sharded(index: Path) -> Weights:
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise _damaged(index, "names no shards")
    names = sorted(set(files.values()))
    if foreign := next((name for name in names if Path(name).name != name or not name.endswith(SUFFIX)), None):
        raise BadCheckpoint(f"{index} names the shard {foreign!r}", "shards are safetensors files beside it")
    if absent := [name for name in names if not (index.parent / name).is_file()]:
        raise ModelMissing(f"{len(absent)} of {len(names)} shards are missing in {index.parent}: {absent[0]}")
    weights = Weights({}, 0).joined(read_weights(index.parent / name) for name in names)
    if lacking := next((name for name in files if name not in weights.shapes), None):
        raise _damaged(index, f"names the weight {lacking!r}, which no shard holds")
    return weights


def _damaged(path: Path, what: str) -> BadCheckpoint:
    return BadCheckpoint(f"{path} {what}", "it was cut off or damaged: delete it and fetch it again")
