"""A model that knows the answer gets it back: cameras, latents and pixels lie over each other as they should.

The oracle's x0 are the renders of a known texture, panorama or colouring, encoded by a codec that averages. Whatever is
shifted by half a latent, mirrored, or mixed up between views shows as a wrong picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from practice_clouds import ball
from practice_shapes import box
from torch import Tensor
from torch.nn import functional

from weft.geometry.splats import f_dc_of
from weft.models.cards import Card
from weft.models.networks.batching import Batches
from weft.models.networks.image_model import Conditioning
from weft.schedule import NoiseLevel, Schedule, stable_diffusion
from weft.spaces.surface import build_surface
from weft.tasks.events import Result
from weft.tasks.network import Network
from weft.tasks.network_meshes import NetworkBrush
from weft.tasks.panorama import panorama
from weft.tasks.retexture import retexture
from weft.tasks.splat_texture import splat_texture
from weft.tasks.texture import texture

FACTOR = 4
CARD = Card("oracle", "knows the answer", "none", (), resolution=64, view_size=96, guidance=1.0)


class Averages:
    """Latents are means of FACTOR² pixels."""

    factor, channels = FACTOR, 3

    def encode(self, images: Tensor) -> Tensor:
        return functional.avg_pool2d(images, FACTOR)

    def decode(self, latents: Tensor) -> Tensor:
        return functional.interpolate(latents, scale_factor=FACTOR, mode="bilinear", align_corners=False)

    def colors(self, cells: Tensor) -> Tensor:
        return cells

    def preview(self, latents: Tensor) -> Tensor:
        return latents


class Levels:
    def schedule(self, steps: int) -> Schedule:
        return stable_diffusion(steps)

    def timestep(self, level: NoiseLevel) -> float:
        return 0.0

    def from_strength(self, schedule: Schedule, strength: float) -> Schedule:
        return schedule


class Oracle:
    """An ImageModel whose views are `answer()` [N, 3, H, W] in [-1, 1]."""

    card, codec, levels = CARD, Averages(), Levels()
    device, unit, controls, styled = torch.device("cpu"), 2 * FACTOR, frozenset(), False

    def __init__(self, answer: Callable[[], Tensor]) -> None:
        self.answer, self.batches = answer, Batches()

    def levels_at(self, height: int, width: int) -> Levels:
        return self.levels

    def cut(self, prompt: str) -> str:
        return ""

    def bind(self, wanted: Conditioning) -> Any:
        x0 = self.codec.encode(self.answer())
        assert len(x0) == len(wanted.prompts)
        return lambda x, level: x0.clone()


def network(answer: Callable[[], Tensor], synchronize: str) -> Network:
    return Network(CARD, lambda: Oracle(answer), synchronize=synchronize, sync_until=1.0)


def smooth(points: np.ndarray) -> np.ndarray:
    """A colour f4 [..., 3] in [0.2, 0.8] that changes slowly with the position [..., 3], another way on every side."""
    x, y, z = np.moveaxis(points, -1, 0)
    waves = np.stack([np.sin(2.1 * x + 0.4), np.sin(1.7 * y - 0.8 * z), np.cos(2.3 * z + x)], -1)
    return (0.5 + 0.3 * waves).astype(np.float32)


def result_of(events: Any) -> Result:
    *_, last = events
    assert isinstance(last, Result)
    return last


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2, dtype=np.float64)))


@pytest.mark.parametrize("synchronize", ["latents", "pixels"])
def test_a_known_texture_comes_back(synchronize: str, monkeypatch: pytest.MonkeyPatch):
    mesh = box(8, sphere=True)
    surface = build_surface([mesh], 128)
    colours = torch.from_numpy(smooth(surface.position)) * 2 - 1
    seen: list[Tensor] = []
    condition = NetworkBrush._conditioning

    def shown_to_the_oracle(self, views, shown, edit):
        linear = views.linear(1.0)
        seen[:] = [linear.views_of(linear.project(colours))]
        return condition(self, views, shown, edit)

    monkeypatch.setattr(NetworkBrush, "_conditioning", shown_to_the_oracle)
    result = result_of(
        texture(
            [mesh], exemplar=None, cameras=[], prompt="", size=0, steps=4, seed=0, texture_size=128, views=8,
            cameras_from="automatic", pattern_scale=1.0, decals=True, report=False,
            network=network(lambda: seen[0], synchronize),
        )
    )  # fmt: skip
    painted = result.arrays["texture.0"][surface.chart[0]]
    assert psnr(painted, smooth(surface.position)) > 30


@pytest.mark.parametrize("synchronize", ["latents", "pixels"])
def test_a_known_panorama_comes_back(synchronize: str, monkeypatch: pytest.MonkeyPatch):
    from weft.spaces.panorama import cell_directions
    from weft.tasks import panorama_network

    known: list[Tensor] = []
    build = panorama_network.NetworkPanorama.__init__

    def told(self, setting, *arguments):
        cells = smooth(cell_directions(setting.space.height).reshape(-1, 3))
        known[:] = [setting.space.linear(1.0).views_of(torch.from_numpy(cells[setting.space.index])) * 2 - 1]
        build(self, setting, *arguments)

    monkeypatch.setattr(panorama_network.NetworkPanorama, "__init__", told)
    result = result_of(
        panorama(
            exemplar=None, depth=None, meshes=[], viewpoint=None, prompt="", shape="sphere", width=256, height=64,
            window=0, steps=4, seed=0, pattern_scale=1.0, case="synctweedies", report=False,
            network=network(lambda: known[0], synchronize),
        )
    )  # fmt: skip
    assert psnr(result.arrays["panorama"], smooth(cell_directions(128))) > 30


@pytest.mark.parametrize("synchronize", ["latents", "pixels"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_views_keep_what_is_not_repainted(synchronize: str, strength: float, monkeypatch: pytest.MonkeyPatch):
    """To the end, though they go their own ways in the last steps, and though the model wants something else."""
    mesh, grid = box(8, sphere=True), np.linspace(0, 1, 128, dtype=np.float32)
    before = np.stack([*np.meshgrid(grid, grid), np.full((128, 128), 0.7, np.float32)], -1)
    mask = np.zeros((128, 128), bool)
    mask[:50] = True
    kept: list[tuple[Tensor, Tensor, Any]] = []
    wanted: list[Tensor] = []
    begin, condition = NetworkBrush._begin, NetworkBrush._conditioning

    def watched(self, painting, spaces, old):
        kept.append((old, painting.edit.changed_in(painting.views), painting))
        return begin(self, painting, spaces, old)

    def shown_to_the_oracle(self, views, shown, edit):
        wanted[:] = [torch.full_like(shown, -0.8)]
        return condition(self, views, shown, edit)

    monkeypatch.setattr(NetworkBrush, "_begin", watched)
    monkeypatch.setattr(NetworkBrush, "_conditioning", shown_to_the_oracle)
    other = Network(CARD, lambda: Oracle(lambda: wanted[0]), synchronize=synchronize, sync_until=0.5)
    result_of(
        retexture(
            [mesh], textures=[before], masks=[mask], selections=[None], exemplar=None, cameras=[], prompt="", size=0,
            strength=strength, steps=6, seed=0, views=6, cameras_from="automatic", pattern_scale=1.0, decals=True,
            report=False, network=other,
        )
    )  # fmt: skip
    ((old, share, painting),) = kept
    images, codec = painting.phase.estimate, Averages()
    wholly = functional.max_pool2d(share, 4 * FACTOR + 1, stride=1, padding=2 * FACTOR) == 0
    assert wholly.any()
    held = wholly.expand_as(images)
    torch.testing.assert_close(images[held], codec.decode(old)[held], atol=1e-5, rtol=0)
    new = (-functional.max_pool2d(-share, 4 * FACTOR + 1, stride=1, padding=2 * FACTOR) == 1).expand_as(images)
    torch.testing.assert_close(images[new], torch.full_like(images[new], -0.8), atol=1e-5, rtol=0)


def test_known_colours_of_splats_come_back(monkeypatch: pytest.MonkeyPatch):
    from weft.tasks import splat_network

    cloud = ball(3000)
    colours = smooth(cloud.means)
    known: list[Tensor] = []
    build = splat_network.NetworkSplats.__init__

    def told(self, space, *arguments):
        linear = space.shared()
        known[:] = [linear.views_of(linear.project(torch.from_numpy(colours) * 2 - 1)).contiguous()]
        build(self, space, *arguments)

    monkeypatch.setattr(splat_network.NetworkSplats, "__init__", told)
    result = result_of(
        splat_texture(
            cloud, exemplar=None, cameras=[], prompt="", up="z", size=0, steps=4, seed=0, views=12,
            cameras_from="automatic", pattern_scale=1.0, report=False,
            network=network(lambda: known[0], "automatic"),
        )
    )  # fmt: skip
    outside = np.linalg.norm(cloud.means, axis=1) > 0.9 * np.linalg.norm(cloud.means, axis=1).max()
    error = (result.arrays["splats.dc"] - f_dc_of(colours))[outside] * 0.28209479177387814
    assert -10 * np.log10(np.mean(error**2)) > 26
