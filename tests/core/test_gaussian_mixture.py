"""The exact denoiser equals the posterior computed by brute force, in every covariance form."""

from __future__ import annotations

import math

import pytest
import torch

from weft.errors import InvalidInput
from weft.models.gaussian_mixture import GaussianMixture, circulant, diagonal, full
from weft.noise import gaussian, generator
from weft.schedule import CLEAN, NoiseLevel

LEVELS = [NoiseLevel(0.9, math.sqrt(0.19)), NoiseLevel(0.3, math.sqrt(0.91)), NoiseLevel(0.4, 0.6)]


def covariance(seed: int, size: int) -> torch.Tensor:
    root = torch.randn(size, size, generator=generator(seed), dtype=torch.float64)
    return root @ root.T / size + 0.05 * torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize("level", LEVELS)
def test_posterior_mean_equals_numerical_integration(level):
    """∫ x0 p(x0) N(x; α x0, σ²) dx0 / ∫ p(x0) N(x; α x0, σ²) dx0 on a fine grid, one pixel."""
    centres, variances, weights = (-0.7, 0.1, 0.8), (0.02, 0.1, 0.005), (1.0, 3.0, 2.0)
    mixture = GaussianMixture(
        [diagonal(torch.full((1, 1, 1), c).double(), v) for c, v in zip(centres, variances, strict=True)], weights
    )
    grid = torch.linspace(-6, 6, 200_001, dtype=torch.float64)
    prior = torch.zeros_like(grid)
    for w, c, v in zip(weights, centres, variances, strict=True):
        prior += w * torch.exp(-((grid - torch.tensor(c).double()) ** 2) / (2 * v)) / math.sqrt(v)
    for x in (-1.5, -0.2, 0.0, 0.9):
        posterior = prior * torch.exp(-((x - level.alpha * grid) ** 2) / (2 * level.sigma**2))
        expected = (grid * posterior).sum() / posterior.sum()
        found = mixture(torch.full((1, 1, 1, 1), x, dtype=torch.float64), level)
        assert found.item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_full_covariance_equals_the_textbook_inverse(level):
    mean, sigma = gaussian((2, 2, 3), generator(0)).double(), covariance(1, 12)
    x = gaussian((4, 2, 2, 3), generator(2)).double()
    marginal = level.alpha**2 * sigma + level.sigma**2 * torch.eye(12, dtype=torch.float64)
    gain = level.alpha * sigma @ torch.linalg.inv(marginal)
    expected = mean.flatten() + (x - level.alpha * mean).flatten(1) @ gain.T
    assert torch.allclose(GaussianMixture([full(mean, sigma)])(x, level).flatten(1), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_all_forms_of_one_covariance_agree(level):
    """A circulant covariance, written out as a matrix; a diagonal one likewise. Densities included."""
    x, mean = gaussian((5, 1, 4, 6), generator(0)).double(), gaussian((1, 4, 6), generator(1)).double()
    kernel = gaussian((1, 4, 6), generator(2)).double()
    power = torch.fft.fft2(kernel).abs() ** 2
    impulses = torch.eye(24, dtype=torch.float64).reshape(24, 4, 6)
    matrix = torch.fft.ifft2(power * torch.fft.fft2(impulses)).real.reshape(24, 24)
    variance = torch.rand(1, 4, 6, generator=generator(3), dtype=torch.float64)
    pairs = [
        (circulant(mean, power), full(mean, matrix)),
        (diagonal(mean, variance), full(mean, variance.flatten().diag())),
    ]
    for special, general in pairs:
        assert torch.allclose(special.posterior_mean(x, level), general.posterior_mean(x, level))
        assert torch.allclose(special.log_density(x, level), general.log_density(x, level))
        torch_density = torch.distributions.MultivariateNormal(
            level.alpha * mean.flatten(),
            level.alpha**2 * (general.vectors * general.spectrum @ general.vectors.T)  # pyright: ignore
            + level.sigma**2 * torch.eye(24),
        )
        assert torch.allclose(special.log_density(x, level), torch_density.log_prob(x.flatten(1)))


@pytest.mark.parametrize("level", LEVELS)
def test_score_is_the_gradient_of_the_log_density(level):
    mixture = GaussianMixture(
        [full(gaussian((1, 2, 2), generator(k)).double(), covariance(k, 4)) for k in range(3)], (1.0, 2.0, 0.5)
    )
    x = gaussian((3, 1, 2, 2), generator(9)).double().requires_grad_()
    total = mixture.log_densities(x, level).logsumexp(0).sum()
    (gradient,) = torch.autograd.grad(total, x)
    assert torch.allclose(mixture.score(x, level), gradient)


def test_limits():
    """No noise: the image itself. All noise: the prior's mean. A point mass: the point."""
    parts = [diagonal(torch.full((1, 2, 2), c).double(), 0.1) for c in (-0.5, 0.25)]
    mixture, x = GaussianMixture(parts, (1.0, 3.0)), gaussian((2, 1, 2, 2), generator(0)).double()
    assert torch.allclose(mixture(x, CLEAN), x)
    prior_mean = 0.25 * -0.5 + 0.75 * 0.25
    assert torch.allclose(mixture(x, NoiseLevel(0.0, 1.0)), torch.full_like(x, prior_mean))
    point = GaussianMixture([diagonal(torch.full((1, 2, 2), 0.5), 0.0)])
    assert torch.allclose(point(x, LEVELS[0]), torch.full_like(x, 0.5))


def test_dtype_of_the_input_is_kept():
    mixture = GaussianMixture([diagonal(torch.zeros(1, 2, 2), 1.0)])
    assert mixture(torch.zeros(1, 1, 2, 2), LEVELS[0]).dtype == torch.float32


def test_impossible_mixtures_are_refused():
    part = diagonal(torch.zeros(1, 2, 2), 1.0)
    uneven = torch.ones(1, 4, 4).double()
    uneven[0, 0, 1] = 2.0
    refused = [
        lambda: GaussianMixture([part, part]),
        lambda: GaussianMixture([part], (0.0,)),
        lambda: diagonal(torch.zeros(2, 2), 1.0),
        lambda: diagonal(torch.zeros(1, 2, 2), -1.0),
        lambda: circulant(torch.zeros(1, 4, 4), uneven),
    ]
    for make in refused:
        with pytest.raises(InvalidInput):
            make()
