"""What each view of an illusion is asked to show: pictures changed so little that they stay themselves, and so much
that one image can be all of them.

An image can only ever be one thing at a pixel. Asked for two unrelated pictures, the views meet in the middle, which
resembles neither. So, before anything is denoised,

- tones      the pictures get one palette: the mean of their luma quantiles (the Wasserstein barycentre in one
             dimension; Rabin et al. 2011), and colours of one mean and spread;
- pieces     shuffles are not left to chance: each piece goes where it resembles what is wanted there (an assignment
             problem; a picture of shuffled pixels is otherwise noise in the eyes of the other);
- light      all share their coarse brightness and colour, as the mean of the views laid back; details stay their own;
- weights    where one picture has more detail than the others, it has more say about the image. Equal say everywhere
             is a double exposure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from weft.spaces.illusion import SHUFFLES, Transformation, cut_of, shuffled, transformations

__all__ = ["Targets", "detail_energy", "make_targets", "squared"]

COARSE = 0.094  # of the side: the blur whose result all pictures share
STEEPEST = 1.8  # slope of the tone curves, at most
DETAIL_GAIN = 1.1  # of what that blur leaves out: makes up for what sharing costs
MOST_SPREAD = 1.2  # colours are spread at most so much further
FINE, NEAR = 0.031, 0.02  # of the side: finer than the first is detail, over the second its energy is gathered
RIVALRY = 2.0  # exponent of the detail's energy in the weights: 0 shares alike, ∞ lets the winner take all
FLOOR = 0.25  # of the mean energy, added everywhere: flat places are shared alike
_ROUNDS = 20  # of the balance between the views
_LEVELS = 128  # of a tone curve
_BAND = 512  # pieces that are assigned at once: the cost grows with their cube
_TO_LUMA = np.array([[0.299, 0.587, 0.114], [0.5, -0.419, -0.081], [-0.169, -0.331, 0.5]], np.float32)
_FROM_LUMA = np.linalg.inv(_TO_LUMA).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Targets:
    """Everything in the size of the image, S."""

    views: list[Transformation]
    pictures: list[NDArray[np.float32]]  # [S, S, 3] in [0, 1], as given, cropped to a square
    wanted: list[NDArray[np.float32]]  # [S, S, 3] in [0, 1], what each view shall show
    weights: NDArray[np.float32]  # [N, S, S] ≥ 0 of the views, laid back in the image; they sum to 1


def make_targets(pictures: Sequence[NDArray[np.float32]], names: Sequence[str], size: int, seed: int) -> Targets:
    """Targets for pictures f4 [H, W, 3] in [0, 1], each seen in the view of its name."""
    square = [squared(picture, size) for picture in pictures]
    views = transformations(names, size, seed)
    # Tones agree in the image: a negative is matched as the image that it would be the negative of.
    toned = _one_palette([view.sign * (2 * picture - 1) for view, picture in zip(views, square, strict=True)])
    views = _arranged(views, toned)
    upright = [replace(view, sign=1.0) for view in views]
    laid_back = [view.restore(tones) for view, tones in zip(upright, toned, strict=True)]
    coarse = [_blurred(image, COARSE) for image in laid_back]
    shared = np.mean(coarse, 0)
    wanted = []
    for view, plain, tones, own in zip(views, upright, toned, coarse, strict=True):
        detail = (DETAIL_GAIN - 1) * (tones - _blurred(tones, COARSE))
        wanted.append(view.sign * (tones + detail + plain.apply(shared - own)))
    laid = [plain.restore(detail_energy(view)[..., None])[..., 0] for plain, view in zip(upright, wanted, strict=True)]
    shown = [(view * 0.5 + 0.5).clip(0, 1).astype(np.float32) for view in wanted]
    return Targets(views, square, shown, _say(np.stack(laid)))


def _say(energies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights [N, S, S] that sum to 1, from the views' detail: each view keeps the same share of its own detail."""
    power = energies**2
    factors = 1 / np.maximum(energies.mean((1, 2), keepdims=True), 1e-6)
    floors = FLOOR * energies.mean((1, 2), keepdims=True) + 1e-4
    weights = np.full_like(energies, 1 / len(energies))
    for _ in range(_ROUNDS):
        rivals = (factors * (energies + floors)) ** RIVALRY
        weights = rivals / rivals.sum(0)
        kept = ((weights * power).sum((1, 2), keepdims=True) + 1e-6) / (power.sum((1, 2), keepdims=True) + 1e-6)
        factors *= np.sqrt(kept.mean() / np.maximum(kept, 1e-3))
    return weights.astype(np.float32)


