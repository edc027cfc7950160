"""What the cases of SyncTweedies are worth, by kind of projection: the finding of Kim et al. 2024 (Tables 1, A3-A8).

Two denoisers are the instruments. The *field* is a Gaussian random field of known spectrum: its posterior mean is exact
and linear, so every loss of variance on the way shows in the result in full. The *exemplar* denoiser is the one that
Weft ships with; its posterior is discrete (the patches of a picture), which hides small losses of variance, because the
nearest patch is the same with a little less noise. `variance_response` measures this difference by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weft.benchmarks.torus import torus_space
from weft.denoiser import Denoiser, each
from weft.methods.cases import CASES
from weft.methods.synchronized import synchronized
from weft.metrics import patch_distance, psnr, sharpness
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.models.gaussian_mixture import Gaussian, GaussianMixture, circulant
from weft.models.materials import render
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, stable_diffusion
from weft.spaces.illusion import illusion_space
from weft.spaces.linear import LinearSpace
from weft.spaces.multiplane import multiplane_space, parallax_space
from weft.stepper import ddim

__all__ = ["COLUMNS", "INSTRUMENTS", "PROJECTIONS", "Row", "measure_cases", "table", "variance_response"]

MATERIALS = ("mossy stone", "bricks")  # of the first and the second view, with the exemplar denoiser
STEPS = 30
DEVIATION, CORNER, SLOPE = 0.3, 4.0, 4.0  # of the field: pixels' standard deviation; power (1 + (k/corner)²)^(-slope/2)
COLUMNS = {
    "patch": "patch distance",
    "aligned": "aligned",
    "sharpness": "sharpness",
    "consistency": "consistency",
    "seconds": "seconds",
}


@dataclass(frozen=True)
class Projection:
    """A canonical space under some views, and what each of its views should look like."""

    space: LinearSpace
    targets: tuple[int, ...]  # of the views
    shared_noise: bool  # views look the canonical noise up; otherwise one draw for all, as noise does not survive P
    masks: list[np.ndarray] | None = None  # bool [S, S], what counts of each view


def _mesh(size: int) -> Projection:
    space = torus_space(4, size, 4 * size)
    return Projection(space.linear(6.0), (0,) * 4, True, list(space.views.mask))


PROJECTIONS: dict[str, Callable[[int], Projection]] = {
    "1-to-1": lambda size: Projection(illusion_space(["identity", "rotate_90"], size), (0, 1), True),
    "1-to-n": lambda size: Projection(illusion_space(["identity", "inner_circle_45"], size), (0, 1), True),
    "n-to-1": lambda size: Projection(parallax_space(3, size), (0, 0, 0), False),
    "n-to-1, no parallax": lambda size: Projection(multiplane_space(["identity", "rotate_90"], size), (0, 1), False),
    "mesh": _mesh,
}


@dataclass(frozen=True)
class Instrument:
    """A denoiser for the views of a projection, and pictures of what it believes in."""

    denoiser: Callable[[Sequence[int], int], Denoiser]  # from the views' targets and a seed
    references: tuple[list[np.ndarray], list[np.ndarray]]  # by target, f4 [H, W, 3] in [0, 1]
    size: int


def gaussian_field(size: int) -> Gaussian:
    """A stationary, isotropic field [3, S, S] with mean 0."""
    frequency = np.fft.fftfreq(size) * size
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    power = np.where(radius > 0, (1 + (radius / CORNER) ** 2) ** (-SLOPE / 2), 0)
    return circulant(torch.zeros(3, size, size), torch.from_numpy(power * DEVIATION**2 / power.mean()))


def draw_field(field: Gaussian, count: int, seed: int) -> Tensor:
    """[count, 3, S, S], exact samples."""
    white = gaussian((count, *field.mean.shape), generator(seed)).double()
    return field.synthesise(field.spectrum.sqrt() * field.analyse(white))


def field_instrument(size: int) -> Instrument:
    field = gaussian_field(size)
    references = images_of(draw_field(field, 4, 99))
    return Instrument(lambda targets, seed: GaussianMixture([field]), (references, references), size)


def exemplar_instrument(size: int) -> Instrument:
    pictures = [render(name, size) for name in MATERIALS]
    exemplars = [Exemplar(picture) for picture in pictures]

    def denoiser(targets: Sequence[int], seed: int) -> Denoiser:
        return each([ExemplarDenoiser(exemplars[target], seed=seed) for target in targets])

    return Instrument(denoiser, ([pictures[0]], [pictures[1]]), size)


INSTRUMENTS = {"field": field_instrument, "exemplar": exemplar_instrument}


@dataclass(frozen=True)
class Row:
    instrument: str
    projection: str
    case: int
    numbers: dict[str, float]  # by the keys of COLUMNS, means over seeds


def measure_cases(
    cases: Sequence[int], *, size: int = 96, seeds: int = 2, instruments: Sequence[str] = tuple(INSTRUMENTS)
) -> Iterator[Row]:
    """A row for every instrument, projection and case.

    patch: distance of the views' patches to their targets' (`metrics.patch_distance`), 0 is best. aligned: how much of
    the way from a flat image to the target the worst-off view has come, at most 1. sharpness: over the targets', 1 is
    ideal. consistency: PSNR in dB of the network's last own estimates against the common result. seconds: CPU, one run.
    """
    for name in instruments:
        instrument = INSTRUMENTS[name](size)
        for kind, build in PROJECTIONS.items():
            projection = build(size)
            flat = _flat_distances(instrument, projection)
            for case in cases:
                found = [_measure(instrument, projection, flat, case, seed) for seed in range(seeds)]
                yield Row(name, kind, case, {key: float(np.mean([one[key] for one in found])) for key in COLUMNS})


def _measure(
    instrument: Instrument, projection: Projection, flat: np.ndarray, case: int, seed: int
) -> dict[str, float]:
    space, denoiser = projection.space, instrument.denoiser(projection.targets, seed)
    own: list[Tensor] = []

    def remembering(x: Tensor, level: NoiseLevel, /) -> Tensor:
        own[:] = [denoiser(x, level)]
        return own[0]

    z = gaussian((space.cells, 3), generator(seed, 1))
    began = time.process_time()
    steps = synchronized(
        remembering, space, stable_diffusion(STEPS), _noisy_views(projection, z, seed), z=z, case=CASES[case]
    )
    *_, last = steps
    result = space.synchronize(last.x0)[0]
    seconds = time.process_time() - began
    images, masks = images_of(result), projection.masks or [None] * len(result)
    distances = _distances(instrument, projection, images)
    wanted = [np.mean([sharpness(r) for r in instrument.references[target]]) for target in projection.targets]
    shown = [sharpness(image, mask) for image, mask in zip(images, masks, strict=True)]
    # The joint processes call the network twice a step, the last time for as many views.
    estimates = images_of(own[0])
    return {
        "patch": float(np.mean(distances)),
        "aligned": float(np.min(1 - distances / flat)),
        "sharpness": float(np.mean(shown) / np.mean(wanted)),
        "consistency": float(np.mean([psnr(*pair) for pair in zip(estimates, images, masks, strict=True)])),
        "seconds": seconds,
    }


def _noisy_views(projection: Projection, z: Tensor, seed: int) -> Tensor:
    """[N, 3, S, S] of unit variance: looked up in z where that keeps the variance, otherwise one draw for all."""
    space = projection.space
    if projection.shared_noise:
        index = torch.from_numpy(space.nearest.astype(np.int64))
        signs = torch.from_numpy(space.signs)[:, None]
        alone = space.rows_of(gaussian((space.view_shape[0], 3, *space.view_shape[1:]), generator(seed, 2)))
        return space.views_of(torch.where(index[:, None] >= 0, signs * z[index.clamp_min(0)], alone))
    return gaussian((1, 3, *space.view_shape[1:]), generator(seed, 2)).repeat(space.view_shape[0], 1, 1, 1)


def _distances(instrument: Instrument, projection: Projection, images: Sequence[np.ndarray]) -> np.ndarray:
    """Patch distance of the views of each target to that target."""
    found = []
    for target in sorted(set(projection.targets)):
        of = [i for i, own in enumerate(projection.targets) if own == target]
        masks = None if projection.masks is None else [projection.masks[i] for i in of]
        found.append(patch_distance([images[i] for i in of], instrument.references[target], masks))
    return np.array(found)


def _flat_distances(instrument: Instrument, projection: Projection) -> np.ndarray:
    """The same for images of nothing but each target's mean colour."""
    colours = [np.mean(instrument.references[target], (0, 1, 2), keepdims=True)[0] for target in projection.targets]
    shape = (*projection.space.view_shape[1:], 3)
    return _distances(instrument, projection, [np.broadcast_to(c, shape).astype(np.float32) for c in colours])


