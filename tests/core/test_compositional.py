"""Regions of an image that follow their own looks: weights sum to 1, and nobody is asked who does not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_instructions import Painted
from torch import Tensor

from weft.methods.score_distillation import Batch, Place
from weft.schedule import NoiseLevel
from weft.tasks.compositional import Compositional, Part, region_shares

LEVEL = NoiseLevel(0.8, 0.6)


def halves(height: int = 24, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    left = np.zeros((height, width), bool)
    left[:, : width // 2] = True
    return left, ~left


class Asked(Painted):
    """Remembers how many samples it was asked about."""

    asked = 0

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        assert len(x) == len(batch.x) == len(batch.places)
        self.asked += len(x)
        return super().target(x, level, batch)


def batch_of(*places: Place, side: int = 8) -> Batch:
    x = torch.zeros(len(places), 3, side, side)
    return Batch(x, places, x + 0.5)


def test_shares_are_a_partition_of_what_any_region_covers():
    rng = np.random.default_rng(0)
    masks = [rng.random((24, 64)) < 0.3 for _ in range(3)]
    shares = region_shares(masks, 2.0, wrap=False)
    covered = np.any(masks, 0)
    np.testing.assert_allclose(shares.sum(0), covered, atol=1e-5)
    assert shares.min() >= 0
    alone = region_shares(masks[:1], 2.0, wrap=False)
    np.testing.assert_allclose(alone[0], masks[0], atol=1e-6)


def test_shares_change_softly_over_a_border_and_are_pure_away_from_it():
    left, right = region_shares(halves(), 2.0, wrap=False)
    assert left[0, 31] == pytest.approx(right[0, 32], abs=1e-6)
    assert 0.5 < left[0, 31] < 0.7
    assert (np.diff(left[0]) <= 1e-6).all()
    assert (left[:, :25] == 1).all()
    assert (left[:, 39:] == 0).all()
    assert (right[:, 0] == 0).all()
    across, _ = region_shares(halves(), 2.0, wrap=True)
    assert across[0, 0] == pytest.approx(across[0, 31], abs=1e-6)  # left meets right, where the other region is


def test_turning_a_ring_turns_its_shares():
    rng = np.random.default_rng(1)
    masks = [rng.random((24, 64)) < 0.3 for _ in range(2)]
    turned = region_shares([np.roll(mask, 13, 1) for mask in masks], 3.0, wrap=True)
    np.testing.assert_allclose(np.roll(region_shares(masks, 3.0, wrap=True), 13, 2), turned, atol=1e-6)


def test_each_part_wants_its_own_and_is_asked_only_where_it_counts():
    shares = torch.from_numpy(region_shares(halves(), 2.0, wrap=False))[:, None, None]
    red, green = Asked((1, 0, 0)), Asked((0, 1, 0))
    both = Compositional([Part(red, shares[0]), Part(green, shares[1])])
    batch = batch_of(Place(0, 0, 0), Place(0, 4, 28), Place(0, 8, 50))
    wanted = both.target(batch.x, LEVEL, batch) / 2 + 0.5
    assert (red.asked, green.asked) == (2, 2)
    torch.testing.assert_close(wanted[0], torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 8, 8))
    torch.testing.assert_close(wanted[2], torch.tensor([0, 1.0, 0])[:, None, None].expand(3, 8, 8))
    torch.testing.assert_close(wanted[1, 0], shares[0, 0, 0, 4:12, 28:36])
    torch.testing.assert_close(wanted[1].sum(0), torch.ones(8, 8))


def test_where_nothing_is_asked_for_all_stays():
    mask = np.zeros((24, 64), bool)
    mask[:, :20] = True
    share = torch.from_numpy(region_shares([mask], 2.0, wrap=False))[:, None]
    only = Compositional([Part(Painted((1, 1, 1)), share)])
    batch = batch_of(Place(0, 0, 16))
    x = torch.full_like(batch.x, 9.0)  # whatever noise did
    assert batch.source is not None
    assert torch.equal(only.target(x, LEVEL, batch)[..., 4:], batch.x[..., 4:])
    assert torch.equal(only.source(x, LEVEL, batch), batch.source)
    torch.testing.assert_close(only.target(x, LEVEL, batch)[..., :4], torch.ones(1, 3, 8, 4))
