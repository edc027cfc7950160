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

Patches are compared in the span of their leading principal components. What is dropped of the query is orthogonal to
every exemplar patch and cancels in the posterior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional

from weft.errors import InvalidImage
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


class Exemplar:
    """An image prepared for matching: box-filtered at every offset and projected to principal components, per level.

    `image` f4 [H, W, 3], sRGB in [0, 1]; `guide` f4 [H, W, G] or None, any range. Levels are prepared when first used.
    Raises InvalidImage if a side is shorter than 24 pixels or a value is not finite.
    """

    SMALLEST = 24

    def __init__(self, image: np.ndarray, guide: np.ndarray | None = None) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < self.SMALLEST:
            raise InvalidImage(
                f"the exemplar has shape {tuple(image.shape)}, expected at least {self.SMALLEST} x {self.SMALLEST} x 3",
                "give a larger RGB picture",
            )
        if not np.isfinite(image).all():
            raise InvalidImage("the exemplar holds NaN or infinite values", "re-export it as an ordinary PNG or JPEG")
        self.image = np.ascontiguousarray(image, np.float32) * np.float32(2) - np.float32(1)
        self.guide = None if guide is None else np.ascontiguousarray(guide, np.float32)
        self.mean = self.image.mean((0, 1))
        self._levels: dict[tuple[int, int, int], _Level] = {}
        self._boxed: dict[int, np.ndarray] = {1: self.image}

    @property
    def side(self) -> int:
        return min(self.image.shape[:2])

    def boxed(self, d: int) -> np.ndarray:
        """f4 [H - d + 1, W - d + 1, 3]: the mean of d x d pixels at every offset, addressed by their first corner."""
        if d not in self._boxed:
            planes = functional.avg_pool2d(torch.from_numpy(self.image).permute(2, 0, 1)[None], d, stride=1)
            self._boxed[d] = np.ascontiguousarray(planes[0].permute(1, 2, 0).numpy())
        return self._boxed[d]

    def level(self, d: int, patch: int, components: int) -> _Level:
        key = (d, patch, components)
        if key not in self._levels:
            self._levels[key] = _Level(self.image, self.guide, d, patch, components)
        return self._levels[key]


