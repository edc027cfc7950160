"""The exemplar denoiser is a denoiser: exact where it can be, honest about its limits, the same for the same seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weft.errors import InvalidImage
from weft.metrics import psnr
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.models.materials import render
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel

EVERYTHING = {"components": 10_000, "exact_from": 1, "exact_patches": 10**9, "exact_matches": 10**9}
"""Settings that leave out nothing: all principal components, all offsets, the whole posterior."""


@pytest.fixture(scope="module")
def bricks() -> Exemplar:
    return Exemplar(render("bricks", 96))


def denoiser(exemplar: Exemplar, *, seed: int = 0, mask: Any = None, guide: Any = None, **settings: Any):
    return ExemplarDenoiser(exemplar, settings=ExemplarSettings(**settings), seed=seed, mask=mask, guide=guide)


def noisy(x0: Tensor, s: float, seed: int = 0) -> tuple[Tensor, NoiseLevel]:
    return x0 + s * gaussian(tuple(x0.shape), generator(seed)), NoiseLevel(1.0, s)


def crop(exemplar: Exemplar, row: int, column: int, side: int) -> Tensor:
    """[1, 3, side, side] in [-1, 1]."""
    return torch.from_numpy(exemplar.image[row : row + side, column : column + side]).permute(2, 0, 1)[None]


def picture(x0: Tensor) -> np.ndarray:
    """[1, 3, H, W] in [-1, 1] to f4 [H, W, 3] in [0, 1]."""
    return x0[0].permute(1, 2, 0).numpy() * np.float32(0.5) + np.float32(0.5)


# The posterior


def windows(image: np.ndarray, d: int, patch: int, step: int) -> np.ndarray:
    """f8 [rows, columns, patch, patch, C]: patches of cells, each the mean of d x d pixels, `step` pixels apart."""
    cells = blocks(image, d).mean((2, 3))
    return blocks(cells, d * (patch - 1) + 1)[::step, ::step, ::d, ::d]


def blocks(image: np.ndarray, side: int) -> np.ndarray:
    """[rows, columns, side, side, C]: the square at every offset, addressed by its corner."""
    return torch.from_numpy(image).double().unfold(0, side, 1).unfold(1, side, 1).permute(0, 1, 3, 4, 2).numpy()


def bayes(exemplar: np.ndarray, y: np.ndarray, s: float, d: int, patch: int) -> np.ndarray:
    """The posterior mean of every patch of y [H, W, 3] over every patch of the exemplar, overlap-averaged.

    As in the module's description, nothing left out; d ≤ 4, queries every two cells, three cells across emitted.
    """
    sources, queries = windows(exemplar, d, patch, 1), windows(y, d, patch, 2 * d)
    flat = sources.reshape(-1, patch * patch * 3)
    side, emitted = patch * d, 3 * d
    copies = blocks(exemplar, side).reshape(len(flat), -1)
    first = (patch - 3) // 2 * d
    offset = (np.arange(side) + 0.5) / d - patch / 2
    window = np.exp(-0.5 * (offset / 1.5) ** 2)
    total, mass = np.zeros(y.shape), np.zeros((*y.shape[:2], 1))
    rows, columns = queries.shape[:2]
    for i, j in np.ndindex(rows, columns):
        logits = -((flat - queries[i, j].reshape(-1)) ** 2).sum(1) / (2 * (s / d) ** 2)
        weights = np.exp(logits - logits.max())
        block = (weights / weights.sum() @ copies).reshape(side, side, 3)
        dy = slice(0 if i == 0 else first, side if i == rows - 1 else first + emitted)
        dx = slice(0 if j == 0 else first, side if j == columns - 1 else first + emitted)
        share = (window[dy, None] * window[None, dx])[..., None]
        at = slice(i * 2 * d + dy.start, i * 2 * d + dy.stop), slice(j * 2 * d + dx.start, j * 2 * d + dx.stop)
        total[at] += share * block[dy, dx]
        mass[at] += share
    return total / mass


@pytest.mark.parametrize(("d", "s", "side"), [(1, 0.08, 23), (1, 0.1, 23), (4, 0.4, 52)])
def test_the_exact_level_is_the_bayes_posterior(d: int, s: float, side: int) -> None:
    """Sinkhorn potentials off; `side` lets the queries end at the border."""
    exemplar = Exemplar(render("mossy stone", 40))
    y, level = noisy(crop(exemplar, 0, 0, min(side, 40)), s)
    y = torch.nn.functional.pad(y, (0, side - y.shape[3], 0, side - y.shape[2]), mode="reflect")
    exact = denoiser(exemplar, patch=5, fine_patch=5, sinkhorn_iterations=0, **EVERYTHING)
    found = exact(y, level)[0].permute(1, 2, 0).numpy()
    expected = bayes(exemplar.image, y[0].permute(1, 2, 0).numpy(), s, d, 5)
    assert np.abs(found - expected).max() < 5e-3
    assert np.abs(expected - y[0].permute(1, 2, 0).numpy()).max() > 0.2  # there was noise to remove


def test_leading_components_and_matches_stand_for_all(bricks: Exemplar) -> None:
    """What the defaults leave out changes the estimate by far less than the noise that remains."""
    y, level = noisy(crop(bricks, 8, 20, 64), 0.4)
    everything = denoiser(bricks, **{**EVERYTHING, "exact_matches": 10_000})(y, level)
    fewer = denoiser(bricks, exact_patches=10**9, exact_from=1, components=32, exact_matches=16)(y, level)
    assert (everything - fewer).square().mean().sqrt() < 0.05


def test_noise_alone_tends_to_the_mean_of_the_exemplar(bricks: Exemplar) -> None:
    settings = {**EVERYTHING, "sinkhorn_iterations": 0}
    y, _ = noisy(torch.zeros(1, 3, 64, 64), 1.0)
    mean, spread = torch.from_numpy(bricks.mean)[None, :, None, None], bricks.image.std((0, 1)).mean()
    far = denoiser(bricks, **settings)(1e4 * y, NoiseLevel(1.0, 1e4))
    assert (far - mean).abs().max() < 0.4 * spread  # patches at the exemplar's border count less than those inside
    near = denoiser(bricks, **settings)(0.5 * y, NoiseLevel(1.0, 0.5))
    assert (near - mean).square().mean() > 4 * (far - mean).square().mean()


def test_a_crop_of_the_exemplar_is_a_fixed_point(bricks: Exemplar) -> None:
    """At the border queries see repeated pixels, which are nowhere in the exemplar: judged 8 pixels inside."""
    x0 = crop(bricks, 8, 20, 64)
    run = denoiser(bricks)
    scores = []
    for k in range(8):
        out = run(*noisy(x0, 0.02, seed=k))
        scores.append(psnr(picture(out)[8:-8, 8:-8], picture(x0)[8:-8, 8:-8]))
    assert scores[0] > 22
    assert scores[-1] > 40


def test_denoising_lowers_the_error_at_every_level(bricks: Exemplar) -> None:
    x0, run = crop(bricks, 8, 20, 64), denoiser(bricks)
    errors = []
    for s in (1.0, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03):
        y, level = noisy(x0, s, seed=3)
        errors.append((run(y, level) - x0)[..., 8:-8, 8:-8].square().mean().sqrt().item() / s)
    assert max(errors) < 1
    assert max(errors[-3:]) < 0.3


@pytest.mark.parametrize("s", [14.0, 0.5, 0.05])
def test_estimates_stay_in_the_range_of_the_exemplar(bricks: Exemplar, s: float) -> None:
    run = denoiser(bricks)
    for k in range(2):
        out = run(*noisy(torch.zeros(1, 3, 64, 64), s, seed=k))[0].flatten(1)
        low, high = (torch.from_numpy(bound((0, 1))) for bound in (bricks.image.min, bricks.image.max))
        assert torch.isfinite(out).all()
        assert (out.min(1).values > low - 1e-4).all()
        assert (out.max(1).values < high + 1e-4).all()


def test_sinkhorn_potentials_keep_every_part_in_use() -> None:
    """Half the exemplar is plain, half is patterned. Far up in the noise the plain half would win everywhere."""
    random = np.random.default_rng(0)
    image = np.full((96, 96, 3), 0.5, np.float32)
    image[:, 48:] = random.integers(0, 2, (24, 12, 1)).repeat(4, 0).repeat(4, 1)
    exemplar = Exemplar(image)
    y, level = noisy(torch.zeros(4, 3, 64, 64), 0.8)

    def structure(iterations: int) -> float:
        return denoiser(exemplar, sinkhorn_iterations=iterations)(y, level).std().item()

    assert structure(2) > 1.5 * structure(0)


# Arguments


@pytest.mark.parametrize("s", [0.8, 0.1])
def test_same_seed_same_bytes(bricks: Exemplar, s: float) -> None:
    def run(seed: int) -> bytes:
        once = denoiser(bricks, seed=seed, exact_patches=400)
        y, level = noisy(torch.zeros(2, 3, 64, 64), s)
        return b"".join(once(y, level).numpy().tobytes() for _ in range(2))

    assert run(0) == run(0)
    assert run(0) != run(1)


@pytest.mark.parametrize("s", [2.0, 0.1])
def test_scaling_by_alpha_changes_nothing(bricks: Exemplar, s: float) -> None:
    """x_t = α (x0 + s ε): α is a power of two, so that not even the rounding differs."""
    y, level = noisy(crop(bricks, 0, 0, 64), s)
    scaled = denoiser(bricks)(0.25 * y, NoiseLevel(0.25, 0.25 * s))
    assert torch.equal(scaled, denoiser(bricks)(y, level))


@pytest.mark.parametrize("s", [1.0, 0.1])
@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 48, 80)], ids=str)
def test_batches_keep_their_shape(bricks: Exemplar, s: float, shape: tuple[int, int, int]) -> None:
    y, level = noisy(torch.zeros(shape[0], 3, *shape[1:]), s)
    out = denoiser(bricks)(y, level)
    assert out.shape == y.shape
    assert out.dtype == torch.float32


def test_images_of_a_batch_are_denoised_one_by_one_without_mass_balance(bricks: Exemplar) -> None:
    y, level = noisy(torch.zeros(3, 3, 64, 64), 0.8)
    settings = {**EVERYTHING, "sinkhorn_iterations": 0, "components": 32, "exact_matches": 16}
    together = denoiser(bricks, **settings)(y, level)
    alone = torch.cat([denoiser(bricks, **settings)(y[i : i + 1], level) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("s", [1.0, 0.1])
def test_outside_the_mask_is_the_mean_colour(bricks: Exemplar, s: float) -> None:
    mask = np.zeros((2, 64, 64), bool)
    mask[0, :, :24] = True
    run = denoiser(bricks, mask=mask)
    y, level = noisy(crop(bricks, 0, 0, 64).repeat(2, 1, 1, 1), s)
    out, mean = run(y, level), torch.from_numpy(bricks.mean)[:, None, None]
    assert (out[1] - mean).abs().max() < 1e-6
    reach = 9 * run._pick_level(s, 64)  # a patch that touches the mask emits no farther than this beyond it
    beyond = out[0, :, :, 24 + reach :]
    assert beyond.numel() > 0
    assert (beyond - mean).abs().max() < 1e-6
    assert out[0, :, :, :24].std() > 0.1


def test_settings_may_change_on_the_way(bricks: Exemplar) -> None:
    y, level = noisy(crop(bricks, 0, 0, 64), 0.1)

    def second(temperature: float) -> Tensor:
        run = denoiser(bricks)
        run(y, level)
        run.configure(temperature=temperature)
        return run(y, level)

    assert not torch.equal(second(1.0), second(100.0))


# Guides


@pytest.fixture(scope="module")
def halves() -> Exemplar:
    """Red bricks on the left, where the guide is 0; blue on the right, where it is 1."""
    image = render("bricks", 96).mean(2, keepdims=True) * np.ones(3, np.float32)
    image[:, :48] *= np.array([1, 0.1, 0.1], np.float32)
    image[:, 48:] *= np.array([0.1, 0.1, 1], np.float32)
    guide = np.zeros((96, 96, 1), np.float32)
    guide[:, 48:] = 1
    return Exemplar(image, guide)


@pytest.mark.parametrize("levels", [(1.0,), (0.2, 0.2, 0.2), (4.0, 1.0, 0.5, 0.2, 0.1)], ids=["exact", "nearby", "all"])
def test_a_strong_guide_leads(halves: Exemplar, levels: tuple[float, ...]) -> None:
    """From noise alone: blue appears where the target's guide is 1, red where it is 0."""
    target = np.zeros((1, 96, 96, 1), np.float32)
    target[:, :48, :48] = target[:, 48:, 48:] = 1
    run = denoiser(halves, guide=target, guide_noise=0.05)
    x = gaussian((1, 3, 96, 96), generator(0)) * levels[0]
    for s in levels:
        x0 = run(x, NoiseLevel(1.0, s))
        x = x0 + s * gaussian((1, 3, 96, 96), generator(1))
    blue = (x0[0, 2] > x0[0, 0]).numpy()
    inside = np.zeros((96, 96), bool)
    for row in (0, 48):
        for column in (0, 48):
            inside[row + 12 : row + 36, column + 12 : column + 36] = True
    assert (blue == (target[0, ..., 0] > 0.5))[inside].mean() > 0.95


