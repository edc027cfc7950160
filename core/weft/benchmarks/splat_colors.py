"""Fitting splat colours to views: conjugate gradients against Adam over all views and Adam over one view at a time.

All start at the back-projection of the views and get the same time, that of three conjugate-gradient steps, then ten
times as much. The views are renders of known colours, exact ("consistent") or each with a smooth error of its own
("inconsistent", as the estimates of a denoiser are). What counts is how well the exact renders of views that were not
fitted are met.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput
from weft.geometry.splats import Splats
from weft.noise import gaussian, generator
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix
from weft.spaces.splat_colors import SplatColorSpace, build_splat_colors
from weft.tasks.splat_views import plan_cameras

__all__ = ["Row", "measure_fits", "table"]

HELD_OUT = 8  # every so many-th view is not fitted
STEPS = 3  # of conjugate gradients, whose time is everyone's
GENEROUS = 10  # times that, in the second round
DAMPING = 1.0
RATE = 0.02  # of Adam, falling to 0 along a cosine
ERROR = 0.1  # standard deviation of the views' errors, in [0, 1]
_GRAIN = 8  # pixels across which an error is smooth


@dataclass(frozen=True)
class Row:
    method: str
    views: str  # "consistent" or "inconsistent"
    iterations: int
    seconds: float
    psnr: float  # dB, over the covered pixels of the views that were not fitted


def measure_fits(splats: Splats, *, up: str, size: int, views: int, seed: int, generous: bool = True) -> Iterator[Row]:
    """A row for every method, kind of views and time. At least nine views."""
    torch.set_num_threads(1)
    if views <= HELD_OUT:
        raise InvalidInput(f"{views} views leave none to be held out", f"take more than {HELD_OUT}")
    cameras = plan_cameras(splats, up=up, size=size, count=views, cameras_from="automatic", scene=[])
    held = set(range(0, len(cameras), HELD_OUT))
    fitted = build_splat_colors(splats, [c for v, c in enumerate(cameras) if v not in held])
    others = build_splat_colors(splats, [cameras[v] for v in sorted(held)])
    truth = torch.from_numpy(splats.colors.clip(0, 1))
    exact = fitted.projection @ truth
    for kind, rows in (("consistent", exact), ("inconsistent", exact + _errors(fitted, seed))):
        for method, (z, iterations, seconds) in _fits(fitted, rows, generous):
            yield Row(method, kind, iterations, seconds, _psnr(others.projection, z, truth))


def _errors(space: SplatColorSpace, seed: int) -> Tensor:
    """Smooth errors [N·H·W, 3] of deviation `ERROR`, each view's own."""
    views, height, width = space.shape
    coarse = gaussian((views, 3, height // _GRAIN + 1, width // _GRAIN + 1), generator(seed))
    fine = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    return (ERROR * fine / fine.std()).permute(0, 2, 3, 1).reshape(-1, 3)


def _psnr(projection: SparseMatrix, z: Tensor, truth: Tensor) -> float:
    covered = torch.from_numpy(projection.row_counts > 0)
    gap = (projection @ (z - truth))[covered]
    return float(-10 * torch.log10((gap**2).mean()))


_Fit = tuple[Tensor, int, float]  # colours [S, 3], iterations, seconds


def _fits(space: SplatColorSpace, rows: Tensor, generous: bool) -> Iterator[tuple[str, _Fit]]:
    linear = space.shared(iterations=0)
    start = linear.unproject(rows)  # builds what is kept between the steps of a job, for all methods
    linear.solve(rows, start, iterations=1)
    singles = _single_views(space, rows)
    yield "back-projection", (start, 0, 0.0)
    for iterations in (1, 2, STEPS):
        fit = _conjugate_gradients(linear, rows, start, iterations)
        yield "conjugate gradients", fit
    for seconds in (fit[2], GENEROUS * fit[2])[: 2 if generous else 1]:
        yield "Adam, all views", _adam([(space.projection, rows)], start, seconds)
        yield "Adam, one view a step", _adam(singles, start, seconds)
    if generous:
        yield "conjugate gradients", _conjugate_gradients(linear, rows, start, GENEROUS * STEPS)


def _conjugate_gradients(linear: LinearSpace, rows: Tensor, start: Tensor, iterations: int) -> _Fit:
    begin = time.perf_counter()
    z = linear.solve(rows, start, iterations=iterations, damping=DAMPING)
    return z, iterations, time.perf_counter() - begin


def _single_views(space: SplatColorSpace, rows: Tensor) -> list[tuple[SparseMatrix, Tensor]]:
    """Each view's own projection and pixels; transposes ready."""
    parts, p = [], space.projection
    pixels = p.shape[0] // space.shape[0]
    for view in range(space.shape[0]):
        starts = p.row_starts[view * pixels : (view + 1) * pixels + 1]
        own = slice(int(starts[0]), int(starts[-1]))
        matrix = SparseMatrix(starts - starts[0], p.indices[own], p.values[own], p.columns)
        matrix.transpose  # noqa: B018  built once
        parts.append((matrix, rows[view * pixels : (view + 1) * pixels]))
    return parts


def _adam(parts: Sequence[tuple[SparseMatrix, Tensor]], start: Tensor, seconds: float) -> _Fit:
    """Kingma and Ba 2015 on the squared error of one part a step, in random order, for about `seconds`."""
    total, begin = 1, time.perf_counter()
    z, mean, square = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    order = np.random.default_rng(0)
    for step in count(1):
        matrix, rows = parts[int(order.integers(len(parts)))]
        covered = torch.from_numpy(matrix.row_counts > 0)[:, None]
        gradient = matrix.transpose @ torch.where(covered, matrix @ z - rows, 0.0)
        mean.mul_(0.9).add_(gradient, alpha=0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        spent = time.perf_counter() - begin
        total = max(step, round(step * seconds / max(spent, 1e-9)))  # what the time will be enough for
        rate = RATE * 0.5 * (1 + math.cos(math.pi * min(step / total, 1)))
        corrected = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
        z.addcdiv_(mean, corrected, value=-rate / (1 - 0.9**step))
        if spent >= seconds:
            return z, step, spent
    raise AssertionError("unreachable")


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of text: a heading, then the rows."""
    yield f"{'method':<24} {'views':<14} {'iterations':>10} {'seconds':>9} {'PSNR dB':>9}"
    for row in rows:
        yield f"{row.method:<24} {row.views:<14} {row.iterations:>10} {row.seconds:>9.3f} {row.psnr:>9.2f}"
