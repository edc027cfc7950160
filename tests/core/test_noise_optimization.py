"""Noises that are moved to differ: the loss, its gradient, the shell."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.coupled_noise import coupled, equicorrelated
from weft.methods.noise_optimization import Contrast, contrasted, contrastive_loss
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import generator
from weft.schedule import stable_diffusion
from weft.stepper import ddim

MIXING = torch.randn(3, 3, generator=generator(9))
ALIKE = torch.eye(3) + 0.2 * MIXING  # what a member shows then still goes where its noise goes


def estimate(noise: Tensor, mixing: Tensor = MIXING) -> Tensor:
    """A differentiable denoiser that is not the identity: neighbours and channels mix."""
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    return torch.tanh(torch.einsum("ij,njhw->nihw", mixing.to(noise), smooth))


def drawn(count: int = 4) -> Tensor:
    return coupled(equicorrelated(count, 0.5), (3, 32, 32), generator(2))


def test_the_loss_of_what_was_not_moved_is_in_closed_form() -> None:
    """Equal members: z·z̄ = z·z' = 1, so L = log m; opposite ones: z·z' = -1."""
    x = torch.randn(1, 3, 8, 8, generator=generator(0))
    assert contrastive_loss(x.repeat(4, 1, 1, 1), x.repeat(4, 1, 1, 1), 8, 0.1).item() == pytest.approx(math.log(4))
    both = torch.cat([x, -x])
    assert contrastive_loss(both, both, 8, 0.5).item() == pytest.approx(math.log1p(math.exp(-4.0)), rel=1e-4)


@pytest.mark.parametrize(("through", "mixing"), [(True, MIXING), (False, ALIKE)])
def test_members_come_apart_and_stay_on_the_shell(through: bool, mixing: Tensor) -> None:
    noises = drawn()
    kept = noises.clone()
    shown = partial(estimate, mixing=mixing)
    *_, last = contrasted(noises, shown, Contrast(steps=4, rate=0.02, cells=8, through=through))
    assert torch.equal(noises, kept)
    before, after = (contrastive_loss(shown(x), shown(noises), 8, 0.1) for x in (noises, last.noises))
    assert after < before
    assert torch.allclose(last.noises.flatten(1).norm(dim=1), noises.flatten(1).norm(dim=1), rtol=1e-5)


def test_gradients_pass_the_denoiser_only_where_asked() -> None:
    """One small step of plain descent: with gradients through, the loss falls as autograd says."""
    noises = drawn(3).double()

    def loss_of(x: Tensor) -> Tensor:
        return contrastive_loss(estimate(x), estimate(noises).detach(), 8, 0.1)

    steps = {
        through: next(iter(contrasted(noises, estimate, Contrast(1, 1e-6, 8, through=through, renormalised=False))))
        for through in (True, False)
    }
    moving = noises.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(moving), moving)
    signs = {through: (step.noises - noises).sign() for through, step in steps.items()}
    clear = gradient.abs() > 1e-9  # Adam's first step has the length of its rate everywhere
    assert torch.equal(signs[True][clear], -gradient.sign()[clear])
    assert not torch.equal(signs[False][clear], -gradient.sign()[clear])


def patches(count: int = 5, size: int = 8) -> GaussianMixture:
    """Images that are one of a few smooth ones, and a little noise: their denoiser is exact."""
    coarse = 0.8 * torch.randn(count, 3, 2, 2, generator=generator(4))
    means = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return GaussianMixture([diagonal(mean, 0.05) for mean in means], [1.0] * count)


@pytest.mark.parametrize(("rho", "through"), [(0.0, True), (-1 / 3, False)])
def test_samples_of_an_exact_denoiser_come_apart_from_any_coupling(rho: float, through: bool) -> None:
    """DDIM from noises that were moved, against the same ones unmoved; 6 galleries of 4."""
    mixture, schedule = patches(), stable_diffusion(6)
    first = schedule.levels[0]

    def samples(noise: Tensor) -> Tensor:
        x = first.sigma * noise
        for level, next_level in schedule:
            x = ddim(x, mixture(x, level), level, next_level)
        return x

    def estimated(noise: Tensor) -> Tensor:
        return mixture(first.sigma * noise, first)

    apart = []
    for seed in range(6):
        noises = coupled(equicorrelated(4, rho), (3, 8, 8), generator(seed))
        *_, last = contrasted(noises, estimated, Contrast(steps=12, cells=8, through=through))
        apart.append([torch.pdist(samples(each).flatten(1)).mean().item() for each in (noises, last.noises)])
    before, after = torch.tensor(apart).mean(0)
    assert after > 1.02 * before


def test_a_change_of_the_best_estimate_follows_the_noise() -> None:
    """∂x̂0/∂x = α Cov[x0|x]/σ² is symmetric and not negative: why gradients need not pass the denoiser."""
    mixture, level = patches(size=4), stable_diffusion(6).levels[1]
    x = torch.randn(3, 4, 4, dtype=torch.float64, generator=generator(5))
    jacobian = torch.autograd.functional.jacobian(lambda x: mixture(x[None], level)[0], x).reshape(48, 48)
    assert torch.allclose(jacobian, jacobian.T, atol=1e-10)
    assert torch.linalg.eigvalsh(jacobian).min() > -1e-10


def test_no_steps_leave_everything() -> None:
    assert list(contrasted(drawn(), estimate, Contrast(steps=0))) == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Contrast(steps=-1), "-1 steps"),
        (lambda: Contrast(temperature=0), "temperature 0"),
        (lambda: list(contrasted(drawn(4)[:1], estimate, Contrast())), "nothing to differ from"),
        (lambda: list(contrasted(drawn(), lambda x: x * torch.nan, Contrast())), "is no number"),
        (lambda: list(contrasted(drawn(), lambda x: x[:, :1], Contrast())), r"estimates of \[4, 1, 32, 32\]"),
        (lambda: list(contrasted(drawn(), lambda x: x[:1], Contrast(through=True))), r"estimates of \[1, 3, 32, 32\]"),
        (lambda: list(contrasted(drawn(), lambda x: x.detach(), Contrast(through=True))), "has no gradient"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(make: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        make()  # type: ignore[operator]
    assert caught.value.hint
