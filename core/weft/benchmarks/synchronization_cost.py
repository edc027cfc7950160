"""What tying views together costs, beside the denoiser, as views and textures grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from weft.benchmarks.torus import torus_space
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.models.materials import render
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel
from weft.stepper import ddim

__all__ = ["SIZES", "Row", "measure_costs", "table"]

# (views, pixels of their side, texels of the texture's side)
SIZES = (
    (10, 256, 1024), (20, 256, 1024), (10, 512, 1024), (20, 512, 2048), (10, 1024, 2048), (20, 1024, 4096),
)  # fmt: skip
LEVELS = (4.0, 1.0, 0.3, 0.05)  # σ/α of the calls that are timed: coarse matching to the finest
DENOISED = 20 * 512 * 512  # pixels; beyond, the denoiser's time is taken from fewer views: it treats them one by one
EXPONENT = 33.0  # of a view's weight, in the middle of a run
ENDS = NoiseLevel(0.6, 0.8), NoiseLevel(0.8, 0.6)  # of the ψ that is timed


@dataclass(frozen=True)
class Row:
    """Seconds by the clock. `build`: once a job. Each step: `denoise` (mean over LEVELS), `synchronize` (F), and ψ."""

    views: int
    size: int
    texture: int
    build: float
    synchronize: float
    denoise: float
    psi: float

    @property
    def pixels(self) -> int:
        """Of the views and of the texture: what F reads and writes."""
        return self.views * self.size**2 + self.texture**2

    @property
    def share(self) -> float:
        """Of synchronisation in a step."""
        return self.synchronize / (self.synchronize + self.denoise + self.psi)


def measure_costs(sizes: Sequence[tuple[int, int, int]] = SIZES) -> Iterator[Row]:
    """A row for every size, with the exemplar denoiser at the scale that `weft texture` gives it."""
    torch.set_num_threads(1)
    picture = render("mossy stone", 512)
    for views, size, texture in sizes:
        began = time.perf_counter()
        space = torus_space(views, size, texture).linear(EXPONENT)
        x = space.views_of(gaussian((views * size**2, 3), generator(0)))  # laid out as a denoiser's answer is
        space.synchronize(x)  # loads kernels, builds what is built once
        built = time.perf_counter() - began
        tied = min(_seconds(lambda space=space, x=x: space.synchronize(x)) for _ in range(5))
        few = x[: max(1, min(views, DENOISED // size**2))]
        denoised = _denoise_seconds(Exemplar(picture), few) * len(x) / len(few)
        stepped = min(_seconds(lambda x=x: ddim(x, x, *ENDS, eta=1.0, noise=x)) for _ in range(3))
        yield Row(views, size, texture, built, tied, denoised, stepped)


def _denoise_seconds(exemplar: Exemplar, x: torch.Tensor) -> float:
    """Mean seconds of a call; the second round is timed, as most steps find the last one's matches."""
    denoiser = ExemplarDenoiser(exemplar)
    total = 0.0
    for s in LEVELS:
        level = NoiseLevel((1 + s * s) ** -0.5, s * (1 + s * s) ** -0.5)
        denoiser(x, level)
        total += _seconds(lambda level=level: denoiser(x, level))
    return total / len(LEVELS)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of text; the last column tells whether the cost grows with the pixels."""
    yield (
        f"{'views':>5}{'size':>6}{'texture':>9}{'build s':>10}{'denoise s':>11}{'ψ s':>8}{'synchronise s':>15}"
        f"{'share':>8}{'ns a pixel':>12}"
    )
    for row in rows:
        yield (
            f"{row.views:>5}{row.size:>6}{row.texture:>9}{row.build:>10.2f}{row.denoise:>11.3f}{row.psi:>8.3f}"
            f"{row.synchronize:>15.4f}"
            f"{row.share:>8.1%}{1e9 * row.synchronize / row.pixels:>12.1f}"
        )
