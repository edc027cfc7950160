"""Batches: the same result however they are cut, and what memory running out changes."""

from __future__ import annotations

import weakref

import pytest
import torch

from weft.errors import OutOfMemory
from weft.models.networks.batching import Batches, is_out_of_memory, split


class _SmallDevice:
    """Doubles samples, at most `room` of them at once."""

    def __init__(self, room: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        self.room = room
        self.error = error
        self.sizes: list[int] = []
        self.samples = torch.arange(20.0)[:, None]

    def __call__(self, part: slice) -> torch.Tensor:
        chosen = self.samples[part]
        self.sizes.append(len(chosen))
        if len(chosen) > self.room:
            raise self.error("CUDA out of memory. Tried to allocate 20.00 MiB")
        return chosen * 2


@pytest.mark.parametrize("samples", [1, 2, 7, 20])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 20])
def test_parts_cover_all_samples_once_and_evenly(samples: int, size: int) -> None:
    parts = split(samples, size)
    assert [n for part in parts for n in range(samples)[part]] == list(range(samples))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)
    assert len(parts) == -(-samples // size)


@pytest.mark.parametrize("largest", [0, 1, 3, 20, 50])
def test_a_limit_changes_no_result(largest: int) -> None:
    device = _SmallDevice(room=20)
    batches = Batches(largest)
    assert torch.equal(batches.run(device, 20), device.samples * 2)
    assert max(device.sizes) == min(largest or 20, 20)
    assert batches.notices == []


def test_what_others_hold_goes_before_batches_are_halved() -> None:
    device, asked = _SmallDevice(room=6), []

    def relieve() -> bool:
        asked.append(device.room)
        if device.room == 6:
            device.room = 12
            return True
        return False

    batches = Batches()
    batches.relieve = relieve
    assert torch.equal(batches.run(device, 20), device.samples * 2)
    assert device.sizes == [20, 20, 10, 10]
    assert asked == [6, 12]
    assert batches.notices == ["20 images do not fit into memory at once: 10 at a time, same result"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_batches_halve_until_they_fit_and_stay_so(error: type[RuntimeError]) -> None:
    device = _SmallDevice(room=6, error=error)
    batches = Batches()
    assert torch.equal(batches.run(device, 20), device.samples * 2)
    assert device.sizes == [20, 10, 5, 5, 5, 5]
    assert batches.notices == ["20 images do not fit into memory at once: 5 at a time, same result"]
    device.sizes.clear()
    assert torch.equal(batches.run(device, 20), device.samples * 2)
    assert device.sizes == [5, 5, 5, 5]
    assert len(batches.notices) == 1


def test_what_is_learned_about_one_kind_holds_for_it_alone() -> None:
    device = _SmallDevice(room=6)
    batches = Batches()
    batches.run(device, 20, kind=(96, 96))
    assert (batches.size(20, (96, 96)), batches.size(20, (64, 64)), batches.size(3, (96, 96))) == (5, 20, 3)


def test_one_sample_too_large_is_said() -> None:
    with pytest.raises(OutOfMemory) as caught:
        Batches().run(_SmallDevice(room=0), 4)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(part: slice) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    batches = Batches()
    with pytest.raises(RuntimeError, match="mat1"):
        batches.run(broken, 4)
    assert not is_out_of_memory(OutOfMemory("larger than the device"))  # said to people already: not to be retried


def test_the_failed_attempt_holds_no_tensor_when_the_next_begins() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def hungry(part: slice) -> torch.Tensor:
        assert all(tensor() is None for tensor in held)
        activations = torch.zeros(part.stop - part.start, 8)
        if len(activations) > 2:
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return activations

    Batches().run(hungry, 8)
    assert len(held) == 2
