"""Constants of a space on the devices where it is used: uploaded at the first use, freed with the space."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["Resident"]


class Resident:
    """An array and its copy on each device that asked for it. The array must not change afterwards."""

    def __init__(self, array: np.ndarray | Tensor) -> None:
        tensor = array if isinstance(array, Tensor) else torch.from_numpy(array)
        self._copies = {tensor.device: tensor}

    def on(self, device: torch.device) -> Tensor:
        if device not in self._copies:
            self._copies[device] = next(iter(self._copies.values())).to(device)
        return self._copies[device]
