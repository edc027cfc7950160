"""A mixture of Gaussians over images, whose E[x0|x_t] and score are exact: the model that laws are tested on.

x_t = α x0 + σ ε with x0 ~ Σ_k w_k N(μ_k, Σ_k) gives x_t | k ~ N(α μ_k, α²Σ_k + σ²I) and, by Bayes,
E[x0|x_t] = Σ_k r_k (μ_k + α Σ_k (α²Σ_k + σ²I)⁻¹ (x_t - α μ_k)), r_k ∝ w_k N(x_t; α μ_k, α²Σ_k + σ²I)
(Bishop 2006, Eq. 2.113-2.117). Each Σ_k is diagonal in an orthonormal basis: pixels, Fourier modes, or its own
eigenvectors; there every inverse is a division.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.schedule import NoiseLevel

__all__ = ["Gaussian", "GaussianMixture", "circulant", "diagonal", "full"]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(mean, Σ) over images [C, H, W], float64; made by `diagonal`, `circulant` or `full`."""

    mean: Tensor  # [C, H, W]
    spectrum: Tensor  # eigenvalues of Σ ≥ 0, in the shape of what `analyse` returns for one image
    vectors: Tensor | str  # [D, D] eigenvectors in columns, or "pixel", or "fourier"

    def analyse(self, images: Tensor) -> Tensor:
        """Coefficients of [N, C, H, W] in the eigenbasis, [N, C, H, W] or [N, D]."""
        if isinstance(self.vectors, Tensor):
            return images.flatten(1) @ self.vectors
        return torch.fft.fft2(images, norm="ortho") if self.vectors == "fourier" else images

    def synthesise(self, coefficients: Tensor) -> Tensor:
        """Images [N, C, H, W] of coefficients."""
        if isinstance(self.vectors, Tensor):
            return (coefficients @ self.vectors.T).reshape(-1, *self.mean.shape)
        return torch.fft.ifft2(coefficients, norm="ortho").real if self.vectors == "fourier" else coefficients

    def posterior_mean(self, x: Tensor, level: NoiseLevel) -> Tensor:
        """E[x0|x_t = x] under this Gaussian alone. [N, C, H, W]"""
        gain = level.alpha * self.spectrum / self._marginal(level)
        return self.mean + self.synthesise(gain * self.analyse(x - level.alpha * self.mean))

    def log_density(self, x: Tensor, level: NoiseLevel) -> Tensor:
        """log N(x; α mean, α²Σ + σ²I). [N]"""
        variance = self._marginal(level)
        energy = (self.analyse(x - level.alpha * self.mean).abs() ** 2 / variance).flatten(1).sum(1)
        return -0.5 * (energy + variance.log().sum() + self.mean.numel() * math.log(2 * math.pi))

    def _marginal(self, level: NoiseLevel) -> Tensor:
        return level.alpha**2 * self.spectrum + level.sigma**2


def diagonal(mean: Tensor, variance: Tensor | float) -> Gaussian:
    """Independent pixels. `variance` ≥ 0 is broadcast to the shape of `mean` [C, H, W]."""
    spectrum = torch.as_tensor(variance, dtype=torch.float64).expand(mean.shape)
    return _checked(Gaussian(mean.double(), spectrum, "pixel"))


def circulant(mean: Tensor, power: Tensor) -> Gaussian:
    """Stationary on the torus. `power` ≥ 0 is the eigenvalue of each mode of `torch.fft.fft2`, even in frequency."""
    spectrum = power.double().expand(mean.shape)
    mirrored = torch.roll(spectrum.flip(-1, -2), (1, 1), (-1, -2))
    if not torch.allclose(spectrum, mirrored):
        raise InvalidInput("the power spectrum is not even, so its covariance is not real", "make P(-k) = P(k)")
    return _checked(Gaussian(mean.double(), spectrum, "fourier"))


def full(mean: Tensor, covariance: Tensor) -> Gaussian:
    """Any covariance [D, D] over the flattened image, D = C·H·W."""
    values, vectors = torch.linalg.eigh(covariance.double())
    return _checked(Gaussian(mean.double(), values.clamp_min(0), vectors))


def _checked(gaussian: Gaussian) -> Gaussian:
    if gaussian.mean.ndim != 3 or bool((gaussian.spectrum < 0).any()):
        raise InvalidInput("a Gaussian needs a mean [C, H, W] and a positive spectrum", "variances and powers are ≥ 0")
    return gaussian


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A denoiser. Computes in float64 and answers in the dtype of its input."""

    components: Sequence[Gaussian]
    weights: Sequence[float] = (1.0,)  # positive, need not sum to 1

    def __post_init__(self) -> None:
        if len(self.components) != len(self.weights) or not all(weight > 0 for weight in self.weights):
            raise InvalidInput(
                f"weights {list(self.weights)} for {len(self.components)} components", "one positive weight each"
            )

    def __call__(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        """E[x0|x_t = x]. [N, C, H, W]"""
        wide = x.double()
        means = torch.stack([component.posterior_mean(wide, level) for component in self.components])
        shares = self.log_densities(wide, level).softmax(0)[:, :, None, None, None]
        return (shares * means).sum(0).to(x.dtype)

    def score(self, x: Tensor, level: NoiseLevel) -> Tensor:
        """∇ log p_t(x) = (α E[x0|x] - x)/σ² (Tweedie), for σ > 0. [N, C, H, W]"""
        return (level.alpha * self(x, level) - x) / level.sigma**2

    def log_densities(self, x: Tensor, level: NoiseLevel) -> Tensor:
        """log (w_k N(x; …)) of every component, weights normalised. [K, N]"""
        shares = torch.tensor(self.weights, dtype=torch.float64)
        logs = torch.stack([component.log_density(x.double(), level) for component in self.components])
        return logs + (shares / shares.sum()).log()[:, None]
