"""How different pictures look, as a distance for the kernel of score distillation: LPIPS where it is present.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", which Kim et al. 2023 take
for text-to-3D. Needs the package `lpips` and torchvision's weights of its network on this machine; nothing is
downloaded. Without them L2 of the samples does (`score_distillation.euclidean`).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import BadCheckpoint, MissingDependency, ModelMissing

__all__ = ["perceptual_distance"]

_BACKBONE = "alexnet-owt-7be5be79.pth"  # torchvision's, in the folder where torch.hub keeps what it loads
_PACKAGES = ("lpips", "torchvision")
_SMALLEST = 64  # px: smaller pictures are enlarged, the network halves them five times


def perceptual_distance(device: torch.device | str = "cpu") -> Callable[[Tensor], Tensor]:
    """A distance [B, 3, H, W] in [-1, 1] → [B, B], differentiable, symmetric, zero on the diagonal.

    Raises MissingDependency without the packages, ModelMissing without the weights, BadCheckpoint for broken ones.
    """
    if absent := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        message = f"LPIPS needs {' and '.join(absent)}, not installed here"
        raise MissingDependency(message, f"pip install {' '.join(absent)}, or use L2")
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _BACKBONE
    if not weights.is_file():
        raise ModelMissing(f"LPIPS needs {_BACKBONE}, which is not in {weights.parent}", "put it there, or use L2")
    # Without its backbone first: torchvision would run whatever code a file in its folder holds.
    model = importlib.import_module("lpips").LPIPS(net="alex", pnet_rand=True, verbose=False)
    _load_backbone(model.net, weights)
    model.eval().requires_grad_(False).to(device)
    return lambda x: _pairwise(model, x)


def _load_backbone(network: torch.nn.Module, weights: Path) -> None:
    """torchvision's features into lpips's slices of them: slice2.3.bias is features.3.bias."""
    try:
        found = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict({name: found[f"features.{name.partition('.')[2]}"] for name in network.state_dict()})
    except Exception as error:  # of pickle, zip, torch: whatever a broken file raises
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise BadCheckpoint(f"{weights.name} holds no weights of AlexNet: {reason}", "download it again") from None


def _pairwise(model: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Tensor:
    """The distances of all pairs, each computed once."""
    short = min(x.shape[2:])
    shown = x.float()
    if short < _SMALLEST:
        shown = functional.interpolate(shown, scale_factor=_SMALLEST / short, mode="bilinear", align_corners=False)
    first, second = torch.triu_indices(len(x), len(x), 1, device=x.device)
    distances = x.new_zeros(len(x), len(x))
    if len(first):
        found = model(shown[first], shown[second]).reshape(-1).to(x)
        distances = distances.index_put((first, second), found)
    return distances + distances.T
