"""The laws of synchronised sampling: numbering, the trivial spaces, the named cases, closed-form moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput, UnknownName
from weft.methods.synchronized import CASES, INDEPENDENT, SYNCTWEEDIES, Case, find_case, synchronized
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator, projected
from weft.schedule import NoiseLevel, Schedule, cosine, flow, stable_diffusion
from weft.spaces.linear import LinearSpace, identity, lookup, permutation
from weft.stepper import ddim

VIEW = (2, 6, 6)
SHAPE = (2, 3, 6, 6)
SCHEDULE = stable_diffusion(12)
EACH_CASE = pytest.mark.parametrize("number", [n for n, case in CASES.items() if case.variable == "views"])


def mixture() -> GaussianMixture:
    """Nonlinear in x: two modes per image."""
    modes = [diagonal(torch.full(SHAPE[1:], centre).double(), 0.05) for centre in (-0.4, 0.5)]
    return GaussianMixture(modes, (1.0, 2.0))


def shuffled() -> LinearSpace:
    rng = np.random.default_rng(0)
    return permutation(np.concatenate([np.arange(36), rng.permutation(36)]).astype(np.int32), VIEW)


def shared() -> LinearSpace:
    index = np.random.default_rng(1).integers(-1, 30, 72)
    return lookup(index.astype(np.int32), 30, VIEW)


def start(seed: int = 0) -> torch.Tensor:
    return gaussian(SHAPE, generator(seed))


def last(denoiser, space: LinearSpace, x: torch.Tensor, schedule: Schedule = SCHEDULE, **options) -> torch.Tensor:
    *_, step = synchronized(denoiser, space, schedule, x, **options)
    return step.x0


def independent(denoiser, x: torch.Tensor, schedule: Schedule = SCHEDULE) -> torch.Tensor:
    """A plain DDIM sampler, written out."""
    for level, next_level in schedule:
        x = ddim(x, denoiser(x, level), level, next_level)
    return x


def test_numbers_follow_the_rule():
    assert list(CASES) == list(range(60))
    assert len(set(CASES.values())) == 60
    codes = {n: _code(CASES[n]) for n in range(7, 35)}
    assert list(codes.values()) == sorted(set(range(1, 32)) - {2, 8, 21})


def _code(case: Case) -> int:
    return case.eps_in + 2 * case.eps_out + 4 * case.phi_in + 8 * case.x0 + 16 * case.psi_in


def test_numbers_equal_the_published_rows():
    rows = {
        1: Case(eps_out=True),
        2: Case(x0=True),
        3: Case(eps_in=True, phi_in=True, psi_in=True),
        7: Case(eps_in=True),
        8: Case(eps_in=True, eps_out=True),
        9: Case(phi_in=True),
        10: Case(eps_in=True, phi_in=True),
        11: Case(eps_out=True, phi_in=True),
        12: Case(eps_in=True, eps_out=True, phi_in=True),
        13: Case(eps_in=True, x0=True),
        20: Case(psi_in=True),
        21: Case(eps_in=True, psi_in=True),
        24: Case(phi_in=True, psi_in=True),
        25: Case(eps_out=True, phi_in=True, psi_in=True),
        34: Case(True, True, True, True, True),
    }
    assert {number: CASES[number] for number in rows} == rows


def test_cases_are_found_by_number_and_name():
    assert find_case(2) is find_case("2") is find_case("synctweedies") is SYNCTWEEDIES
    assert find_case("independent") is find_case("0") is INDEPENDENT
    assert find_case("SyncMVD") is CASES[5]
    assert find_case("Visual Anagrams") is CASES[4]
    assert find_case("multidiffusion") is CASES[6]
    for name in ("60", -1, "nonsense", "1.5", "9" * 5000):
        with pytest.raises(UnknownName) as caught:
            find_case(name)
        assert "0 to 59" in caught.value.hint
    with pytest.raises(UnknownName) as caught:
        find_case("synctweedie")
    assert "did you mean synctweedies" in caught.value.hint


@EACH_CASE
@pytest.mark.parametrize("schedule", [SCHEDULE, flow(8, 2.0)], ids=["sd", "flow"])
def test_identity_space_is_independent_sampling(number, schedule):
    """Bitwise where x0 is the denoiser's own; through ε and back, up to rounding (and not at α = 0)."""
    case = CASES[number]
    direct = not case.eps_out and case.eps_in == case.phi_in and case.phi == "views"
    if direct:
        assert torch.equal(
            last(mixture(), identity(VIEW), start(), schedule, case=case), independent(mixture(), start(), schedule)
        )
    elif schedule.alphas[0] > 0:
        found = last(mixture(), identity(VIEW), start(), schedule, case=case)
        assert torch.allclose(found, independent(mixture(), start(), schedule), atol=1e-4)
    else:
        with pytest.raises(InvalidInput):
            last(mixture(), identity(VIEW), start(), schedule, case=case)


