"""What GPUs draw is what the CPU draws: with the packages' conventions on any machine, with the packages on a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.sparse
import torch
from practice_clouds import random_splats, ring_around
from practice_gpu_packages import gsplat, nvdiffrast

from weft.geometry import accelerators, rasterize_cuda
from weft.geometry.camera import Camera, look_at
from weft.geometry.rasterize import Fragments, rasterize_many
from weft.geometry.rasterize_cuda import rasterize_many_cuda
from weft.geometry.splat_weights import NEGLIGIBLE, splat_weights
from weft.geometry.splat_weights_cuda import composited, view_weights_cuda
from weft.geometry.splats import Splats, covariances


def _lacks(package: str) -> bool:
    return find_spec(package) is None or not torch.cuda.is_available()


HIGH = look_at((0.4, -3.0, 1.5), (0, 0, 0))
CAMERAS = {
    "perspective": Camera(HIGH, 41, 30, 38.0, 35.0, 20.0, 14.0),
    "inside": Camera(look_at((0.1, -0.3, 0.0), (1, 1, 0)), 36, 28, 20.0, 20.0, 18.0, 14.0, near=0.05),
    "orthographic": Camera(HIGH, 36, 44, 15.0, 16.0, 18.0, 22.0, orthographic=True),
}
every_camera = pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())


def soup(faces: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    middles = rng.uniform(-1, 1, (faces, 1, 3))
    vertices = (middles + rng.normal(0, 0.3, (faces, 3, 3))).reshape(-1, 3)
    return vertices.astype(np.float32), np.arange(3 * faces, dtype=np.int32).reshape(-1, 3)


def assert_same(found: Fragments, expected: Fragments, edges: float) -> None:
    """Up to a share `edges` of the pixels, whose centres lie near an edge."""
    same = found.triangle == expected.triangle
    assert same.mean() >= 1 - edges
    assert (expected.triangle >= 0).any()
    hit = same & (found.triangle >= 0)
    assert np.allclose(found.barycentric[hit], expected.barycentric[hit], atol=2e-3)
    assert np.allclose(found.depth[hit], expected.depth[hit], rtol=1e-3)
    assert np.isinf(found.depth[found.triangle < 0]).all()
    assert (found.barycentric[found.triangle < 0] == 0).all()


@pytest.fixture
def practice_nvdiffrast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, module in nvdiffrast().items():
        monkeypatch.setitem(sys.modules, name, module)
    rasterize_cuda._nvdiffrast.cache_clear()
    yield
    rasterize_cuda._nvdiffrast.cache_clear()


@pytest.mark.usefixtures("practice_nvdiffrast")
@every_camera
@pytest.mark.parametrize("settings", [{}, {"cull_backfaces": True}, {"depth_range": (1.0, 3.2)}], ids=str)
def test_clip_coordinates_give_the_views_of_the_cpu(camera, settings):
    (expected,) = rasterize_many(*soup(), [camera], **settings)
    (found,) = rasterize_many_cuda(*soup(), [camera], **settings, device="cpu")
    assert_same(found, expected, edges=2e-3)


@pytest.mark.usefixtures("practice_nvdiffrast")
def test_views_of_nothing_are_empty():
    vertices, faces = soup()
    away = Camera(look_at((0, -9, 0), (0, -18, 0)), 20, 16, 20.0, 20.0, 10.0, 8.0)
    for found in (
        *rasterize_many_cuda(vertices, faces, [away], device="cpu"),
        *rasterize_many_cuda(vertices[:3], faces[:1], [away], cull_backfaces=True, device="cpu"),
        *rasterize_many_cuda(vertices[:3], faces[:1, ::-1], [away], cull_backfaces=True, device="cpu"),
    ):
        assert (found.triangle == -1).all()
        assert np.isinf(found.depth).all()


def test_numbers_of_triangles_beyond_floats_are_read_from_their_bits():
    """nvdiffrast writes n + 1 as a float up to 2^24, then as the float whose bits are that plus 0x4a800000."""
    numbers = torch.tensor([0, 1, 1 << 24, (1 << 24) + 1, 30_000_000], dtype=torch.int32)
    coded = torch.where(numbers <= 1 << 24, numbers.float(), (numbers + 0x4A800000).view(torch.float32))
    assert torch.equal(rasterize_cuda._numbers(coded), numbers)


def matrix(found: tuple, splats: int) -> np.ndarray:
    rows, columns, weights, _ = found
    return scipy.sparse.csr_array((weights, columns, rows), (len(rows) - 1, splats)).toarray()


def cloud_of(splats: Splats) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return splats.means, covariances(splats), splats.opacity


@pytest.mark.parametrize("most_alpha", [0.999, 0.99], ids=["gsplat 1.5", "gsplat 1.6"])
@pytest.mark.parametrize("prune", [0.0, NEGLIGIBLE])
def test_lists_of_gsplat_give_the_weights_of_the_cpu(monkeypatch, most_alpha, prune):
    for name, module in gsplat(most_alpha).items():
        monkeypatch.setitem(sys.modules, name, module)
    splats = random_splats(150)
    near = Camera(look_at((0.2, -0.6, 0.3), (0, 1, 0)), 33, 20, 22.0, 24.0, 15.0, 11.0, near=0.1)
    for camera in (*ring_around(splats, 1, 24), near):
        expected = splat_weights(splats, [camera], prune=prune)
        found = view_weights_cuda(cloud_of(splats), camera, prune, device="cpu")
        assert [part.dtype for part in found] == [part.dtype for part in expected]
        assert found[3].shape == expected.transmittance.shape
        gap = np.abs(matrix(found, 150) - matrix(tuple(expected), 150))
        assert (gap > 1e-4).mean() < 1e-4  # an alpha at 1/255 is on one side or the other
        assert gap.max() < 0.01
        assert np.quantile(np.abs(found[3] - expected.transmittance), 0.99) < 1e-4


def test_compositing_is_the_sum_front_to_back():
    """Against the recurrence, pixel by pixel; rows sum to 1 - T; the order of splats in a row stays."""
    rng = np.random.default_rng(0)
    counts = np.array([0, 5, 1, 0, 40, 3])
    pixels = np.repeat(np.arange(6), counts)
    alphas = rng.uniform(0, 0.6, len(pixels)).astype(np.float32)
    rows, splats, weights, through = composited(
        torch.arange(len(pixels)), torch.from_numpy(pixels), torch.from_numpy(alphas), 6, 0.01
    )
    for pixel in range(6):
        t, expected = 1.0, {}
        for splat in np.flatnonzero(pixels == pixel):
            if t * (1 - alphas[splat]) <= 1e-4:
                break
            if alphas[splat] * t >= 0.01:
                expected[int(splat)] = float(alphas[splat]) * t
            t *= 1 - float(alphas[splat])
        own = slice(int(rows[pixel]), int(rows[pixel + 1]))
        scale = (1 - t) / sum(expected.values()) if expected else 1
        assert splats[own].tolist() == list(expected)
        assert np.allclose(weights[own], [scale * w for w in expected.values()], atol=1e-6)
        assert through[pixel].item() == pytest.approx(t, abs=1e-6)


def test_pixels_that_no_splat_meets_are_background():
    none = torch.zeros(0, dtype=torch.int64)
    rows, splats, weights, through = composited(none, none, none.float(), 4, 0.0)
    assert (rows == 0).all()
    assert len(splats) == len(weights) == 0
    assert (through == 1).all()


def test_packages_count_only_with_a_gpu_and_kernels_that_were_built(monkeypatch):
    accelerators.usable.cache_clear()
    assert not accelerators.usable("gsplat") or not _lacks("gsplat")
    for works, built in ((True, True), (True, False), (False, True)):
        accelerators.usable.cache_clear()
        monkeypatch.setattr(accelerators, "find_spec", lambda name: object())
        monkeypatch.setattr(torch.cuda, "is_available", lambda works=works: works)
        monkeypatch.setattr(accelerators, "import_module", _importing(built))
        assert accelerators.usable("nvdiffrast") is (works and built)
    accelerators.usable.cache_clear()


def _importing(built: bool):
    def load(name: str) -> object:
        if not built:
            raise OSError("nvcc is not here")
        return sys

    return load


@pytest.mark.skipif(_lacks("nvdiffrast"), reason="needs CUDA and nvdiffrast")
@every_camera
def test_nvdiffrast_draws_what_the_cpu_draws(camera, monkeypatch):
    found = rasterize_many_cuda(*soup(), [camera])
    monkeypatch.setattr("weft.geometry.rasterize.usable", lambda package: False)
    assert_same(found[0], rasterize_many(*soup(), [camera])[0], edges=0.03)  # corners snap to sixteenths of a pixel


@pytest.mark.skipif(_lacks("gsplat"), reason="needs CUDA and gsplat")
def test_gsplat_weighs_what_the_cpu_weighs(monkeypatch):
    splats = random_splats(2000)
    (camera,) = ring_around(splats, 1, 96)
    found = view_weights_cuda(cloud_of(splats), camera, NEGLIGIBLE)
    again = view_weights_cuda(cloud_of(splats), camera, NEGLIGIBLE)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    monkeypatch.setattr("weft.geometry.splat_weights.usable", lambda package: False)
    expected = splat_weights(splats, [camera])
    gap = np.abs(matrix(found, 2000) - matrix(tuple(expected), 2000))
    assert (gap > 1e-3).mean() < 1e-3