def variance_response(variances: Sequence[float], *, size: int = 96) -> Iterator[tuple[str, float, float]]:
    """(instrument, variance, sharpness) of single images denoised from noise of too small a variance.

    Sharpness is relative to that from variance 1. What is lost here is what a projection that mixes cells, and so
    lowers the variance of the noise to Σw² < 1, costs the cases that project x_t.
    """
    for name, build in INSTRUMENTS.items():
        instrument = build(size)
        found = []
        for variance in (1.0, *variances):
            denoiser = instrument.denoiser((0,), 0)
            x = variance**0.5 * gaussian((1, 3, size, size), generator(0))
            for level, next_level in stable_diffusion(STEPS):
                x = ddim(x, denoiser(x, level), level, next_level)
            found.append(sharpness(images_of(x)[0]))
        yield from ((name, variance, value / found[0]) for variance, value in zip(variances, found[1:], strict=True))


def images_of(views: Tensor) -> list[np.ndarray]:
    """[N, 3, H, W] about [-1, 1] to N images f4 [H, W, 3]; not clipped."""
    return list((views.permute(0, 2, 3, 1) * 0.5 + 0.5).float().numpy())


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of text: a heading, and under each instrument and projection its cases."""
    yield f"{'denoiser':<10}{'projection':<22}{'case':>5}" + "".join(f"{heading:>16}" for heading in COLUMNS.values())
    for row in rows:
        values = "".join(f"{_shown(row.numbers[key]):>16}" for key in COLUMNS)
        yield f"{row.instrument:<10}{row.projection:<22}{row.case:>5}{values}"


def _shown(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"