def test_no_flags_and_no_synchronised_steps_are_independent_sampling():
    expected = independent(mixture(), start())
    assert torch.equal(last(mixture(), shared(), start(), case=INDEPENDENT), expected)
    assert torch.equal(last(mixture(), shared(), start(), sync_until=0.0), expected)


@EACH_CASE
def test_views_that_agree_stay_as_one_sample(number):
    """Both views look at one z through permutations and the model ignores order: any F leaves them alone."""
    space = shuffled()
    z = gaussian((36, 3), generator(3))
    x = space.views_of(space.project(z))
    found = last(mixture(), space, x, case=CASES[number])
    assert torch.allclose(found, independent(mixture(), x), atol=1e-4)
    assert torch.allclose(space.synchronize(found)[0], found, atol=1e-4)


def test_case_2_by_hand():
    space, x, denoiser = shared(), start(), mixture()
    for (level, next_level), step in zip(SCHEDULE, synchronized(denoiser, space, SCHEDULE, x), strict=True):
        x0, z = space.synchronize(denoiser(x, level))
        x = ddim(x, x0, level, next_level)
        assert torch.equal(step.x0, x0)
        assert torch.equal(step.z, z)
        assert torch.equal(step.x, x)
        assert step.level == level
    assert torch.equal(x, x0)


def test_case_3_is_synchronising_the_output_of_psi_one_step_later():
    """{eps_in, phi_in, psi_in} from x equals ψ's output synchronised, when the latter starts from F(x)."""
    space, denoiser = shared(), mixture()
    x = space.synchronize(start())[0]
    steps = synchronized(denoiser, space, SCHEDULE, start(), case=CASES[3])
    for (level, next_level), step in zip(SCHEDULE, steps, strict=True):
        x = ddim(x, denoiser(x, level), level, next_level)
        assert torch.allclose(step.x, x, atol=1e-6)
        x = space.synchronize(x)[0]


def test_flags_act_on_their_own_quantity():
    """Each single flag changes the sample, and each in its own way."""
    single = [Case(eps_in=True), Case(eps_out=True), Case(phi_in=True), Case(x0=True), Case(psi_in=True)]
    results = [last(mixture(), shared(), start(), case=case) for case in [INDEPENDENT, *single]]
    for i, a in enumerate(results):
        for b in results[:i]:
            assert (a - b).abs().max() > 1e-5


@pytest.mark.parametrize("make", [identity, lambda _: shuffled()], ids=["identity", "permutation"])
@pytest.mark.parametrize("schedule", [SCHEDULE, cosine(9), flow(9, 3.0)], ids=["sd", "cosine", "flow"])
def test_synchronised_gaussians_reach_their_closed_form(make, schedule):
    """View i believes N(μ_i, v). F averages what shares a cell: on the permutation both views follow N(mean μ, v),
    started from x as synchronised; on the identity each follows its own. Each step is affine with known factors."""
    space, variance = make(VIEW), 0.2
    centres = torch.tensor([-0.4, 0.6]).double()
    parts = [GaussianMixture([diagonal(torch.full(SHAPE[1:], c.item()).double(), variance)]) for c in centres]

    def denoiser(x: torch.Tensor, level: NoiseLevel, /) -> torch.Tensor:
        return torch.cat([part(view[None], level) for part, view in zip(parts, x, strict=True)])

    target = centres[:, None, None, None] if space.cells == 72 else centres.mean()
    x = space.synchronize(start())[0].double()
    offset = x - schedule.levels[0].alpha * target
    for t, s in schedule:
        offset *= (s.alpha * t.alpha * variance + s.sigma * t.sigma) / (t.alpha**2 * variance + t.sigma**2)
    found = last(denoiser, space, x.float(), schedule)
    assert torch.allclose(found.double(), target + offset, atol=1e-5)


