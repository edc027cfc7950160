"""`weft learn-coupling REWARD --variants M -o FILE.json`: which noises a gallery should have, learned from a reward."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weft_server.job_files import check_out
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.jobs.variants import MOST

if TYPE_CHECKING:
    from weft.methods.coupled_noise import Coupling
    from weft.methods.learned_coupling import LearningStep, Reward
    from weft.tasks.coupled_pictures import Generate

__all__ = ["add_parser"]

REWARDS = ("diversity", "nearest", "brightness")
MATERIAL = "mossy stone"
STEPS, RATE = 1000, 0.03  # of learning
LINES = 10  # that tell how the reward grows
FRESH = 40  # galleries of noises that nothing was learned from
_LEARNING, _TESTING = 1, 2  # noise streams of a seed


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "learn-coupling",
        help="learn how the noises of a gallery's variants should hang together",
        description="Learn a coupling of noises from a reward for whole galleries, on small pictures of the embedded "
        "denoiser. `weft gallery … --coupling-file FILE.json` uses it. diversity: the mean distance of two variants; "
        "nearest: the distance of the two most alike; brightness: groups that differ in brightness.",
    )
    parser.add_argument("reward", metavar="REWARD", choices=REWARDS, help=", ".join(REWARDS))
    parser.add_argument("--variants", type=int, required=True, metavar="M", help=f"of a gallery (2 to {MOST})")
    parser.add_argument("--groups", metavar="N,N", help="sizes of the groups that differ in brightness (two halves)")
    look = parser.add_mutually_exclusive_group()
    look.add_argument("--prompt", default=MATERIAL, metavar="TEXT", help=f"a built-in material (default {MATERIAL})")
    look.add_argument("--exemplar", type=Path, metavar="PHOTO", help="pictures like this one")
    look.add_argument("--linear", action="store_true", help="clouds, which follow their noise linearly: a check")
    parser.add_argument(
        "--steps", type=int, default=STEPS, metavar="N", help=f"of learning (4 to 100000, default {STEPS})"
    )
    parser.add_argument("--size", type=int, default=64, metavar="PX", help="side of the pictures (default 64)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed gives the same file (default 0)"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.json", help="for the coupling")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    groups = _groups(arguments)
    check_out(arguments.out, [".json"], [arguments.exemplar])
    if arguments.steps not in range(4, 100_001) or arguments.seed < 0:
        message = f"{arguments.steps} steps of learning with seed {arguments.seed}"
        raise WireError("invalid_input", message, "give 4 to 100000 steps, and a seed from 0")
    # The science is loaded only where it computes.
    import torch

    from weft.io.coupling_files import save_coupling
    from weft.methods import learned_coupling as learning
    from weft.methods.coupled_noise import equicorrelated
    from weft.noise import generator
    from weft.tasks.coupled_pictures import CHANNELS, check_gallery

    variants, size = arguments.variants, arguments.size
    check_gallery(variants, size)
    torch.set_num_threads(1)
    name, generate = _pictures(arguments)
    reward: Reward = learning.diversity if arguments.reward == "diversity" else learning.nearest
    if arguments.reward == "brightness":
        reward = learning.brightness_clusters(groups)
    say(f"{variants} variants of {name}, {size} px: {arguments.steps} steps")
    steps: list[LearningStep] = []
    for step in learning.learned(
        equicorrelated(variants, 0.0), (CHANNELS, size, size), generate, reward,
        generator(arguments.seed, _LEARNING), steps=arguments.steps, rate=RATE,
    ):  # fmt: skip
        steps.append(step)
        _tell(steps, groups)
    coupling = learning.settled(steps)
    say("\nB Bᵀ, the mean over the later half:")
    for row in coupling.correlation:
        say("".join(f"{value:7.3f}" for value in row))
    say(_correlations(coupling, groups))
    source = generator(arguments.seed, _TESTING)
    _compare(coupling, (CHANNELS, size, size), generate, reward, source)
    note = {key: getattr(arguments, key) for key in ("reward", "steps", "size", "seed")}
    save_coupling(arguments.out, coupling.matrix, {**note, "pictures": name, "groups": groups.tolist()})
    say(f"wrote {arguments.out}")
    return 0


def _groups(arguments: argparse.Namespace) -> np.ndarray:
    """The group of every variant, int [m]; all in one unless the reward is for groups."""
    variants, text = arguments.variants, arguments.groups
    if not 2 <= variants <= MOST:
        raise WireError("invalid_input", f"{variants} variants", f"a gallery has 2 to {MOST}")
    if arguments.reward != "brightness":
        if text is not None:
            raise WireError("invalid_input", f"--groups {text} for {arguments.reward}", "only brightness has groups")
        return np.zeros(variants, int)
    try:
        sizes = [variants - variants // 2, variants // 2] if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1 or sum(sizes) != variants:
        message = f"--groups {text} of {variants} variants"
        raise WireError("invalid_input", message, f"give two or more sizes that make {variants}: --groups 2,2")
    return np.repeat(np.arange(len(sizes)), sizes)


def _pictures(arguments: argparse.Namespace) -> tuple[str, Generate]:
    """What galleries are of, and how noises become pictures."""
    from weft.io.images import load_image
    from weft.models.materials import choose_material
    from weft.tasks.coupled_pictures import cloudy, painted
    from weft.tasks.material_tile import material_tile

    if arguments.linear:
        return "clouds", cloudy(arguments.size)
    if arguments.exemplar is not None:
        return arguments.exemplar.name, painted(load_image(arguments.exemplar), arguments.size)
    choice = choose_material(arguments.prompt)
    if choice.note:
        say(f"note: {choice.note}")
    return choice.name, painted(material_tile(choice), arguments.size)


def _tell(steps: Sequence[LearningStep], groups: np.ndarray) -> None:
    """A line at the end of every tenth of the learning."""
    total = steps[-1].total
    ends = [round(total * part / LINES) for part in range(LINES + 1)]
    for begin, end in pairwise(ends):
        if begin < end == len(steps):
            mean = np.mean([step.reward for step in steps[begin:]])
            say(f"step {end:6}: reward {mean:.5g}; {_correlations(steps[-1].coupling, groups)}")


def _correlations(coupling: Coupling, groups: np.ndarray) -> str:
    """The range of correlations of all pairs, and how far they are from repulsive; or within and across groups."""
    first, second = np.triu_indices(coupling.count, 1)
    found, together = coupling.correlation[first, second], groups[first] == groups[second]
    if together.all():
        apart = np.abs(found + 1 / (coupling.count - 1)).max()
        return f"correlations {found.min():.3f} to {found.max():.3f}, at most {apart:.3f} from repulsive"
    inside, across = found[together], found[~together]
    within = f"within groups {inside.min():.3f} to {inside.max():.3f}, " if len(inside) else ""
    return f"{within}across {across.min():.3f} to {across.max():.3f}"


def _compare(coupling: Coupling, shape: tuple[int, ...], generate: Generate, reward: Reward, source: Any) -> None:
    """What the coupling is worth on fresh noises, beside independent and repulsive ones."""
    from weft.methods.coupled_noise import equicorrelated, repulsive
    from weft.methods.learned_coupling import compared

    others = {"independent": equicorrelated(coupling.count, 0.0), "repulsive": repulsive(coupling.count)}
    found = compared({"learned": coupling, **others}, shape, generate, reward, source, FRESH)
    say(f"reward of {FRESH} galleries of fresh noise: {', '.join(f'{k} {v.mean():.5g}' for k, v in found.items())}")
    for name in others:
        gain = found["learned"] - found[name]
        say(f"learned less {name}: {gain.mean():.3g} ± {gain.std(ddof=1) / len(gain) ** 0.5:.2g} (standard error)")
