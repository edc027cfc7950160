"""Loads tiny models by naming their files, without a library in between, so that any file can be put in any place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from weft.models.cards import CARDS, ModelRequest
from weft.models.library import Resolved
from weft.models.networks.components import Components
from weft.models.networks.loading import load

__all__ = ["changed", "components", "found", "weights"]

CPU = torch.device("cpu")
IMAGE_ENCODER = "models/image_encoder"


def found(folder: Path, name: str, roles: Sequence[str] = ("base",)) -> dict[str, Path]:
    """The paths of a card's parts; a role ending in ":" stands for all that begin with it, "" for every one."""
    paths = {}
    for part in CARDS[name].parts:
        path = folder / part.source
        if part.role in ("offset", "style", "network", "pair"):
            path /= part.files[0]
        if part.role == "image_encoder":
            path /= IMAGE_ENCODER
        wanted = any(part.role == role or (role.endswith(":") and part.role.startswith(role)) for role in roles)
        if (wanted or "" in roles) and path.exists():
            paths[part.role] = path
    return paths


def components(
    folder: Path,
    name: str,
    roles: Sequence[str] = ("base",),
    *,
    loras: Sequence[tuple[Path, float]] = (),
    paths: Mapping[str, Path] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Components:
    """The model `name` from `folder`; `paths` put other files into the places of roles."""
    everything = (
        found(folder, name, roles) | {f"lora:{i}": file for i, (file, _) in enumerate(loras)} | dict(paths or {})
    )
    request = ModelRequest(name, loras=tuple((file.stem, scale) for file, scale in loras))
    return load(Resolved(CARDS[name], everything, 0), request, device=CPU, dtype=dtype)


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    return dict(module.state_dict())


def changed(file: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    """Writes the tensors of `file` back after `change` has been at them."""
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return file