def test_synchronised_samples_have_the_moments_of_one_sample():
    """Two views of one white field over many cells: mean μ and variance v, which averaging x_t would have halved."""
    view, mean, variance = (2, 100, 100), 0.3, 0.25
    index = np.concatenate([np.arange(10_000), np.random.default_rng(0).permutation(10_000)]).astype(np.int32)
    x = projected(index, 10_000, view, 1, generator(0))
    denoiser = GaussianMixture([diagonal(torch.full((1, 100, 100), mean), variance)])
    found = last(denoiser, permutation(index, view), x, stable_diffusion(200))[0]
    assert found.mean().item() == pytest.approx(mean, abs=5 * (variance / 10_000) ** 0.5 + 0.01)
    assert found.var().item() == pytest.approx(variance, rel=5 * (2 / 10_000) ** 0.5 + 0.02)


def test_steps_count_and_free_steps_come_last():
    steps = list(synchronized(mixture(), shared(), SCHEDULE, start(), sync_until=0.75))
    assert [(step.index, step.total) for step in steps] == [(i, 12) for i in range(12)]
    agree = [torch.allclose(step.x0, shared().synchronize(step.x0)[0], atol=1e-6) for step in steps]
    assert agree == [True] * 9 + [False] * 3


def test_spaces_may_change_with_progress():
    asked = []

    def space_at(progress: float) -> LinearSpace:
        asked.append(progress)
        return shared() if progress < 0.5 else identity(VIEW)

    found = last(mixture(), identity(VIEW), start(), space_at=space_at)
    assert asked == [i / 11 for i in range(12)]
    half = list(synchronized(mixture(), shared(), SCHEDULE, start(), sync_until=0.5))[-1].x0
    assert torch.equal(found, half)


def test_ceasing_to_iterate_ceases_to_denoise():
    calls = []

    def counting(x: torch.Tensor, level: NoiseLevel, /) -> torch.Tensor:
        calls.append(level)
        return mixture()(x, level)

    steps = synchronized(counting, shared(), SCHEDULE, start())
    next(steps)
    next(steps)
    steps.close()
    assert len(calls) == 2


def test_head_and_tail_of_a_schedule_make_the_whole():
    head = SCHEDULE.until(0.9)
    tail = SCHEDULE.starting_at(head.levels[-1].s)
    whole = last(mixture(), shared(), start())
    *_, step = synchronized(mixture(), shared(), head, start())
    assert torch.equal(last(mixture(), shared(), step.x, tail), whole)


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_same_seed_same_bytes(eta):
    def run(seed: int) -> bytes:
        source = generator(seed)
        noise = lambda: gaussian(SHAPE, source)  # noqa: E731
        return last(mixture(), shared(), start(), eta=eta, noise=noise).numpy().tobytes()

    assert run(1) == run(1)
    assert (run(1) == run(2)) == (eta == 0)


def test_gradients_are_off_inside_and_untouched_outside():
    steps = synchronized(mixture(), shared(), SCHEDULE, start().requires_grad_())
    assert not next(steps).x.requires_grad
    assert torch.is_grad_enabled()
    steps.close()


def test_wrong_use_is_refused():
    for eta, sync_until in ((0.5, 1.0), (0.0, 1.5), (0.0, -0.1)):
        with pytest.raises(InvalidInput):
            last(mixture(), shared(), start(), eta=eta, sync_until=sync_until)
