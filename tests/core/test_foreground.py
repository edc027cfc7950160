"""Noises that agree on an object, and the optimisation that keeps it: laws, on linear generators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.coupled_noise import repulsive
from weft.methods.foreground import Keeping, fixed_object, kept
from weft.noise import gaussian, generator

SIDE = 8
MASK = torch.zeros(SIDE, SIDE, dtype=torch.bool)
MASK[2:6, 1:5] = True
MIXING = torch.eye(SIDE**2) + 0.05 * gaussian((SIDE**2, SIDE**2), generator(9))


def mixed(noises: Tensor) -> Tensor:
    """A linear generator in which everything depends a little on everything."""
    return (noises.flatten(1) @ MIXING.T).reshape(noises.shape)


def noises(count: int = 3) -> Tensor:
    return fixed_object(gaussian((1, SIDE, SIDE), generator(1)), MASK, repulsive(count), generator(2))


TARGET = gaussian((1, SIDE, SIDE), generator(4))


def test_the_object_s_noise_is_the_inverted_one_and_the_rest_repels() -> None:
    inverted = gaussian((3, 64, 64), generator(1))
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[20:40, 20:50] = True
    found = fixed_object(inverted, mask, repulsive(4), generator(2))
    assert all(torch.equal(each[:, mask], inverted[:, mask]) for each in found)
    around = found[..., ~mask].double()
    assert around.sum(0).abs().max() < 1e-5
    assert torch.allclose(around.flatten(1).var(1), torch.ones(4).double(), atol=0.05)
    correlation = torch.corrcoef(around.flatten(1))
    assert torch.allclose(correlation[0, 1:], torch.full((3,), -1 / 3).double(), atol=0.03)


@pytest.mark.parametrize("through", [True, False])
def test_the_loss_falls_with_every_step_towards_nothing(through: bool) -> None:
    steps = list(kept(noises(), MASK, TARGET, mixed, Keeping(100, 0.08, through=through)))
    losses = torch.stack([step.losses for step in steps]).mean(1)
    assert (losses.diff() < 0).all()
    assert losses[-1] < 0.2 * losses[0]
    *_, last = kept(noises(), MASK, TARGET, mixed, Keeping(250, 0.1, half=250, through=through))
    assert last.losses.max() < 1e-4


@pytest.mark.parametrize("through", [True, False])
def test_what_surrounds_the_object_keeps_its_bits(through: bool) -> None:
    start = noises()
    given = start.clone()
    for step in kept(start, MASK, TARGET, mixed, Keeping(10, 0.1, through=through)):
        assert torch.equal(step.noises[..., ~MASK], given[..., ~MASK])
    assert torch.equal(start, given)
    assert not torch.equal(step.noises[..., MASK], given[..., MASK])


def test_gradients_pass_the_generator_only_where_asked() -> None:
    """A generator that turns signs around: taken for the identity, the loss grows; differentiated, it falls."""

    def turned(x: Tensor) -> Tensor:
        return -x

    fallen = {}
    for through in (True, False):
        *_, last = kept(noises(), MASK, TARGET, turned, Keeping(20, 0.05, through=through))
        first = next(kept(noises(), MASK, TARGET, turned, Keeping(20, 0.05, through=through)))
        fallen[through] = bool((last.losses < first.losses).all())
    assert fallen == {True: True, False: False}


def test_each_noise_goes_its_own_way() -> None:
    together = list(kept(noises(), MASK, TARGET, mixed, Keeping(5)))[-1]
    alone = list(kept(noises()[1:2], MASK, TARGET, mixed, Keeping(5)))[-1]
    assert torch.allclose(together.noises[1], alone.noises[0], atol=1e-6)


def test_no_step_samples_once_and_moves_nothing() -> None:
    (only,) = kept(noises(), MASK, TARGET, mixed, Keeping(0))
    assert torch.equal(only.noises, noises())


@pytest.mark.parametrize(("settings", "says"), [({"steps": -1}, "-1 steps"), ({"rate": 0.0}, "rate 0")])
def test_senseless_settings_are_refused(settings: dict[str, float], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Keeping(**settings)  # type: ignore[arg-type]


def test_an_object_that_is_nowhere_is_refused() -> None:
    with pytest.raises(InvalidInput, match="empty"):
        next(kept(noises(), torch.zeros_like(MASK), TARGET, mixed, Keeping(1)))
