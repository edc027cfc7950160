"""Which brush a mesh job paints with: the embedded denoiser, or a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from weft.tasks.events import Event
from weft.tasks.network import Network
from weft.tasks.network_meshes import NetworkBrush
from weft.tasks.painting import Brush, Clock, ExemplarBrush, choose_painter, view_side

__all__ = ["Palette"]


class Palette:
    """A brush to be made by `prepare`; then `size` is the side of its views in pixels and `material` says what it
    paints."""

    brush: Brush
    size: int
    material: dict[str, Any]

    def __init__(self, network: Network | None, *, prompt: str, exemplar: np.ndarray | None, steps: int) -> None:
        self.network, self.prompt, self.exemplar, self.steps = network, prompt, exemplar, steps

    def prepare(
        self, clock: Clock, *, size: int, pattern_scale: float, decals: bool, strength: float = 1.0
    ) -> Iterator[Event]:
        """Load the network, or choose the material. Raises what cannot be painted with, before the first event where
        nothing has to be loaded."""
        if self.network is None:
            self.size = view_side(size)
            self.material, painter = choose_painter(self.prompt, self.exemplar, self.size, pattern_scale)
            self.brush = ExemplarBrush(painter, self.steps, decals)
            return
        yield from self.network.load(clock, self.exemplar)
        self.size = self.network.view_size(size)
        self.material = self.network.material(self.prompt)
        self.brush = NetworkBrush(self.network, self.prompt, self.exemplar, self.steps, strength)