def squared(picture: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The middle square of [H, W, 3], at `size` pixels a side."""
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    middle = np.ascontiguousarray(picture[top : top + side, left : left + side], np.float32)
    planes = torch.from_numpy(middle).permute(2, 0, 1)[None]
    scaled = functional.interpolate(planes, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    return scaled[0].permute(1, 2, 0).clamp(0, 1).contiguous().numpy()


def detail_energy(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """[S, S] the root mean square of the luma's fine detail around each pixel of [S, S, 3]."""
    size = len(image)
    luma = image @ _TO_LUMA[0]
    fine = luma - gaussian_filter(luma, FINE * size, mode="nearest")
    return np.sqrt(gaussian_filter(fine * fine, NEAR * size, mode="nearest")).astype(np.float32)


def _blurred(image: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    deviation = radius * len(image)
    return np.asarray(gaussian_filter(image, (deviation, deviation, 0), mode="nearest"), np.float32)


def _one_palette(images: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Images [S, S, 3] in [-1, 1] with (nearly) one distribution of luma, and one mean and spread of colour."""
    split = [image @ _TO_LUMA.T for image in images]
    quantiles = np.mean([np.sort(image[..., 0].ravel()) for image in split], 0)
    mean = np.mean([image[..., 1:].mean((0, 1)) for image in split], 0)
    spread = np.mean([image[..., 1:].std((0, 1)) for image in split], 0)
    toned = []
    for image in split:
        colour = image[..., 1:] - image[..., 1:].mean((0, 1))
        factor = np.minimum(spread / np.maximum(image[..., 1:].std((0, 1)), 1e-3), MOST_SPREAD)
        luma = _curved(image[..., 0], quantiles)
        whole = np.concatenate([luma[..., None], colour * factor + mean], -1) @ _FROM_LUMA.T
        toned.append(whole.clip(-1, 1).astype(np.float32))
    return toned


def _curved(luma: NDArray[np.float32], quantiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """`luma` through the tone curve that gives it these quantiles, nowhere steeper than STEEPEST: areas of one tone,
    which every steeper curve would need to spread, keep what is near them from breaking up into grain.
    """
    ends = np.searchsorted(np.sort(luma.ravel()), grid := np.linspace(luma.min() - 1e-3, luma.max() + 1e-3, _LEVELS))
    curve = quantiles[np.minimum(ends, luma.size - 1)]
    rise = np.minimum(np.diff(curve), STEEPEST * np.diff(grid))
    gentle = np.interp(luma, grid, np.append(0, np.cumsum(rise)))
    return (gentle + quantiles.mean() - gentle.mean()).astype(np.float32)


def _arranged(views: list[Transformation], toned: Sequence[NDArray[np.float32]]) -> list[Transformation]:
    """The views, with every shuffle chosen so that its pieces resemble what the views without shuffles show.

    If all are shuffles, the first stays as it was drawn.
    """
    upright = [replace(view, sign=1.0) for view in views]
    firm = [i for i, view in enumerate(views) if view.name not in SHUFFLES] or [0]
    image = np.mean([upright[i].restore(toned[i]) for i in firm], 0)
    result = list(views)
    for i, view in enumerate(views):
        if i not in firm:
            cut = cut_of(view.name, view.size)
            here, there = image.reshape(-1, 3), toned[i].reshape(-1, 3)
            result[i] = shuffled(view.name, cut, [_best_goals(here[kind], there[kind]) for kind in cut.kinds])
    return result


def _best_goals(pieces: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.intp]:
    """[n] the place of each piece, never its own, so that pieces [n, m, 3] and what is wanted in the places [n, m, 3]
    differ least in sum: exactly up to 512 pieces, beyond in bands of similar colour, band after band.
    """
    a, b = pieces.reshape(len(pieces), -1), places.reshape(len(places), -1)
    if len(a) <= _BAND:
        return _assigned(a, b, np.arange(len(a)), np.arange(len(a)))
    means = pieces.mean(1)
    goals = np.empty(len(a), np.intp)
    goals[np.argsort(means @ _TO_LUMA[0], kind="stable")] = np.argsort(places.mean(1) @ _TO_LUMA[0], kind="stable")
    for axis in (0, 1, 2, 0):
        order = np.argsort(means @ _TO_LUMA[axis], kind="stable")
        for band in np.array_split(order, -(-len(order) // _BAND)):
            goals[band] = _assigned(a[band], b[goals[band]], band, goals[band])
    return goals


def _assigned(
    a: NDArray[np.float32], b: NDArray[np.float32], pieces: NDArray[np.intp], places: NDArray[np.intp]
) -> NDArray[np.intp]:
    """For each of the `pieces`, with colours `a` [n, k], one of the `places`, with wanted colours `b`."""
    costs = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    costs[pieces[:, None] == places] = 4 * costs.max() + 1.0
    return places[linear_sum_assignment(costs)[1]]
