"""What coupling adds to a job: the time in which noises are mixed, beside that of the job."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import weft.noise
from weft.benchmarks.torus import torus
from weft.methods.coupled_noise import repulsive
from weft.noise import Variant, gaussian, generator
from weft.tasks.texture import texture, warm_up

__all__ = ["CostRow", "TextureJob", "coupling_cost", "mixing_seconds"]

_TIMED = ("gaussian", "generator")


@dataclass(frozen=True)
class TextureJob:
    """A mesh texture on the torus, as `weft texture` makes one by default."""

    size: int = 256
    steps: int = 30
    texture_size: int = 1024
    views: int = 10
    decals: bool = True

    def run(self, seed: int) -> None:
        events = texture(
            [torus()], exemplar=None, cameras=[], prompt="bricks", size=self.size, steps=self.steps, seed=seed,
            texture_size=self.texture_size, views=self.views, cameras_from="automatic", pattern_scale=1.0,
            decals=self.decals, report=False,
        )  # fmt: skip
        for _ in events:
            pass


@dataclass(frozen=True)
class CostRow:
    """CPU seconds, which other programs lengthen little, of one variant of a gallery of `members`."""

    members: int
    job: float  # uncoupled
    drawing: float  # of its noises
    mixing: float  # what coupling adds: all of `weft.noise` that is not drawing

    @property
    def share(self) -> float:
        return self.mixing / self.job


def coupling_cost(members: int, job: TextureJob) -> CostRow:
    """`job` by itself, and its last variant of `members` that repel each other, whose row is the longest. The profiler
    slows what it looks at, so mixing is rather over- than underrated."""
    warm_up()
    began = time.process_time()
    job.run(0)
    seconds = time.process_time() - began
    seed = Variant(0, repulsive(members).triangular.matrix[-1])
    gaussian((8,), generator(seed))  # what a process computes once
    drawing, mixing = mixing_seconds(lambda: job.run(seed))
    return CostRow(members, seconds, drawing, mixing)


def mixing_seconds(run: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds that `run` spends in drawing normal values for `weft.noise`, and in everything else there that makes
    generators and noises."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(run)
    # {function: (calls, calls, own seconds, seconds with callees, {caller: the same four})}
    told = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    here = str(Path(weft.noise.__file__))
    entered = drawing = 0.0
    for (file, _, name), (*_, callers) in told.items():
        for (caller_file, _, caller), (*_, seconds) in callers.items():
            # Generators are made of generators: only the outermost counts.
            if file == here and name in _TIMED and caller not in _TIMED:
                entered += seconds
            elif "randn" in name and caller_file == here:
                drawing += seconds
    return drawing, max(0.0, entered - drawing)