class _Level:
    """Features of every patch of `patch` x `patch` cells of d x d pixels; [rows, columns, k], corner-addressed."""

    def __init__(self, image: np.ndarray, guide: np.ndarray | None, d: int, patch: int, components: int) -> None:
        self.d, self.patch = d, patch
        self.basis, self.features = self._project(image, components)
        self.guide_basis, self.guide_features = (None, None) if guide is None else self._project(guide, components // 2)
        self.rows, self.columns = self.features.shape[:2]

    def _project(self, image: np.ndarray, components: int) -> tuple[torch.Tensor, np.ndarray]:
        planes = torch.from_numpy(image).permute(2, 0, 1)[None]
        boxed = functional.avg_pool2d(planes, self.d, stride=1) if self.d > 1 else planes
        basis = _principal_components(boxed, self.patch, self.d, components)
        features = functional.conv2d(boxed, basis, dilation=self.d)[0].permute(1, 2, 0)
        return basis, np.ascontiguousarray(features.numpy())

    def queries(
        self, images: torch.Tensor, stride: int, guide_scale: float, guide: torch.Tensor | None
    ) -> torch.Tensor:
        """images [N, 3, H, W] -> features [N, h, w, k] of every patch on a grid of `stride` coarse pixels."""
        features = functional.conv2d(_coarse(images, self.d, self.patch, stride), self.basis, stride=stride)
        if guide is not None and self.guide_basis is not None:
            guided = functional.conv2d(_coarse(guide, self.d, self.patch, stride), self.guide_basis, stride=stride)
            features = torch.cat([features, guided * guide_scale], 1)
        return features.permute(0, 2, 3, 1).contiguous()

    def targets(self, guide_scale: float) -> np.ndarray:
        if self.guide_features is None:
            return self.features
        return np.concatenate([self.features, self.guide_features * np.float32(guide_scale)], -1)


def _coarse(planes: torch.Tensor, d: int, patch: int, stride: int) -> torch.Tensor:
    """Cells of d x d pixels, the last row and column repeated until queries `stride` apart reach the border."""
    coarse = functional.avg_pool2d(planes, d) if d > 1 else planes
    down, right = -(coarse.shape[2] - patch) % stride, -(coarse.shape[3] - patch) % stride
    return functional.pad(coarse, (0, right, 0, down), mode="replicate") if down or right else coarse


def _principal_components(planes: torch.Tensor, patch: int, dilation: int, components: int) -> torch.Tensor:
    """Leading components of the patches of planes [1, C, H, W] as convolution weights [k, C, patch, patch]."""
    channels = planes.shape[1]
    reach = dilation * (patch - 1)
    rows, columns = planes.shape[2] - reach, planes.shape[3] - reach
    step = max(1, int(math.sqrt(rows * columns / 3000)))
    cells = dilation * torch.arange(patch)
    y = torch.arange(0, rows, step)[:, None, None, None] + cells[:, None]
    x = torch.arange(0, columns, step)[:, None, None] + cells
    samples = planes[0][:, y, x].permute(1, 2, 0, 3, 4).reshape(-1, channels * patch * patch).double()
    samples = samples - samples.mean(0)
    _, vectors = torch.linalg.eigh(samples.T @ samples)
    leading = vectors[:, -min(components, vectors.shape[1]) :].flip(1).T
    return leading.reshape(-1, channels, patch, patch).float().contiguous()


@dataclass
class _Matches:
    """What the last call found: the next one starts from it."""

    d: int
    patch: int
    step: int  # pixels between queries
    offsets: np.ndarray  # i4 [N, h, w, K, 2]


class ExemplarDenoiser:
    """`x0 = denoiser(x, level)` for a batch x [N, 3, H, W] in α·[-1, 1] + noise; returns [N, 3, H, W] in [-1, 1].

    One object serves one trajectory: matches are carried from step to step. The same seed gives the same bytes.
    `mask` bool [N, H, W] limits matching (and the mass balance) to patches that touch it; elsewhere the estimate is the
    exemplar's mean colour. `guide` f4 [N, H, W, G] goes with the exemplar's own guide. H, W multiples of 16.
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
        self.exemplar = exemplar
        self.settings = settings or ExemplarSettings()
        self.mask = None if mask is None else torch.from_numpy(np.ascontiguousarray(mask, np.float32))[:, None]
        self.guide = (
            None if guide is None else torch.from_numpy(np.ascontiguousarray(guide, np.float32)).permute(0, 3, 1, 2)
        )
        self._random = np.random.default_rng(seed)
        self._matches: _Matches | None = None

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
        queries = prepared.queries(images, stride, guide_scale, self.guide)
        importance = self._importance(queries.shape[:3], d, patch, stride)
        active = np.ascontiguousarray((importance > 0).numpy())
        match = self._match_exactly if d >= settings.exact_from else self._match_nearby
        offsets, weights = match(
            prepared, queries, prepared.targets(guide_scale), importance, active, noise, stride * d
        )
        self._matches = _Matches(d, patch, stride * d, offsets)
        return self._emit(images.shape, offsets, weights, active, d, patch, stride * d)

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
        return functional.avg_pool2d(_coarse(self.mask, d, patch, stride), patch, stride=stride)[:, 0]

    def _match_exactly(
        self,
        prepared: _Level,
        queries: torch.Tensor,
        targets: np.ndarray,
        importance: torch.Tensor,
        active: np.ndarray,
        noise: float,
        step: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Every query against a jittered grid of patches, with Sinkhorn potentials on the patches' mass."""
        settings = self.settings
        rows, columns = self._jittered_grid(prepared)
        patches = torch.from_numpy(np.ascontiguousarray(targets[rows, columns]))
        chosen = torch.from_numpy(np.flatnonzero(active))
        flat = queries.reshape(-1, queries.shape[-1])[chosen]
        share = importance.reshape(-1)[chosen]
        share = share / share.mean().clamp_min(1e-9)
        costs = torch.addmm((patches * patches).sum(1)[None], flat, patches.T, alpha=-2)
        tempered = -1.0 / (2 * noise**2 * settings.sinkhorn_temperature)
        potential = torch.zeros(len(patches))
        for _ in range(settings.sinkhorn_iterations):
            mass = torch.zeros(len(patches))
            for rows_of, shares in zip(costs.split(_BLOCK), share.split(_BLOCK), strict=True):
                mass += shares @ torch.softmax(rows_of * tempered + potential, 1)
            potential -= torch.log(mass * (len(patches) / max(1, len(flat))) + 0.02)
        costs += potential / tempered
        best, index = torch.topk(costs, min(settings.exact_matches, len(patches)), 1, largest=False)
        posterior = torch.softmax(-best / (2 * noise**2), 1).numpy()
        shape = (*queries.shape[:3], index.shape[1])
        offsets = np.full((math.prod(shape[:3]), shape[3], 2), -1, np.int32)
        weights = np.zeros((math.prod(shape[:3]), shape[3]), np.float32)
        offsets[chosen.numpy()] = np.stack([rows[index.numpy()], columns[index.numpy()]], -1)
        weights[chosen.numpy()] = posterior
        return offsets.reshape(*shape, 2), weights.reshape(shape)

    def _jittered_grid(self, prepared: _Level) -> tuple[np.ndarray, np.ndarray]:
        step = 1
        while math.ceil(prepared.rows / step) * math.ceil(prepared.columns / step) > self.settings.exact_patches:
            step += 1
        first_row, first_column = self._random.integers(0, step, 2)
        rows = np.arange(min(first_row, prepared.rows - 1), prepared.rows, step)
        columns = np.arange(min(first_column, prepared.columns - 1), prepared.columns, step)
        grid = np.meshgrid(rows, columns, indexing="ij")
        return grid[0].ravel(), grid[1].ravel()

    def _match_nearby(
        self,
        prepared: _Level,
        queries: torch.Tensor,
        targets: np.ndarray,
        importance: torch.Tensor,
        active: np.ndarray,
        noise: float,
        step: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """PatchMatch, warm-started from the previous call."""
        settings = self.settings
        old, iterations = self._warm_start(prepared, (*queries.shape[:3], settings.matches), step)
        penalty = self._occupancy_penalty(prepared, old, importance, noise)
        new, costs = np.full_like(old, -1), np.full(old.shape[:4], 1e30, np.float32)
        features = np.ascontiguousarray(targets)
        for turn in range(iterations):
            seed = int(self._random.integers(1, 1 << 30))
            reach = 1 + turn % 2
            patch_match(
                queries.numpy(), features, penalty, active, old, new, costs,
                step, reach, 4, np.float32(settings.coherence), seed,
            )  # fmt: skip
            old, new = new, old
        logits = (costs - costs[..., :1]) / np.float32(-2 * noise**2 * settings.temperature)
        weights = np.exp(np.maximum(logits, -60))
        weights[old[..., 0] < 0] = 0
        weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-20)
        return old, weights.astype(np.float32)

    def _warm_start(self, prepared: _Level, shape: tuple[int, ...], step: int) -> tuple[np.ndarray, int]:
        last, settings = self._matches, self.settings
        if last is None:
            rows = self._random.integers(0, prepared.rows, shape)
            columns = self._random.integers(0, prepared.columns, shape)
            return np.stack([rows, columns], -1).astype(np.int32), 6
        if (last.d, last.patch, last.step) == (prepared.d, prepared.patch, step) and last.offsets.shape[:4] == shape:
            return last.offsets.copy(), settings.iterations
        old = np.empty((*shape, 2), np.int32)
        shift = (last.d * last.patch - prepared.d * prepared.patch) // 2
        seed_matches(last.offsets, last.step, old, step, shift, prepared.rows, prepared.columns)
        return old, max(2, settings.iterations)

    def _occupancy_penalty(
        self, prepared: _Level, offsets: np.ndarray, importance: torch.Tensor, noise: float
    ) -> np.ndarray:
        """A price on parts of the exemplar that are used more than their share: [rows, columns]."""
        settings, shape = self.settings, (prepared.rows, prepared.columns)
        used = offsets[importance.numpy() > 0.5][:, 0]
        used = used[used[:, 0] >= 0]
        if settings.occupancy == 0 or self._matches is None or len(used) == 0:
            return np.zeros(shape, np.float32)
        count = np.bincount(used[:, 0] * shape[1] + used[:, 1], minlength=shape[0] * shape[1]).reshape(shape)
        density = uniform_filter(count.astype(np.float32), max(5, prepared.patch * prepared.d // 2), mode="nearest")
        price = settings.occupancy * 3 * prepared.patch**2 * noise**2
        return (price * np.clip(density / max(float(count.mean()), 1e-9) - 1, -1, 3)).astype(np.float32)

    def _emit(
        self,
        shape: torch.Size,
        offsets: np.ndarray,
        weights: np.ndarray,
        active: np.ndarray,
        d: int,
        patch: int,
        step: int,
    ) -> torch.Tensor:
        """The posterior mean. A level of d pixels is emitted on a grid of d/4: finer detail is below its noise."""
        emitted = min(self.settings.emitted, patch)
        grain = max(1, d // 4)
        cells = d // grain
        first = (patch - emitted) // 2 * cells
        distance = (np.arange(patch * cells) + 0.5) / cells - patch / 2
        window = np.exp(-0.5 * (distance / (0.5 * emitted)) ** 2).astype(np.float32)
        out = np.empty((shape[0], shape[2] // grain, shape[3] // grain, 3), np.float32)
        emit(
            self.exemplar.boxed(grain), offsets, weights, active, window, step // grain, grain,
            first, first + emitted * cells, self.exemplar.mean, out,
        )  # fmt: skip
        planes = torch.from_numpy(out).permute(0, 3, 1, 2)
        return functional.interpolate(planes, scale_factor=grain, mode="bilinear") if grain > 1 else planes
