"""Views tied in latents and in the images of latents: the laws of both, with codecs that are known exactly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import BadCheckpoint
from weft.methods.decoded import SynchronizedImages
from weft.methods.synchronized import synchronized
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, stable_diffusion
from weft.spaces.held import blind, holding
from weft.spaces.linear import LinearSpace, identity, lookup
from weft.tasks.network_run import Held, NetworkRun, Spaces, begin

VIEWS, SIDE = 3, 8
PIXELS = (VIEWS, SIDE, SIDE)
SCHEDULE = stable_diffusion(10)
LEVEL = NoiseLevel(0.6, 0.8)


class Shuffled:
    """Loses nothing: every latent holds 2 x 2 pixels."""

    factor, channels = 2, 12

    def encode(self, images: Tensor) -> Tensor:
        return functional.pixel_unshuffle(images, 2)

    def decode(self, latents: Tensor) -> Tensor:
        return functional.pixel_shuffle(latents, 2)

    def colors(self, cells: Tensor) -> Tensor:
        return cells.reshape(-1, 3, 4).mean(2)

    def preview(self, latents: Tensor) -> Tensor:
        return self.decode(latents)


class Averaged(Shuffled):
    """Loses detail: every latent holds the mean of 2 x 2 pixels."""

    channels = 3

    def encode(self, images: Tensor) -> Tensor:
        return functional.avg_pool2d(images, 2)

    def decode(self, latents: Tensor) -> Tensor:
        return functional.interpolate(latents, scale_factor=2.0, mode="bilinear")

    def colors(self, cells: Tensor) -> Tensor:
        return cells


class Direct(Averaged):
    """Latents are the pixels."""

    factor = 1

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def shared() -> LinearSpace:
    """A lookup in which views share cells, and some pixels see nothing."""
    index = np.random.default_rng(1).integers(-1, 60, VIEWS * SIDE * SIDE)
    return lookup(index.astype(np.int32), 60, PIXELS)


def mixture(shape: tuple[int, ...]) -> GaussianMixture:
    """Nonlinear in x, the same for every pixel, well inside [-1, 1]."""
    modes = [diagonal(torch.full(shape, centre).double(), 0.02) for centre in (-0.3, 0.35)]
    return GaussianMixture(modes, (1.0, 2.0))


def pixelwise(x: Tensor, level: NoiseLevel, /) -> Tensor:
    """A posterior of every pixel for itself, so that it means the same wherever a codec puts the pixel."""
    flat = x.reshape(-1, 1, 1, 1)
    return mixture((1, 1, 1))(flat, level).reshape(x.shape).to(x)


def spaces(pixels: LinearSpace, latents: LinearSpace | None = None) -> Spaces:
    return Spaces(latents, pixels, pixels)


def finished(run: NetworkRun) -> Tensor:
    *_, last = run.steps()
    assert last.z is not None
    return last.z


@pytest.mark.parametrize("in_pixels", [True, False])
def test_what_is_no_number_is_refused_after_the_first_step(in_pixels: bool):
    def spoilt(x: Tensor, level: NoiseLevel, /) -> Tensor:
        seen.append(level.s)
        return torch.full_like(x, math.nan)

    seen: list[float] = []
    schedule, space = stable_diffusion(8), shared()
    x = gaussian((VIEWS, 3, SIDE, SIDE), generator(0))
    run = NetworkRun(Direct(), spoilt, spaces(space, space), schedule, x, 0.8, in_pixels)
    with pytest.raises(BadCheckpoint, match="no numbers after step 1 of 9"):
        finished(run)
    assert len(seen) == 1


def test_where_views_agree_nothing_changes_to_the_bit():
    """Even if the codec loses detail: what a round trip would lose is not lost."""
    latents = gaussian((VIEWS, 3, 4, 4), generator(0)) * 0.2
    tied = SynchronizedImages(lambda x, level: latents, Averaged(), identity(PIXELS))
    assert torch.equal(tied(torch.zeros_like(latents), LEVEL), latents)


def test_with_a_codec_that_loses_nothing_it_is_the_aggregation_of_images():
    codec, space = Shuffled(), shared()
    latents = gaussian((VIEWS, 12, 4, 4), generator(0)) * 0.2
    tied = SynchronizedImages(lambda x, level: latents, codec, space)
    expected, z = space.synchronize(codec.decode(latents))
    torch.testing.assert_close(codec.decode(tied(torch.zeros_like(latents), LEVEL)), expected, atol=1e-6, rtol=0)
    assert torch.equal(tied.z, z)


@pytest.mark.parametrize("sync_until", [0.0, 0.5, 1.0])
def test_a_run_in_images_of_latents_is_a_run_in_images(sync_until: float):
    """A codec that loses nothing and a denoiser of pixels: it makes no difference where the steps are taken."""
    codec, space = Shuffled(), shared()
    x = gaussian((VIEWS, 3, SIDE, SIDE), generator(3))
    *_, expected = synchronized(pixelwise, space, SCHEDULE, x, sync_until=sync_until)
    run = NetworkRun(codec, pixelwise, spaces(space), SCHEDULE, codec.encode(x), sync_until, in_pixels=True)
    z = finished(run)
    torch.testing.assert_close(run.images, expected.x0.clamp(-1, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(z, space.aggregate(space.rows_of(run.images)), atol=1e-6, rtol=0)


def test_latents_that_are_pixels_may_be_shared_either_way():
    codec, space = Direct(), shared()
    x = gaussian((VIEWS, 3, SIDE, SIDE), generator(4))
    runs = [
        NetworkRun(codec, pixelwise, spaces(space, space), SCHEDULE, x, 1.0, in_pixels) for in_pixels in (False, True)
    ]
    torch.testing.assert_close(finished(runs[0]), finished(runs[1]), atol=1e-5, rtol=0)


def test_a_run_tells_its_steps_and_what_is_there_by_now():
    space = shared()
    x = gaussian((VIEWS, 12, 4, 4), generator(5))
    run = NetworkRun(Shuffled(), pixelwise, spaces(space), SCHEDULE, x, 0.8, in_pixels=True)
    steps = list(run.steps())
    assert [(step.index, step.total) for step in steps] == [(i, 11) for i in range(11)]
    assert [step.level for step in steps] == list(SCHEDULE.levels)
    assert steps[-1].z is not None
    shown = [step.z for step in steps if step.z is not None]
    assert len(shown) == 10
    assert all(z.shape == (60, 3) and z.abs().max() <= 1 for z in shown)
    assert run.images.shape == (VIEWS, 3, SIDE, SIDE)


def test_views_begin_with_the_noise_of_the_cells_they_share():
    space = lookup(np.tile(np.arange(16, dtype=np.int32), VIEWS), 16, (VIEWS, 4, 4))
    x = begin(Shuffled(), spaces(identity(PIXELS), space), SCHEDULE, generator(0))
    assert x.shape == (VIEWS, 12, 4, 4)
    assert torch.equal(x[0], x[1])
    assert torch.equal(x, begin(Shuffled(), spaces(identity(PIXELS), space), SCHEDULE, generator(0)))


def test_views_that_mix_cells_begin_with_noise_of_their_own():
    x = begin(Shuffled(), spaces(identity(PIXELS)), SCHEDULE, generator(0))
    correlation = np.corrcoef(x.flatten(1).numpy())
    bound = 4 / np.sqrt(x[0].numel())
    assert np.abs(correlation[~np.eye(VIEWS, dtype=bool)]).max() < bound
    assert abs(float(x.std()) - 1) < 4 / np.sqrt(2 * x.numel())


def test_what_is_there_is_noised_to_the_first_level():
    clean = gaussian((VIEWS, 12, 4, 4), generator(1))
    level = SCHEDULE.levels[0]
    noise = begin(Shuffled(), spaces(identity(PIXELS)), SCHEDULE, generator(0))
    noised = begin(Shuffled(), spaces(identity(PIXELS)), SCHEDULE, generator(0), clean)
    torch.testing.assert_close(noised, level.alpha * clean + level.sigma * noise)


@pytest.mark.parametrize("in_pixels", [False, True])
def test_what_is_held_is_seen_as_it_was_under_one_noise_at_every_level(in_pixels: bool):
    """Also after the views have been set free, whatever the denoiser wants there."""
    space, changes = shared(), np.arange(60) < 25
    texture = gaussian((60, 3), generator(7)) * 0.2
    old = space.views_of(space.project(texture)).contiguous()
    repainted = space.views_of(space.project(torch.from_numpy(changes)[:, None].float()))
    share = torch.where(torch.from_numpy(space.covered).reshape(VIEWS, 1, SIDE, SIDE), repainted, 1.0)
    stays = (share == 0).expand(-1, 3, -1, -1)
    assert 0 < stays.float().mean() < 1
    seen: list[tuple[Tensor, NoiseLevel]] = []

    def other(x: Tensor, level: NoiseLevel, /) -> Tensor:
        seen.append((x, level))
        return -pixelwise(x, level) + 0.1 * gaussian(tuple(x.shape), generator(len(seen)))

    tied = Spaces(blind(space, (share == 0).flatten().numpy()), holding(space, ~changes, texture), space)
    x = begin(Direct(), spaces(space, space), SCHEDULE, generator(8), old)
    run = NetworkRun(Direct(), other, tied, SCHEDULE, x, 0.5, in_pixels, held=Held(old, share))
    finished(run)
    noises = torch.stack([((x - level.alpha * old) / level.sigma)[stays] for x, level in seen])
    torch.testing.assert_close(noises, noises[:1].expand_as(noises), atol=2e-4, rtol=0)
    assert torch.equal(run.images[stays], old[stays])
    assert not torch.isclose(run.images, old)[~stays].all()


def test_what_is_repainted_reads_the_views_as_they_are_around_it():
    """Cells that both a held pixel and a repainted one show; only these learn of each other."""
    index = np.tile(np.arange(SIDE * SIDE, dtype=np.int32), VIEWS)
    space = lookup(index, SIDE * SIDE, PIXELS)
    held = np.zeros(len(index), bool)
    held[: SIDE * SIDE] = True  # the first view
    views = gaussian((VIEWS, 3, SIDE, SIDE), generator(2))
    together, z = blind(replace(space, gather=space.solving(0, 1.0).gather), held).synchronize(views)
    assert torch.equal(together[0], views[0])
    torch.testing.assert_close(space.views_of(space.project(z)), views.mean(0).expand_as(views))
    torch.testing.assert_close(together[1:], views.mean(0).expand_as(views[1:]))
