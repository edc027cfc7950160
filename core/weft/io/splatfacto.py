"""Splats out of checkpoints of nerfstudio's splatfacto (`nerfstudio_models/step-*.ckpt`).

A checkpoint is a pickle. It is opened in torch's way that builds tensors and plain containers and runs nothing else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.splats import Splats

__all__ = ["CHECKPOINT", "read_splatfacto"]

CHECKPOINT = ".ckpt"
_FRAME = (
    "the splats stand in nerfstudio's normalised frame; its dataparser_transforms.json tells how it lies in the world"
)
_BEHIND = (".gauss_params.means", "_model.means", "_model.module.means")  # newer and older, and on several GPUs
_PARTS = ("means", "quats", "scales", "opacities", "features_dc", "features_rest")
# How schedulers' learning rates are pickled, by NumPy before and since 2.
_NUMBERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode")
_OTHER = "give a checkpoint of `ns-train splatfacto`, or a PLY of `ns-export gaussian-splat`"


def read_splatfacto(data: bytes) -> tuple[Splats, tuple[str, ...]]:
    """The splats of a checkpoint's bytes, in nerfstudio's frame, and what is to be said of them, a line each.

    Raises InvalidInput for checkpoints of other models, damaged ones, and those that would run code.
    """
    state = _state(data)
    prefix = next((name.removesuffix("means") for name in state if name.endswith(_BEHIND)), None)
    if prefix is None:
        found = next((name.split(".")[1] for name in state if name.startswith("_model.") and name.count(".") > 1), "")
        told = f", it has {found[:40]!r}" if found else ""
        raise InvalidInput(f"the checkpoint holds no Gaussians of splatfacto{told}", _OTHER)
    missing = [part for part in _PARTS if f"{prefix}{part}" not in state]
    if missing:
        raise InvalidInput(f"the checkpoint's Gaussians have no {missing[0]}", _OTHER)
    means, quats, scales, opacities, dc, rest = (_array(state[f"{prefix}{part}"], part) for part in _PARTS)
    n = len(means)
    shapes = {
        "quats": (quats, (n, 4)),
        "scales": (scales, (n, 3)),
        "opacities": (opacities, (n, 1)),
        "features_dc": (dc, (n, 3)),
    }
    for part, (array, shape) in shapes.items():
        if array.shape != shape:
            raise InvalidInput(f"{part} of the checkpoint is {list(array.shape)}, expected {list(shape)}", _OTHER)
    if rest.ndim != 3 or rest.shape[0] != n or rest.shape[1] not in (0, 3, 8, 15) or rest.shape[2] != 3:
        raise InvalidInput(
            f"features_rest of the checkpoint is {list(rest.shape)}, expected [{n}, 0, 3, 8 or 15, 3]",
            "train it with a --pipeline.model.sh-degree of 0 to 3",
        )
    return Splats(means, quats, scales, opacities[:, 0], np.concatenate([dc[:, None], rest], 1)), (_FRAME,)


class _Dropped:
    """Stands for the NumPy numbers of learning rates, which nobody looks at and nothing has to build."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _state(data: bytes) -> Mapping[str, Any]:
    """The pipeline's tensors by name, as `Pipeline.state_dict` calls them."""
    import torch

    if not data.startswith(b"PK"):  # older pickles of torch are no zip files; nerfstudio never wrote them
        raise InvalidInput("the file is no checkpoint of torch", _OTHER)
    try:
        with torch.serialization.safe_globals([(_Dropped, name) for name in _NUMBERS]):
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch has a dozen of them, pickle's own among them
        reason = str(error) or type(error).__name__
        if asked := re.search(r"GLOBAL (\S+)", reason):
            message = f"the checkpoint asks for {asked[1][:60]}, which could run code when it is opened"
            raise InvalidInput(message, "if you trust it, export it with `ns-export gaussian-splat`") from None
        raise InvalidInput(f"the checkpoint is damaged: {reason.splitlines()[0][:100]}", _OTHER) from None
    state = found.get("pipeline") if isinstance(found, dict) else None
    if not isinstance(state, dict):
        raise InvalidInput("the file holds no pipeline, expected a checkpoint of nerfstudio", _OTHER)
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _array(value: Any, part: str) -> np.ndarray:
    import torch

    if not isinstance(value, torch.Tensor) or value.is_sparse or not value.is_floating_point():
        raise InvalidInput(f"{part} of the checkpoint is no tensor of numbers", _OTHER)
    return np.ascontiguousarray(value.detach().float().numpy())
