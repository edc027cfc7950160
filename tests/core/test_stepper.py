"""Steppers agree with each other where theory says so, and carry Gaussians to their closed-form moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.models.gaussian_mixture import GaussianMixture, circulant, diagonal
from weft.noise import gaussian, generator
from weft.schedule import CLEAN, NoiseLevel, Schedule, cosine, flow, from_noise_ratios, stable_diffusion
from weft.stepper import ddim, ddpm, flow_euler

T, S = NoiseLevel(0.6, 0.8), NoiseLevel(0.8, 0.6)


def images(seed: int, count: int = 4) -> torch.Tensor:
    return gaussian((count, 3, 4, 4), generator(seed))


def sampled(denoiser: GaussianMixture, schedule: Schedule, x: torch.Tensor, eta: float = 0.0) -> torch.Tensor:
    source = generator(7)
    for level, next_level in schedule:
        noise = gaussian(tuple(x.shape), source).to(x.dtype) if eta else None
        x = ddim(x, denoiser(x, level), level, next_level, eta=eta, noise=noise)
    return x


def test_last_step_returns_the_estimate_itself():
    x, x0 = images(0), images(1)
    for step in (ddim, ddpm, flow_euler):
        assert step(x, x0, T, CLEAN) is x0


def test_exact_noise_moves_along_the_line():
    x0, eps = images(0).double(), images(1).double()
    moved = ddim(T.alpha * x0 + T.sigma * eps, x0, T, S)
    assert torch.allclose(moved, S.alpha * x0 + S.sigma * eps)


def test_ddpm_is_ddim_with_eta_one():
    x, x0, noise = images(0).double(), images(1).double(), images(2).double()
    assert torch.allclose(ddim(x, x0, T, S, eta=1.0, noise=noise), ddpm(x, x0, T, S, noise=noise))


def test_flow_euler_is_ddim_on_flow_levels():
    x, x0 = images(0).double(), images(1).double()
    for level, next_level in flow(10, 2.0):
        assert torch.allclose(flow_euler(x, x0, level, next_level), ddim(x, x0, level, next_level))


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("levels", [(T, S), (NoiseLevel(0.2, 0.8), NoiseLevel(0.7, 0.3))])
def test_any_eta_keeps_the_marginal(eta, levels):
    """With the true x0, the step of x_t ~ q(x_t|x0) is q(x_s|x0): mean α_s x0, variance σ_s² (DDIM, Lemma 1)."""
    level, next_level = levels
    count = 200_000
    x0 = torch.full((count,), 0.7, dtype=torch.float64)
    eps, noise = torch.randn(2, count, generator=generator(3), dtype=torch.float64)
    moved = ddim(level.alpha * x0 + level.sigma * eps, x0, level, next_level, eta=eta, noise=noise)
    deviation = next_level.sigma / math.sqrt(count)
    assert moved.mean().item() == pytest.approx(next_level.alpha * 0.7, abs=5 * deviation)
    assert moved.var().item() == pytest.approx(next_level.sigma**2, rel=5 * math.sqrt(2 / count))


def test_wrong_use_is_refused():
    x = images(0)
    for step in (lambda: ddim(x, x, T, S, eta=0.5), lambda: ddpm(x, x, T, S), lambda: ddim(x, x, T, S, eta=1.5)):
        with pytest.raises(InvalidInput):
            step()


@pytest.mark.parametrize("schedule", [stable_diffusion(30), cosine(10), flow(12, 3.0)], ids=["sd", "cosine", "flow"])
def test_ddim_on_a_gaussian_follows_its_recursion_exactly(schedule):
    """N(μ, v): each step multiplies x - α μ by (α_s α_t v + σ_s σ_t)/(α_t² v + σ_t²)."""
    mean, variance = 0.3, 0.2
    x = images(0).double()
    product = 1.0
    for t, s in schedule:
        product *= (s.alpha * t.alpha * variance + s.sigma * t.sigma) / (t.alpha**2 * variance + t.sigma**2)
    denoiser = GaussianMixture([diagonal(torch.full((3, 4, 4), mean, dtype=torch.float64), variance)])
    expected = mean + product * (x - schedule.levels[0].alpha * mean)
    assert torch.allclose(sampled(denoiser, schedule, x), expected, atol=1e-9)


def test_fine_ddim_maps_noise_to_the_closed_form_sample():
    """The probability-flow ODE of N(μ, Σ) ends at μ + Σ^½ (α²Σ + σ²)^-½ (x_T - α_T μ), mode by mode."""
    grid = torch.fft.fftfreq(8)
    power = 1 / (0.02 + grid[:, None] ** 2 + grid[None, :] ** 2)
    power = 0.3 * power / power.mean()
    mean = torch.linspace(-0.5, 0.5, 8).expand(1, 8, 8).double()
    schedule = stable_diffusion(500)
    start = schedule.levels[0]
    x = gaussian((2, 1, 8, 8), generator(0)).double()
    gain = (power / (start.alpha**2 * power + start.sigma**2)).sqrt()
    expected = mean + torch.fft.ifft2(gain * torch.fft.fft2(x - start.alpha * mean)).real
    result = sampled(GaussianMixture([circulant(mean, power)]), schedule, x)
    assert (result - expected).abs().max() < 0.02 * expected.std()


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_samples_of_a_mixture_have_its_moments(eta):
    """Two modes with weights 0.25 and 0.75, on a fine grid; what remains is sampling error and some discretisation."""
    schedule = from_noise_ratios(np.geomspace(40, 0.002, 300))
    count, variance = 20_000, 0.01
    modes = [diagonal(torch.full((1, 1, 1), centre), variance) for centre in (-0.6, 0.4)]
    x = gaussian((count, 1, 1, 1), generator(1)).double()
    samples = sampled(GaussianMixture(modes, (0.25, 0.75)), schedule, x, eta).flatten()
    upper = samples[samples > -0.1]
    assert len(upper) / count == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / count) + 0.005)
    assert upper.mean().item() == pytest.approx(0.4, abs=5 * math.sqrt(variance / len(upper)) + 0.002)
    assert upper.std().item() == pytest.approx(math.sqrt(variance), rel=5 / math.sqrt(2 * len(upper)) + 0.02)
