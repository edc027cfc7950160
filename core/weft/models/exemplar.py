"""The exemplar denoiser: E[x0 | x_t] under the patch distribution of one image. Needs no trained weights.

At every location the estimate is the posterior mean over the patches of an exemplar, coarse to fine as the noise falls
(Kamb & Ganguli 2024, "An analytic theory of creativity in convolutional diffusion models"; matching after Barnes et al.
2009, "PatchMatch"; guides after Hertzmann et al. 2001, "Image analogies"). It knows materials and form, not meaning.

With y = x_t / α = x0 + s·ε, s = σ/α, images in [-1, 1]:

    level      d = 2^⌈log2(s / c)⌉: patches of p x p coarse pixels of d x d averaged pixels, whose noise is s/d
    posterior  w_j ∝ exp(-‖q - e_j‖² / 2(s/d)²) over exemplar patches e_j at every full-resolution offset
    mass       Sinkhorn potentials on the columns keep every part of the exemplar in use (d ≥ 4); without them smooth
               patches win everywhere, because they are the nearest to a noisy average
    emission   the matched full-resolution blocks, overlap-averaged
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional

from weft.errors import InvalidInput
from weft.models.exemplar_levels import Exemplar, Level, coarse_cells
from weft.models.exemplar_matches import Matches
from weft.models.patch_kernels import emit, patch_match, seed_matches
from weft.schedule import NoiseLevel

__all__ = ["Exemplar", "ExemplarDenoiser", "ExemplarSettings"]

_BLOCK = 4096  # queries whose posterior over all patches is held at once


@dataclass(frozen=True)
class ExemplarSettings:
    """How the posterior is approximated; the defaults were tuned on materials over meshes."""

    noise_per_level: float = 0.1  # c: the noise at which the next coarser level takes over
    patch: int = 9  # p, coarse pixels
    fine_patch: int = 7  # p at d = 1
    coarsest: int = 16  # largest d
    components: int = 32  # kept principal components
    exact_from: int = 4  # levels d ≥ this match exactly, against a jittered grid of patches
    exact_patches: int = 1500  # patches on that grid
    exact_matches: int = 16  # posterior truncated to so many
    sinkhorn_iterations: int = 2
    sinkhorn_temperature: float = 20.0
    matches: int = 4  # PatchMatch list length, d < exact_from
    iterations: int = 2  # PatchMatch iterations a step, once warm
    stride: int = 2  # coarse pixels between queries: each pixel is then painted by two or three patches, not nine
    temperature: float = 1.0  # of the PatchMatch posterior
    coherence: float = 1.0  # < 1 favours connected copies
    occupancy: float = 0.2  # price of an over-used part of the exemplar
    emitted: int = 3  # coarse cells across that a patch emits
    noise_floor: float = 0.02  # smallest noise assumed of a coarse pixel
    guide_noise: float = 0.25  # σ of the guide channels


@dataclass(frozen=True)
class _Queries:
    """What one call looks for."""

    level: Level
    features: torch.Tensor  # [N, h, w, k]
    targets: np.ndarray  # f4 [rows, columns, k]: the exemplar's patches
    importance: torch.Tensor  # [N, h, w], share of the patch on the mask
    active: np.ndarray  # bool [N, h, w]: importance > 0
    noise: float  # of a coarse pixel
    step: int  # pixels between queries

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.features.shape[:3])


class ExemplarDenoiser:
    """`x0 = denoiser(x, level)` for a batch x [N, 3, H, W] in α·[-1, 1] + noise; returns [N, 3, H, W] in [-1, 1].

    One object serves one trajectory: matches are carried from step to step. The same seed gives the same bytes.
    `mask` bool [N, H, W] limits matching (and the mass balance) to patches that touch it; elsewhere the estimate is the
    exemplar's mean colour. `guide` f4 [N, H, W, G] goes with the exemplar's own guide;
    InvalidInput if only one of them is there. H, W multiples of 16.
    `matches` are those of the last call, and may be set to start from others.
    """

    def __init__(
        self,
        exemplar: Exemplar,
        *,
        settings: ExemplarSettings | None = None,
        seed: int = 0,
        mask: np.ndarray | None = None,
        guide: np.ndarray | None = None,
    ) -> None:
        if (guide is None) != (exemplar.guide is None):
            lacking = "exemplar" if exemplar.guide is None else "views"
            raise InvalidInput(f"the {lacking} have no guide, the other side has one", "guide both or neither")
        self.exemplar = exemplar
        self.settings = settings or ExemplarSettings()
        self.mask = None if mask is None else torch.from_numpy(np.ascontiguousarray(mask, np.float32))[:, None]
        self.guide = (
            None if guide is None else torch.from_numpy(np.ascontiguousarray(guide, np.float32)).permute(0, 3, 1, 2)
        )
        self._random = np.random.default_rng(seed)
        self.matches: Matches | None = None

    def configure(self, **changes: float) -> None:
        """Change settings in mid-trajectory (a lower temperature for the last steps, say)."""
        self.settings = replace(self.settings, **changes)

    def __call__(self, x: torch.Tensor, level: NoiseLevel) -> torch.Tensor:
        images = (x / level.alpha).float().cpu()
        d = self._pick_level(level.s, min(images.shape[2:]))
        settings = self.settings
        patch = settings.fine_patch if d == 1 else settings.patch
        stride = settings.stride
        prepared = self.exemplar.level(d, patch, settings.components)
        noise = max(level.s / d, settings.noise_floor)
        guide_scale = noise / settings.guide_noise
        features = prepared.queries(images, stride, guide_scale, self.guide)
        importance = self._importance(features.shape[:3], d, patch, stride)
        active = np.ascontiguousarray((importance > 0).numpy())
        targets = prepared.targets(guide_scale)
        queries = _Queries(prepared, features, targets, importance, active, noise, stride * d)
        match = self._match_exactly if d >= settings.exact_from else self._match_nearby
        offsets, weights = match(queries)
        self.matches = Matches(d, patch, stride * d, offsets)
        return self._emit(images.shape, offsets, weights, queries)

    def _pick_level(self, s: float, side: int) -> int:
        """The level d for noise-to-signal s, limited by what the exemplar and the image can hold."""
        settings = self.settings
        d = 2 ** max(0, math.ceil(math.log2(max(s, 1e-4) / settings.noise_per_level)))
        d = min(d, settings.coarsest)
        while d > 1 and settings.patch * d > 0.6 * min(self.exemplar.side, 1.7 * side):
            d //= 2
        return d

    def _importance(self, shape: torch.Size | tuple[int, ...], d: int, patch: int, stride: int) -> torch.Tensor:
        """Share of each query's patch that lies on the mask, [N, h, w]."""
        if self.mask is None:
            return torch.ones(tuple(shape))
        return functional.avg_pool2d(coarse_cells(self.mask, d, patch, stride), patch, stride=stride)[:, 0]

    def _match_exactly(self, queries: _Queries) -> tuple[np.ndarray, np.ndarray]:
        """Every query against a jittered grid of patches, with Sinkhorn potentials on the patches' mass."""
        settings = self.settings
        rows, columns = self._jittered_grid(queries.level)
        patches = torch.from_numpy(np.ascontiguousarray(queries.targets[rows, columns]))
        chosen = torch.from_numpy(np.flatnonzero(queries.active))
        flat = queries.features.reshape(-1, queries.features.shape[-1])[chosen]
        share = queries.importance.reshape(-1)[chosen]
        share = share / share.mean().clamp_min(1e-9)
        costs = torch.addmm((patches * patches).sum(1)[None], flat, patches.T, alpha=-2)
        tempered = -1.0 / (2 * queries.noise**2 * settings.sinkhorn_temperature)
        potential = torch.zeros(len(patches))
        for _ in range(settings.sinkhorn_iterations):
            mass = torch.zeros(len(patches))
            for rows_of, shares in zip(costs.split(_BLOCK), share.split(_BLOCK), strict=True):
                mass += shares @ torch.softmax(rows_of * tempered + potential, 1)
            potential -= torch.log(mass * (len(patches) / max(1, len(flat))) + 0.02)
        costs += potential / tempered
        best, index = torch.topk(costs, min(settings.exact_matches, len(patches)), 1, largest=False)
        posterior = torch.softmax(-best / (2 * queries.noise**2), 1).numpy()
        shape = (*queries.shape, index.shape[1])
        offsets = np.full((math.prod(shape[:3]), shape[3], 2), -1, np.int32)
        weights = np.zeros((math.prod(shape[:3]), shape[3]), np.float32)
        offsets[chosen.numpy()] = np.stack([rows[index.numpy()], columns[index.numpy()]], -1)
        weights[chosen.numpy()] = posterior
        return offsets.reshape(*shape, 2), weights.reshape(shape)

    def _jittered_grid(self, prepared: Level) -> tuple[np.ndarray, np.ndarray]:
        step = 1
        while math.ceil(prepared.rows / step) * math.ceil(prepared.columns / step) > self.settings.exact_patches:
            step += 1
        first_row, first_column = self._random.integers(0, step, 2)
        rows = np.arange(min(first_row, prepared.rows - 1), prepared.rows, step)
        columns = np.arange(min(first_column, prepared.columns - 1), prepared.columns, step)
        grid = np.meshgrid(rows, columns, indexing="ij")
        return grid[0].ravel(), grid[1].ravel()

    def _match_nearby(self, queries: _Queries) -> tuple[np.ndarray, np.ndarray]:
        """PatchMatch, warm-started from the previous call."""
        settings = self.settings
        old, iterations = self._warm_start(queries.level, (*queries.shape, settings.matches), queries.step)
        penalty = self._occupancy_penalty(queries, old)
        new, costs = np.full_like(old, -1), np.full(old.shape[:4], 1e30, np.float32)
        features = np.ascontiguousarray(queries.targets)
        for turn in range(iterations):
            seed = int(self._random.integers(1, 1 << 30))
            reach = 1 + turn % 2
            patch_match(
                queries.features.numpy(), features, penalty, queries.active, old, new, costs,
                queries.step, reach, 4, np.float32(settings.coherence), seed,
            )  # fmt: skip
            old, new = new, old
        logits = (costs - costs[..., :1]) / np.float32(-2 * queries.noise**2 * settings.temperature)
        weights = np.exp(np.maximum(logits, -60))
        weights[old[..., 0] < 0] = 0
        weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-20)
        return old, weights.astype(np.float32)

    def _warm_start(self, prepared: Level, shape: tuple[int, ...], step: int) -> tuple[np.ndarray, int]:
        last, settings = self.matches, self.settings
        if last is None:
            rows = self._random.integers(0, prepared.rows, shape)
            columns = self._random.integers(0, prepared.columns, shape)
            return np.stack([rows, columns], -1).astype(np.int32), 6
        if (last.d, last.patch, last.step) == (prepared.d, prepared.patch, step) and last.offsets.shape[:4] == shape:
            limited = np.minimum(last.offsets, np.array([prepared.rows - 1, prepared.columns - 1], np.int32))
            return limited, settings.iterations if last.settled else max(4, settings.iterations)
        old = np.empty((*shape, 2), np.int32)
        shift = (last.d * last.patch - prepared.d * prepared.patch) // 2
        seed_matches(last.offsets, last.step, old, step, shift, prepared.rows, prepared.columns)
        return old, max(4, settings.iterations)

    def _occupancy_penalty(self, queries: _Queries, offsets: np.ndarray) -> np.ndarray:
        """A price on parts of the exemplar that are used more than their share: [rows, columns]."""
        settings, level = self.settings, queries.level
        shape = (level.rows, level.columns)
        used = offsets[queries.importance.numpy() > 0.5][:, 0]
        used = used[used[:, 0] >= 0]
        if settings.occupancy == 0 or self.matches is None or len(used) == 0:
            return np.zeros(shape, np.float32)
        count = np.bincount(used[:, 0] * shape[1] + used[:, 1], minlength=shape[0] * shape[1]).reshape(shape)
        density = uniform_filter(count.astype(np.float32), max(5, level.patch * level.d // 2), mode="nearest")
        price = settings.occupancy * 3 * level.patch**2 * queries.noise**2
        return (price * np.clip(density / max(float(count.mean()), 1e-9) - 1, -1, 3)).astype(np.float32)

    def _emit(self, shape: torch.Size, offsets: np.ndarray, weights: np.ndarray, queries: _Queries) -> torch.Tensor:
        """The posterior mean. A level of d pixels is emitted on a grid of d/4: finer detail is below its noise."""
        d, patch = queries.level.d, queries.level.patch
        emitted = min(self.settings.emitted, patch)
        grain = max(1, d // 4)
        cells = d // grain
        first = (patch - emitted) // 2 * cells
        distance = (np.arange(patch * cells) + 0.5) / cells - patch / 2
        window = np.exp(-0.5 * (distance / (0.5 * emitted)) ** 2).astype(np.float32)
        out = np.empty((shape[0], shape[2] // grain, shape[3] // grain, 3), np.float32)
        emit(
            self.exemplar.boxed(grain), offsets, weights, queries.active, window, queries.step // grain, grain,
            first, first + emitted * cells, self.exemplar.mean, out,
        )  # fmt: skip
        planes = torch.from_numpy(out).permute(0, 3, 1, 2)
        return functional.interpolate(planes, scale_factor=grain, mode="bilinear") if grain > 1 else planes
