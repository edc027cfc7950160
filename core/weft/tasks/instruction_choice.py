"""Which model edits by score distillation, and with which settings: what a job asks for, turned into both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.methods.score_distillation import RULES, Distillation
from weft.tasks.instruction import Instruction
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.instruction_network import NetworkInstruction
from weft.tasks.network import Network
from weft.tasks.painting import choose_painter

__all__ = ["choose_instruction", "chosen_settings"]


def choose_instruction(
    *,
    prompt: str,
    exemplar: np.ndarray | None,
    fidelity: float,
    pattern_scale: float,
    rule: str,
    repulsion: bool,
    iterations: int,
    rate: float,
    noise_low: float,
    noise_high: float,
    network: Network | None = None,
) -> tuple[Instruction, Distillation, dict[str, Any]]:
    """The model, how it goes, and what the report says of it. Arguments as in `weft_wire.jobs.distillation`: zeros mean
    what suits the model; `exemplar` f4 [h, w, 3] sRGB in [0, 1], or None: the material that the prompt names. A
    `network` is loaded before (`Network.load`), and keeps what its guidance lets it keep, whatever the `fidelity`."""
    instruction: Instruction
    if network is None:
        material, painter = choose_painter(prompt, exemplar, 1, 1.0)
        instruction = ExemplarInstruction(painter.picture, fidelity=fidelity, pattern_scale=pattern_scale)
    else:
        material = network.material(prompt)
        instruction = NetworkInstruction(network, prompt, exemplar if network.sees_reference else None)
    settings = chosen_settings(
        instruction.defaults, rule=rule, repulsion=repulsion, iterations=iterations, rate=rate, noise_low=noise_low,
        noise_high=noise_high,
    )  # fmt: skip
    return instruction, settings, material


def chosen_settings(
    defaults: Distillation,
    *,
    rule: str,
    repulsion: bool,
    iterations: int,
    rate: float,
    noise_low: float,
    noise_high: float,
) -> Distillation:
    """`defaults`, but for what is not zero. A rate of one's own falls as the default's does; noise of one's own stays
    where it is from the first step to the last."""
    if rule not in RULES:
        raise InvalidInput(f"no rule is called {rule!r}", f"choose one of {', '.join(RULES)}")
    changes: dict[str, Any] = {"rule": replace(RULES[rule], repulsion=repulsion)}
    if iterations:
        changes["steps"] = iterations
    if rate:
        changes |= {"rate": rate, "rate_end": rate * defaults.rate_end / defaults.rate}
    if noise_low or noise_high:
        low, high = defaults.times
        low, high = noise_low or min(low, noise_high), noise_high or max(high, noise_low)
        changes |= {"times": (low, high), "times_end": None}
    return replace(defaults, **changes)
