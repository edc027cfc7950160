"""A run stays on the device of its views: no hidden detour over the CPU, and nothing uploaded twice.

The other device is torch's "meta", which computes shapes and devices but holds no values: reading a value back raises.
`Apart` refuses every operation on tensors of two devices, indices included, and counts the uploads.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from weft.methods.synchronized import CASES, SYNCTWEEDIES, synchronized
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import stable_diffusion
from weft.spaces.held import blind, holding
from weft.spaces.linear import LinearSpace, lookup
from weft.spaces.sparse import SparseMatrix
from weft.tasks.network_run import Held, NetworkRun, Spaces, begin

META = torch.device("meta")
VIEW, CELLS, STEPS = (3, 8, 8), 50, 4
PIXELS = int(np.prod(VIEW))
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class Apart(TorchDispatchMode):
    """Tensors of two devices never meet but in a copy. Where `downloads` may be counted, zeros come back from META."""

    def __init__(self, *, downloading: bool = False) -> None:
        super().__init__()
        self.uploads, self.downloads, self.downloading = 0, 0, downloading

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if self.downloading and func is torch.ops.aten._to_copy.default and self.comes_down(given[0], kwargs):
            self.downloads += 1
            return torch.zeros(given[0].shape, dtype=kwargs.get("dtype") or given[0].dtype)
        if self.downloading and func is torch.ops.aten._local_scalar_dense.default and given[0].device == META:
            return True  # the answer to a question, as whether all is finite
        result = func(*args, **kwargs)
        devices = {tensor.device for tensor in given}
        if func in COPIES:
            self.uploads += META in {t.device for t in tree_leaves(result)} and devices != {META}
        elif len(devices) > 1:
            raise AssertionError(f"{func} was given tensors on {devices}")
        return result

    @staticmethod
    def comes_down(tensor: Tensor, wanted: dict[str, Any]) -> bool:
        return tensor.device == META != torch.device(wanted.get("device") or META)


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


# Runs with networks


class Halved:
    """A codec that works where its images are, and shows latents as they are."""

    factor, channels = 2, 3

    def encode(self, images: Tensor) -> Tensor:
        return functional.avg_pool2d(images, 2)

    def decode(self, latents: Tensor) -> Tensor:
        return functional.interpolate(latents, scale_factor=2.0)

    def colors(self, cells: Tensor) -> Tensor:
        return cells

    def preview(self, latents: Tensor) -> Tensor:
        return latents


def latents_of(pixels: tuple[int, int, int], cells: int = CELLS) -> LinearSpace:
    count = pixels[0] * pixels[1] * pixels[2]
    return lookup((np.arange(count) % cells).astype(np.int32), cells, pixels)


FINE = VIEW[0], 2 * VIEW[1], 2 * VIEW[2]


def tied_in(latents: LinearSpace | None) -> Spaces:
    pixels = latents_of(FINE)
    return Spaces(latents, pixels, pixels.solving(3, 0.1))


def held_views() -> tuple[Spaces, Held]:
    share = torch.zeros(VIEW[0], 1, *VIEW[1:])
    share[:, :, 3:] = 1
    latents = blind(latents_of(VIEW), (share == 0).flatten().numpy())
    pixels = holding(latents_of(FINE), np.arange(CELLS) < 9, gaussian((CELLS, 3), generator(0)))
    held = Held(torch.zeros(VIEW[0], 3, *VIEW[1:], device=META), share.to(META))
    return Spaces(latents, pixels, latents_of(FINE)), held


RUNS = {
    "latents": lambda: (tied_in(latents_of(VIEW)), None, False),
    "pixels": lambda: (tied_in(latents_of(VIEW)), None, True),
    "splats": lambda: (tied_in(None), None, True),
    "held latents": lambda: (*held_views(), False),
    "held pixels": lambda: (*held_views(), True),
}


def watched(whole: NetworkRun, apart: Apart) -> list[tuple[int, int]]:
    """Uploads and downloads before each step ended."""
    counted = []
    for step in whole.steps():
        assert step.z is not None
        assert step.z.device.type == "cpu"
        counted.append((apart.uploads, apart.downloads))
    return counted


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_a_run_with_a_network_stays_on_the_device_of_the_network(make):
    spaces, held, in_pixels = make()
    codec, schedule = Halved(), stable_diffusion(STEPS)
    x = begin(codec, spaces, schedule, generator(0)).to(META)
    with Apart(downloading=True) as apart:
        steps = watched(NetworkRun(codec, denoiser, spaces, schedule, x, 0.75, in_pixels, held=held), apart)
    uploads, downloads = zip(*steps, strict=True)
    assert set(uploads[:-1]) == {uploads[0]}  # the first step, and what it shows, took all that is constant
    assert downloads == (1, 2, 3, 4, 6)  # what is shown, then what was painted and the views


def test_a_network_of_the_real_classes_stays_there():
    """U-Net, ControlNet, attention between views, guidance, and the codec with its previews."""
    pytest.importorskip("diffusers")
    from weft.benchmarks.gpu_job import Setting, conditioning_of
    from weft.benchmarks.gpu_models import build, shape_named
    from weft.models.networks.open_model import open_model

    setting = Setting(views=4, size=64, steps=STEPS)
    model = open_model(build(shape_named("sd15", tiny=True), META, torch.bfloat16))
    fine, coarse = latents_of((4, 64, 64), 999), latents_of((4, 8, 8), 999)
    spaces, schedule = Spaces(coarse, fine, fine), model.levels.schedule(setting.steps)
    denoise = model.bind(conditioning_of(torch.zeros(4, 3, 64, 64), setting))
    x = begin(model.codec, spaces, schedule, generator(0)).to(META)
    uploads: list[int] = []

    def counted(x: Tensor, level: Any, /) -> Tensor:
        before = apart.uploads, apart.downloads
        x0 = denoise(x, level)
        assert (x0.device, x0.dtype) == (META, torch.float32)
        assert apart.downloads == before[1]
        uploads.append(apart.uploads - before[0])
        return x0

    for in_pixels in (False, True):
        with Apart(downloading=True) as apart:
            watched(NetworkRun(model.codec, counted, spaces, schedule, x, 0.75, in_pixels), apart)
    assert uploads == [0] * 2 * STEPS


@pytest.mark.parametrize("name", ["seva", "mv-adapter"])
def test_a_multi_view_prior_stays_there(models_folder: Path, name: str) -> None:
    pytest.importorskip("diffusers")
    from practice_components import components

    from weft.geometry.camera import Camera, orbit
    from weft.models.networks.multi_view import MultiViewConditioning
    from weft.models.networks.open_multi_view import open_multi_view

    parts = components(models_folder, name, dtype=torch.bfloat16)
    for module in parts.modules:
        module.to(META)
    model = open_multi_view(replace(parts, device=META))
    cameras = tuple(Camera(orbit(azimuth, 0, 2), 64, 64, 80.0, 80.0, 32.0, 32.0) for azimuth in (0, 90, 200))
    x = torch.zeros(len(cameras), 4, 8, 8, device=META)
    with Apart(downloading=True) as apart:
        denoise = model.bind(MultiViewConditioning(cameras, (1,), torch.zeros(1, 3, 64, 64)))
        for level in model.levels.schedule(2).levels[:2]:
            before = apart.uploads, apart.downloads
            x0 = denoise(x, level)
            assert (x0.device, x0.dtype) == (META, torch.float32)
            assert (apart.uploads, apart.downloads) == before