def test_a_weak_guide_does_not(halves: Exemplar) -> None:
    """The picture is red; a guide that asks for blue, with a large σ, cannot change it."""
    x0 = crop(halves, 0, 0, 48)
    blue = np.ones((1, 48, 48, 1), np.float32)
    out = denoiser(halves, guide=blue, guide_noise=100.0)(*noisy(x0, 0.1))
    assert (out[0, 0] - out[0, 2]).mean() > 0.2


# Levels and refusals


def test_the_level_follows_the_noise_and_fits_exemplar_and_image(bricks: Exemplar) -> None:
    large = Exemplar(np.random.default_rng(0).random((320, 300, 3), np.float32))
    run = denoiser(large)
    levels = [run._pick_level(s, 512) for s in (1e-6, 0.05, 0.1, 0.15, 0.2, 0.3, 0.8, 1.5, 14.0)]
    assert levels == [1, 1, 1, 2, 2, 4, 8, 16, 16]
    small = denoiser(bricks)._pick_level(14.0, 512)
    assert small * ExemplarSettings().patch <= 0.6 * 96 < 2 * small * ExemplarSettings().patch
    assert run._pick_level(14.0, 32) * 9 <= 32 * 1.1


def test_boxes_are_means_at_every_offset(bricks: Exemplar) -> None:
    boxed = bricks.boxed(4)
    assert boxed.shape == (93, 93, 3)
    assert boxed[10, 31] == pytest.approx(bricks.image[10:14, 31:35].mean((0, 1)), abs=1e-6)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((23, 64, 3), np.float32), "23"),
        (np.zeros((64, 64, 4), np.float32), "4"),
        (np.zeros((64, 64), np.float32), "(64, 64)"),
        (np.full((64, 64, 3), np.nan, np.float32), "NaN"),
        (np.full((64, 64, 3), math.inf, np.float32), "infinite"),
    ],
    ids=["too small", "four channels", "grey", "NaN", "infinite"],
)
def test_what_is_no_exemplar_is_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises(InvalidImage) as refusal:
        Exemplar(image)
    assert refusal.value.code == "invalid_image"
    assert words in refusal.value.message
    assert "\n" not in str(refusal.value)
    assert refusal.value.hint


def test_the_smallest_exemplar_denoises_at_every_level() -> None:
    smallest = Exemplar(np.random.default_rng(0).random((24, 24, 3), np.float32))
    run = denoiser(smallest)
    for s in (14.0, 1.0, 0.1, 0.02):
        assert torch.isfinite(run(*noisy(torch.zeros(1, 3, 32, 32), s))).all()
