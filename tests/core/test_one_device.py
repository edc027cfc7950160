"""A run stays on the device of its views: no hidden detour over the CPU, and nothing uploaded twice.

The other device is torch's "meta", which computes shapes and devices but holds no values: reading a value back raises.
`Apart` refuses every operation on tensors of two devices, indices included, and counts the uploads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from weft.methods.synchronized import CASES, SYNCTWEEDIES, synchronized
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import stable_diffusion
from weft.spaces.held import holding
from weft.spaces.linear import LinearSpace, lookup
from weft.spaces.sparse import SparseMatrix

META = torch.device("meta")
VIEW, CELLS, STEPS = (3, 8, 8), 50, 4
PIXELS = int(np.prod(VIEW))
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class Apart(TorchDispatchMode):
    """Tensors of two devices never meet but in a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.uploads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = func(*args, **kwargs)
        devices = {tensor.device for tensor in given}
        if func in COPIES:
            self.uploads += META in {t.device for t in tree_leaves(result)} and devices != {META}
        elif len(devices) > 1:
            raise AssertionError(f"{func} was given tensors on {devices}")
        return result


def space(**change: Any) -> LinearSpace:
    """Four cells a pixel; some pixels see nothing, some cells are never seen."""
    rng = np.random.default_rng(0)
    places = rng.integers(0, PIXELS - 20, 800), rng.integers(0, CELLS - 8, 800)
    matrix = SparseMatrix.from_entries(*places, rng.random(800), (PIXELS, CELLS)).rows_normalized()
    return LinearSpace(matrix, VIEW, fill=np.minimum(np.arange(CELLS), CELLS - 9).astype(np.int32), **change)


def held() -> LinearSpace:
    return holding(space(), np.arange(CELLS) < 9, gaussian((CELLS, 4), generator(0)))


def denoiser(x: Tensor, level: Any, /) -> Tensor:
    return torch.tanh(x) * level.alpha


def run(here: LinearSpace, device: torch.device, *, case: Any, eta: float, whole: Apart | None = None) -> list[int]:
    """Denoise; the uploads before each step ended."""
    noise = CanonicalNoise(here.nearest, CELLS, VIEW)
    channels, uploads = 4, []
    x = torch.ones(VIEW[0], channels, *VIEW[1:], device=device)

    def draw() -> Tensor:
        return noise.looked_up(torch.ones(CELLS, channels, device=device), torch.ones(PIXELS, channels, device=device))

    z = torch.ones(CELLS, channels, device=device) if case.variable != "views" else None
    for step in synchronized(denoiser, here, stable_diffusion(STEPS), x, z=z, case=case, eta=eta, noise=draw):
        assert {step.x0.device, step.x.device, step.z.device} == {device}
        uploads.append(whole.uploads if whole else 0)
    return uploads


SPACES = {
    "plain": space,
    "residual": lambda: space(residual_passes=2),
    "solved": lambda: space(iterations=2),
    "held": held,
    "lookup": lambda: lookup(space().nearest, CELLS, VIEW),
}


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES.keys())
def test_a_run_stays_on_the_device_of_its_views(make):
    with Apart() as apart:
        uploads = run(make(), META, case=SYNCTWEEDIES, eta=1.0, whole=apart)
    assert uploads[0] > 0
    assert uploads[1:] == uploads[:-1]  # all that is constant went up before the first step ended


@pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 10, 49, 54, 57, 59])
def test_every_kind_of_case_stays_there(number):
    with Apart() as apart:
        uploads = run(space(), META, case=CASES[number], eta=0.0, whole=apart)
    assert uploads[1:] == uploads[:-1]


def test_the_watch_notices_what_it_is_for():
    there, here = torch.ones(4, 3, device=META), torch.ones(4, 3)
    with Apart() as apart:
        apart_kinds = [lambda: there + here, lambda: there.T @ here, lambda: there[torch.arange(2)]]
        for mix in apart_kinds:
            with pytest.raises((AssertionError, RuntimeError)):
                mix()
        with pytest.raises((NotImplementedError, TypeError)):
            there.cpu().numpy()
        here.to(META)
        assert apart.uploads == 1
