"""The sixty cases are the paper's: equivalences that linear, idempotent operators force, and a step of each by hand.

`step_by_hand` is the paper's appendix, line by line and without any sharing; it is what the three loops are held to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.cases import CASES, Case
from weft.methods.synchronized import Step, synchronized
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, eps_from_x0, stable_diffusion, x0_from_eps
from weft.spaces.completed import completed
from weft.spaces.linear import LinearSpace, identity, lookup
from weft.spaces.sparse import SparseMatrix
from weft.stepper import ddim

VIEW = (2, 6, 6)
SHAPE = (2, 3, 6, 6)
CELLS = 30
SCHEDULE = stable_diffusion(10)
OF_VIEWS = [n for n, case in CASES.items() if case.variable == "views"]
OF_Z = [n for n, case in CASES.items() if case.variable == "canonical"]
JOINT = [n for n, case in CASES.items() if case.variable == "both"]
PARTNERS = {35: 11, 36: 12, 37: 25, 38: 26, 39: 25, 40: 26} | {41 + i: 27 + i for i in range(8)}


def denoiser() -> GaussianMixture:
    """Nonlinear in x: two modes per image."""
    modes = [diagonal(torch.full(SHAPE[1:], centre).double(), 0.05) for centre in (-0.4, 0.5)]
    return GaussianMixture(modes, (1.0, 2.0))


def holey() -> LinearSpace:
    """A lookup: F∘F = F. Some pixels see nothing, some cells are not seen."""
    index = np.random.default_rng(1).integers(-1, CELLS, 72).astype(np.int32)
    seen = np.unique(index[index >= 0])
    fill = seen[np.abs(seen[None] - np.arange(CELLS)[:, None]).argmin(1)].astype(np.int32)
    return lookup(index, CELLS, VIEW, fill=fill)


def blended() -> LinearSpace:
    """Pixels mix three cells each: linear, but F∘F ≠ F and A∘f ≠ identity."""
    rng = np.random.default_rng(2)
    rows, columns = np.repeat(np.arange(72), 3), rng.integers(0, CELLS, 216)
    matrix = SparseMatrix.from_entries(rows, columns, rng.random(216).astype(np.float32), (72, CELLS))
    return LinearSpace(matrix.rows_normalized(), VIEW)


def start(space: LinearSpace, seed: int = 0) -> tuple[Tensor, Tensor]:
    return gaussian(SHAPE, generator(seed)), gaussian((space.cells, 3), generator(seed, 1))


def run(space: LinearSpace, number: int, x: Tensor, z: Tensor, **options) -> list[Step]:
    needed = None if CASES[number].variable == "views" else z
    return list(synchronized(denoiser(), space, SCHEDULE, x, z=needed, case=CASES[number], **options))


@pytest.mark.parametrize(("number", "partner"), PARTNERS.items())
def test_steps_in_the_canonical_space_equal_their_partners(number, partner):
    """Kim et al., Table A9: equal rows, because the operators are linear and A∘f is the identity."""
    space = holey()
    x, z = start(space)
    for ours, theirs in zip(run(space, number, x, z), run(space, partner, x, z), strict=True):
        assert torch.allclose(ours.x, theirs.x, atol=1e-5)


@pytest.mark.parametrize("number", OF_Z)
def test_where_every_view_is_a_lookup_all_canonical_processes_are_one(number):
    """φ and ψ are affine with the same factors everywhere, and A∘f is the identity on seen cells."""
    space = holey()
    x, z = start(space)
    ours, theirs = run(space, number, x, z)[-1], run(space, 6, x, z)[-1]
    assert torch.allclose(ours.x0, theirs.x0, atol=1e-4)


@pytest.mark.parametrize("number", sorted(CASES))
def test_the_identity_space_is_independent_sampling(number):
    x = gaussian(SHAPE, generator(5))
    space = identity(VIEW)
    expected = x
    for level, next_level in SCHEDULE:
        expected = ddim(expected, denoiser()(expected, level), level, next_level)
    assert torch.allclose(run(space, number, x, space.rows_of(x))[-1].x0, expected, atol=2e-4)


@pytest.mark.parametrize("number", sorted(CASES))
@pytest.mark.parametrize("make", [holey, blended])
def test_one_step_is_the_papers(number, make):
    space = make()
    x, z = start(space)
    step = next(synchronized(denoiser(), space, SCHEDULE, x, z=z, case=CASES[number]))
    expected_x, expected_z = step_by_hand(number, space, x, z)
    if CASES[number].output == "views":
        assert torch.allclose(step.x, expected_x, atol=2e-5)
    whole = completed(space)
    state = run(space, number, x, z, sync_until=1.0)[0]
    if CASES[number].variable == "canonical":
        assert torch.allclose(step.x, whole.views_of(whole.project(expected_z)), atol=2e-5)
    assert torch.equal(state.x, step.x)


@pytest.mark.parametrize("number", JOINT)
def test_joint_processes_continue_with_both_variables(number):
    """Two steps of each, by hand: what is carried from step to step counts too."""
    space = blended()
    x, z = start(space)
    first, second = run(space, number, x, z)[:2]
    x, z = step_by_hand(number, space, x, z, 0)
    assert torch.allclose(first.x, x, atol=2e-5)
    x, _ = step_by_hand(number, space, x, z, 1)
    assert torch.allclose(second.x, x, atol=5e-5)


def test_pixels_without_a_cell_go_their_own_way_in_every_case():
    space = holey()
    x, z = start(space)
    blind = torch.from_numpy(~space.covered)
    # Independent of the rest only if the network treats pixels one by one.
    pixelwise = GaussianMixture([diagonal(torch.full(SHAPE[1:], 0.2).double(), 0.1)])
    expected = x
    for level, next_level in SCHEDULE:
        expected = ddim(expected, pixelwise(expected, level), level, next_level)
    for number, case in CASES.items():
        *_, last = synchronized(pixelwise, space, SCHEDULE, x, z=None if number in OF_VIEWS else z, case=case)
        found = space.rows_of(last.x0)[blind]
        assert torch.allclose(found, space.rows_of(expected)[blind], atol=1e-4), number


@pytest.mark.parametrize("number", [4, 6, 54])
def test_free_steps_continue_from_what_the_views_see(number):
    space = holey()
    steps = run(space, number, *start(space), sync_until=0.5)
    expected = steps[4].x
    for level, next_level in list(SCHEDULE)[5:]:
        expected = ddim(expected, denoiser()(expected, level), level, next_level)
    assert torch.allclose(steps[-1].x0, expected, atol=1e-5)


def test_a_completed_space_shows_every_pixel_and_keeps_the_rest():
    for space in (holey(), blended(), identity(VIEW)):
        whole = completed(space)
        assert whole.covered.all()
        assert whole.cells == space.cells + int((~space.covered).sum())
        views = gaussian(SHAPE, generator(7))
        z = torch.cat([space.aggregate(space.rows_of(views)), space.rows_of(views)[torch.from_numpy(~space.covered)]])
        assert torch.equal(whole.aggregate(whole.rows_of(views)), z)
        assert torch.equal(whole.synchronize(views)[0], space.synchronize(views)[0])


def test_wrong_use_is_refused_before_the_network_is_asked():
    space = holey()
    x, z = start(space)

    def untouched(x: Tensor, level: NoiseLevel, /) -> Tensor:
        raise AssertionError("asked")

    draw = lambda: gaussian(SHAPE, generator(0))  # noqa: E731
    wrong: list[tuple[int, dict[str, Any]]] = [
        (4, {}), (57, {}), (5, {"z": z[:-1]}), (5, {"z": z, "eta": 0.5, "noise": draw}),
        (39, {"eta": 0.5, "noise": draw}), (54, {"z": z, "space_at": lambda _: space}),
    ]  # fmt: skip
    for number, options in wrong:
        with pytest.raises(InvalidInput):
            next(synchronized(untouched, space, SCHEDULE, x, case=CASES[number], **options))


def step_by_hand(number: int, space: LinearSpace, x: Tensor, z: Tensor, index: int = 0) -> tuple[Tensor, Tensor]:
    """(views, canonical variable) after step `index`: the appendix of the paper. `z` may lack the cells of pixels that
    see none, which are then taken from x."""
    level, next_level = list(SCHEDULE)[index]
    whole = completed(space)
    if len(z) < whole.cells:
        z = torch.cat([z, space.rows_of(x)[torch.from_numpy(~space.covered)]])
    network = denoiser()

    def eps_of(w: Tensor) -> Tensor:
        return eps_from_x0(w, network(w, level), level)

    def phi(w: Tensor, eps: Tensor) -> Tensor:
        return x0_from_eps(w, eps, level)

    def psi(w: Tensor, x0: Tensor) -> Tensor:
        return ddim(w, x0, level, next_level)

    def a(w: Tensor) -> Tensor:
        return whole.aggregate(whole.rows_of(w))

    def f(cells: Tensor) -> Tensor:
        return whole.views_of(whole.project(cells))

    def sync(w: Tensor, flag: bool) -> Tensor:
        return f(a(w)) if flag else w

    case: Case = CASES[number]
    if number <= 3 or 7 <= number <= 34:
        eps = sync(eps_of(sync(x, case.eps_in)), case.eps_out)
        x0 = sync(phi(sync(x, case.phi_in), eps), case.x0)
        return psi(sync(x, case.psi_in), x0), z
    if 35 <= number <= 38:
        eps = eps_of(sync(x, number in (36, 38)))
        return psi(sync(x, number >= 37), f(phi(a(x), a(eps)))), z
    if number in (39, 40):
        eps = eps_of(sync(x, number == 40))
        return f(psi(a(x), phi(a(x), a(eps)))), z
    if 41 <= number <= 48:
        code = number - 41
        eps = sync(eps_of(sync(x, bool(code & 1))), bool(code & 2))
        return f(psi(a(x), a(phi(sync(x, bool(code & 4)), eps)))), z
    w = f(z)
    eps = eps_of(w)
    by_number = {
        4: lambda: psi(z, phi(z, a(eps))),
        5: lambda: psi(z, a(phi(w, eps))),
        6: lambda: a(psi(w, phi(w, eps))),
        49: lambda: psi(z, a(phi(w, f(a(eps))))),
        50: lambda: a(psi(w, phi(w, f(a(eps))))),
        51: lambda: a(psi(w, f(a(phi(w, eps))))),
        52: lambda: a(psi(w, f(a(phi(w, f(a(eps))))))),
        53: lambda: a(psi(w, f(phi(z, a(eps))))),
    }
    if number in by_number:
        return x, by_number[number]()
    own, own_x0 = eps_of(x), phi(x, eps_of(x))
    alone = psi(z, phi(z, a(eps)))
    if number == 54:
        return psi(x, phi(x, f((a(own) + a(eps)) / 2))), alone
    if number == 55:
        return psi(x, f((a(own_x0) + phi(z, a(eps))) / 2)), alone
    if number == 56:
        return f((a(psi(x, own_x0)) + alone) / 2), alone
    free = psi(x, own_x0)
    if number == 57:
        return free, psi(z, phi(z, (a(eps) + a(own)) / 2))
    if number == 58:
        return free, psi(z, (a(phi(w, eps)) + a(own_x0)) / 2)
    return free, (a(psi(w, phi(w, eps))) + a(free)) / 2
