"""As many images at once as the device holds: whole batches, halved where memory runs out, with the same result.

Networks treat the samples of a batch one by one, so a batch may be cut anywhere. Where samples look at each other (see
`view_attention`), the parts must advance together: that is what `together` is for.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from weft.errors import OutOfMemory

__all__ = ["Batches", "Evaluate", "Together", "in_turn", "is_out_of_memory", "release_memory", "split"]

Evaluate = Callable[[slice], Tensor]  # samples [start, stop) of a batch to their results, along dimension 0
Together = Callable[[Evaluate, Sequence[slice]], list[Tensor]]  # the parts of one batch to their results, in order

# What libraries below torch say in a plain RuntimeError: cuBLAS, cuDNN and torch's own allocator for the CPU.
_SIGNS = ("out of memory", "ALLOC_FAILED", "DefaultCPUAllocator", "not enough memory")


def in_turn(function: Evaluate, parts: Sequence[slice]) -> list[Tensor]:
    """One part after the other."""
    return [function(part) for part in parts]


class Batches:
    """Runs functions over batches, and remembers how many samples of each kind the device held.

    `largest` limits every batch from the start; 0 is no limit. `notices` collects sentences for people. `relieve` is
    called where memory runs out, until it says that it gave nothing back: only then are batches halved.
    """

    def __init__(self, largest: int = 0, notices: list[str] | None = None) -> None:
        self.notices: list[str] = [] if notices is None else notices
        self.relieve: Callable[[], bool] = lambda: False
        self._largest = largest
        self._limits: dict[Hashable, int] = {}

    def size(self, samples: int, kind: Hashable = None) -> int:
        """How many of `samples` are run at once."""
        limits = [limit for limit in (self._largest, self._limits.get(kind, 0)) if limit]
        return min([samples, *limits])

    def run(self, function: Evaluate, samples: int, *, kind: Hashable = None, together: Together = in_turn) -> Tensor:
        """`function` over samples 0 … samples - 1, in parts that fit; results [samples, …].

        `kind` is what samples of equal cost have in common (the size of the latents, say): what is learned about one
        kind does not hold for another. The function is called again for all samples after memory ran out, so it must
        not change anything. Raises OutOfMemory if not even one sample fits.
        """
        first = size = self.size(samples, kind)
        while (result := _attempt(function, split(samples, size), together)) is None:
            release_memory()
            if self.relieve():
                continue
            if size == 1:
                raise OutOfMemory(
                    "not even one image at a time fits into the device's memory", "smaller views or a smaller model"
                )
            size = (size + 1) // 2
            self._limits[kind] = size
        if size < first:
            self.notices.append(f"{first} images do not fit into memory at once: {size} at a time, same result")
        return result


def split(samples: int, size: int) -> list[slice]:
    """The fewest parts of at most `size` samples, as even as can be: two sizes at most, the larger ones first."""
    count = -(-samples // size)
    small, larger = divmod(samples, count)
    stops = [small * k + min(k, larger) for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(stops)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, or this machine, had no memory left for a tensor."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def release_memory() -> None:
    """Give what nobody holds back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _attempt(function: Evaluate, parts: Sequence[slice], together: Together) -> Tensor | None:
    """The results, or None where memory ran out.

    A function of its own: the error holds the frames below it, and they hold tensors, until this one is left.
    """
    try:
        results = together(function, parts)
        return results[0] if len(results) == 1 else torch.cat(results)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
