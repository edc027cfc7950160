"""What every edit by score distillation is asked alike."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.jobs import parts
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["RULES", "DistillationParams"]

RULES = ("csd_edit", "dds", "csd", "sds")


@dataclass(frozen=True, slots=True)
class DistillationParams(VariantParams):
    """Parameters that edits of panoramas, videos and scenes share. Zeros mean what suits the model."""

    prompt: str = parts.prompt_param()
    fidelity: float = param(
        0.6, minimum=0, maximum=1, help="how closely the pictures' own shapes are kept; 0 lets the edit flow freely"
    )
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the exemplar's detail; 1 = the picture spans a view"
    )
    rule: str = param(
        "csd_edit", choices=RULES,
        help="what moves the pictures: csd_edit; dds: each alone; csd: noise as baseline; sds: neither",
    )  # fmt: skip
    repulsion: bool = param(True, help="drive samples of one step apart, as the kernel's gradient does")
    iterations: int = param(0, minimum=1, maximum=5000, zero="what suits the model", help="steps of the distillation")
    rate: float = param(0.0, minimum=0.001, maximum=10, zero="what suits the model", help="step size for each sample")
    noise_low: float = param(
        0.0, minimum=0.01, maximum=1, zero="what suits the model", help="least noise that is added, as part of all time"
    )
    noise_high: float = param(
        0.0, minimum=0.01, maximum=1, zero="what suits the model", help="most noise that is added; more changes more"
    )
    seed: int = parts.seed_param()
    report: bool = parts.report_param()
