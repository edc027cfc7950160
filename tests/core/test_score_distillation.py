"""Score distillation: what N = 1 comes to, what the kernel does, which way everything moves, and where it ends."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.score_distillation import (
    RULES,
    Batch,
    Distillation,
    DistillationStep,
    direction,
    distill,
    euclidean,
    stein_kernel,
)
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, eps_from_x0, stable_diffusion
from weft.tasks.instruction import Images

LEVELS = stable_diffusion(1000).levels
SHAPE = (2, 3, 3)  # of an image


def level_at(t: float) -> NoiseLevel:
    return LEVELS[999 - min(int(t * 1000), 999)]


def drawn(count: int, seed: int = 0) -> Tensor:
    return gaussian((count, *SHAPE), generator(seed)).double()


class Mixtures:
    """An estimator whose target and source are exact denoisers."""

    def __init__(self, target: GaussianMixture, source: GaussianMixture) -> None:
        self._target, self._source = target, source

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        return self._target(x, level)

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        return self._source(x, level)


def peak(seed: int, variance: float = 0.3) -> GaussianMixture:
    return GaussianMixture([diagonal(drawn(1, seed)[0], variance)])


MODELS = Mixtures(peak(101), peak(102))


def run(
    rule: str, count: int, *, seed: int = 0, estimator: Mixtures = MODELS, **changes: object
) -> tuple[Tensor, list[DistillationStep]]:
    """Where `count` images end, and the steps."""
    source = drawn(count, 50)
    variable = Images(source.clone(), source)
    settings = replace(Distillation(RULES[rule], steps=5), **changes)  # type: ignore[arg-type]
    return variable.x, list(distill(variable, estimator, level_at, settings, generator(seed)))


@pytest.mark.parametrize(("rule", "alone"), [("csd", "sds"), ("csd_edit", "dds")])
def test_one_sample_is_sds_or_dds_exactly(rule: str, alone: str) -> None:
    assert torch.equal(run(rule, 1)[0], run(alone, 1)[0])
    assert not torch.equal(run(rule, 3)[0], run(alone, 3)[0])


def test_steps_are_those_of_the_papers() -> None:
    """Δ in eps form, mixed over j, with w = 1 - ᾱ and the rate per sample."""
    source, noise, x = drawn(4, 1), drawn(4, 2), drawn(4, 3)
    level = level_at(0.4)

    class Fixed:
        def draw(self, generator: torch.Generator) -> Batch:
            return Batch(x, (), source, noise)

        def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None: ...

    settings = Distillation(steps=1, weight="paper")
    (step,) = distill(Fixed(), MODELS, lambda t: level, settings, generator(0))
    a, s = level.alpha, level.sigma
    noised, old = a * x + s * noise, a * source + s * noise
    delta = eps_from_x0(noised, MODELS.target(noised, level, step.batch), level) - eps_from_x0(
        old, MODELS.source(old, level, step.batch), level
    )
    d = torch.stack([torch.stack([(p - q).norm() for q in noised]) for p in noised])
    h = d[~torch.eye(4, dtype=torch.bool)].median() ** 2 / math.log(4)
    expected = torch.zeros_like(x)
    for i in range(4):
        for j in range(4):
            k = torch.exp(-(d[i, j] ** 2) / h)
            expected[i] += k * delta[j] + s * k * (-2 / h) * (noised[i] - noised[j])  # σ ∇_{x_i} k
    k = torch.exp(-(d**2) / h)
    torch.testing.assert_close(step.gradient, s**2 * expected / k.sum(1).mean())
    torch.testing.assert_close(step.kernel, k)


@pytest.mark.parametrize("rule", ["sds", "csd"])
def test_a_rate_of_one_lands_on_the_estimate(rule: str) -> None:
    """With the weight "x0"; x0 form and eps form are one and the same."""
    x, noise = drawn(1, 4), drawn(1, 5)
    level = level_at(0.3)
    noised = level.alpha * x + level.sigma * noise
    x0 = MODELS.target(noised, level, Batch(x, ()))
    in_eps = eps_from_x0(noised, x0, level) - noise
    gradient, _ = direction(noised, in_eps, level, Distillation(RULES[rule]))
    torch.testing.assert_close(gradient, x - x0)


def test_repulsion_is_the_gradient_of_the_kernel() -> None:
    x = drawn(5, 6)
    kernel, repulsion = stein_kernel(x)
    moving = x.clone().requires_grad_()
    distances = torch.stack([torch.stack([(p - q).square().sum() for q in moving.unbind()]) for p in moving.unbind()])
    h = distances.detach().sqrt()[~torch.eye(5, dtype=torch.bool)].median() ** 2 / math.log(5)
    k = torch.exp(-distances / h)
    torch.testing.assert_close(kernel, k.detach())
    for i in range(5):  # Σ_j ∇_{x_i} k(x_i, x_j), x_j held
        held = torch.exp(-(moving[i] - moving.detach()).square().flatten(1).sum(1) / h).sum()
        (expected,) = torch.autograd.grad(held, moving, retain_graph=True)
        torch.testing.assert_close(repulsion[i], expected[i])


def test_a_distance_of_ones_own_is_differentiated() -> None:
    x = drawn(5, 7)
    kernel, repulsion = stein_kernel(x, lambda y: euclidean(2 * y))
    expected = stein_kernel(x)  # the bandwidth takes the factor with it
    torch.testing.assert_close(kernel, expected[0])
    torch.testing.assert_close(repulsion, expected[1])

    def of_squares(y: Tensor) -> Tensor:
        flat = y.flatten(1) ** 2
        return (flat[:, None] - flat[None]).abs().sum(2)

    kernel, repulsion = stein_kernel(x, of_squares)
    nudge = 1e-6 * drawn(5, 8)
    h = of_squares(x)[~torch.eye(5, dtype=torch.bool)].median() ** 2 / math.log(5)
    change = torch.exp(-(of_squares(x + nudge) ** 2) / h) - torch.exp(-(of_squares(x - nudge) ** 2) / h)
    torch.testing.assert_close((repulsion * nudge).sum() * 2, change.sum() / 2, rtol=1e-4, atol=0)


def test_repulsion_drives_apart_under_descent() -> None:
    x = drawn(6, 9)
    moved = x - 0.01 * stein_kernel(x)[1]
    apart = ~torch.eye(6, dtype=torch.bool)
    assert (euclidean(moved) > euclidean(x))[apart].float().mean() > 0.9
    assert euclidean(moved)[apart].mean() > euclidean(x)[apart].mean()


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_kernels_are_symmetric_and_finite(count: int) -> None:
    x = drawn(count, 10)
    kernel, repulsion = stein_kernel(x)
    assert torch.equal(kernel, kernel.T)
    assert (kernel.diagonal() == 1).all()
    assert torch.isfinite(repulsion).all()
    if count > 1:  # at the median distance off the diagonal, k = 1/N
        off = kernel[~torch.eye(count, dtype=torch.bool)]
        assert torch.isclose(off, torch.tensor(1 / count, dtype=off.dtype)).any()
    same, still = stein_kernel(x[:1].repeat(count, 1, 1, 1))
    assert (same == 1).all()
    assert (still == 0).all()


@pytest.mark.parametrize("distance", [None, euclidean])
def test_samples_that_are_one_step_as_if_there_were_no_kernel(distance: object) -> None:
    """Rates are stated per sample: the kernel neither shrinks nor multiplies what all agree on."""
    x, delta = drawn(1, 11).repeat(4, 1, 1, 1), drawn(1, 12).repeat(4, 1, 1, 1)
    level = level_at(0.5)
    with_kernel, _ = direction(x, delta, level, Distillation(distance=distance))  # type: ignore[arg-type]
    without, _ = direction(x, delta, level, Distillation(RULES["dds"]))
    torch.testing.assert_close(with_kernel, without)


def test_the_order_of_samples_makes_no_difference() -> None:
    x, delta, order = drawn(5, 13), drawn(5, 14), torch.tensor([3, 0, 4, 1, 2])
    level, settings = level_at(0.5), Distillation()
    gradient, kernel = direction(x, delta, level, settings)
    shuffled, shuffled_kernel = direction(x[order], delta[order], level, settings)
    torch.testing.assert_close(shuffled, gradient[order])
    torch.testing.assert_close(shuffled_kernel, kernel[order][:, order])


def test_levels_may_be_of_any_form() -> None:
    """Variance-exploding levels with the same σ/α give the same step in x0 form: the kernel looks at unit variance."""
    x, noise, delta = drawn(4, 15), drawn(4, 16), drawn(4, 17)
    level, settings = level_at(0.4), Distillation()
    exploding = NoiseLevel(1.0, level.s)
    steps = [direction(own.alpha * x + own.sigma * noise, delta, own, settings)[0] for own in (level, exploding)]
    torch.testing.assert_close(*steps)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert torch.equal(run("csd_edit", 3, seed=1)[0], run("csd_edit", 3, seed=1)[0])
    assert not torch.equal(run("csd_edit", 3, seed=1)[0], run("csd_edit", 3, seed=2)[0])


def test_nothing_moves_where_target_and_source_agree() -> None:
    x, steps = run("dds", 3, estimator=Mixtures(peak(3), peak(3)))
    assert torch.equal(x, drawn(3, 50))
    assert all((step.gradient == 0).all() for step in steps)


def test_sds_converges_to_the_mode() -> None:
    """Of one Gaussian: x̂0 - x is towards its mean on the average over the noise."""
    model = peak(20, variance=0.05)
    x, _ = run("sds", 3, estimator=Mixtures(model, model), steps=600, rate=0.3, rate_end=0.003)
    torch.testing.assert_close(x, drawn(1, 20).expand(3, *SHAPE), rtol=0, atol=0.02)


def test_dds_moves_by_the_difference_of_the_means() -> None:
    """For Gaussians of one variance the noise cancels exactly: what is moved arrives at source + difference."""
    target, source = peak(21), peak(22)
    x, _ = run("dds", 3, estimator=Mixtures(target, source), steps=80, rate=0.9, rate_end=0.9)
    torch.testing.assert_close(x, drawn(3, 50) + drawn(1, 21) - drawn(1, 22), rtol=0, atol=1e-3)


def test_steins_flow_settles_at_samples_of_the_distribution() -> None:
    """The law that signs and the σ of the repulsion are held to: 24 numbers end with the mean and the standard
    deviation of p_t; without repulsion, or without kernel, all of them at its mode."""
    level, mean, variance = level_at(0.3), 0.7, 0.3
    model = GaussianMixture([diagonal(torch.full((1, 1, 1), mean, dtype=torch.float64), variance)])
    spread = {}
    for name, rule in {**RULES, "attracted": replace(RULES["csd"], repulsion=False)}.items():
        x = 0.1 * gaussian((24, 1, 1, 1), generator(5)).double()
        for _ in range(300):
            noise = eps_from_x0(x, model(x, level), level)
            x = x - 0.3 * direction(x, noise, level, Distillation(rule, weight="paper"))[0]
        assert abs(x.mean() - level.alpha * mean) < 0.01
        spread[name] = float(x.std())
    assert abs(spread["csd"] / math.sqrt(level.alpha**2 * variance + level.sigma**2) - 1) < 0.1
    assert max(spread["sds"], spread["attracted"]) < 0.01


def test_samples_share_one_level_and_draw_their_own_noise() -> None:
    seen = []

    class Watching(Mixtures):
        def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
            seen.append((x - level.alpha * batch.x) / level.sigma)
            return batch.x

        def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
            assert batch.source is not None
            torch.testing.assert_close((x - level.alpha * batch.source) / level.sigma, seen[-1])  # the pair's own
            return batch.source

    _, steps = run("csd_edit", 4, estimator=Watching(peak(1), peak(2)), steps=40, times_end=(0.01, 0.06))
    assert all((noise[0] - noise[1]).abs().max() > 0.1 for noise in seen)
    assert abs(torch.stack(seen).std() - 1) < 0.05
    levels = [step.level.s for step in steps]
    assert level_at(0.2).s <= levels[0] <= level_at(0.5).s
    assert level_at(0.01).s <= levels[-1] <= level_at(0.06).s


def test_what_makes_no_sense_is_refused() -> None:
    for changes in ({"steps": 0}, {"rate": 0.0}, {"rate_end": math.nan}, {"times": (0.0, 0.5)}, {"times": (0.6, 0.5)},
                    {"times_end": (0.2, 1.5)}, {"weight": "none"}):  # fmt: skip
        with pytest.raises(InvalidInput):
            replace(Distillation(), **changes)  # type: ignore[arg-type]

    class Sourceless:
        def draw(self, generator: torch.Generator) -> Batch:
            return Batch(drawn(2), ())

        def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None: ...

    with pytest.raises(InvalidInput, match="no source"):
        next(distill(Sourceless(), MODELS, level_at, Distillation(), generator(0)))
