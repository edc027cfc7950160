"""What every job that a network with trained weights can do is asked alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weft_wire.parameters import param

__all__ = ["EMBEDDED_VIEW", "NETWORK", "NetworkParams", "view_size_param"]

NETWORK = "network"  # the section of these parameters
EMBEDDED_VIEW = 256  # px, of the denoiser that needs no weights, unless a job says otherwise


@dataclass(frozen=True, slots=True)
class NetworkParams:
    """Which model denoises, and how it is conditioned. The embedded denoiser uses none but `model`."""

    model: str = param("exemplar", maximum=120, help="the denoiser; `weft models` lists them")
    checkpoint: str = param(
        "", maximum=200, section=NETWORK, help="other weights of the model's family, by their name on the server"
    )
    loras: str = param(
        "", maximum=400, section=NETWORK, help="LoRA weights by their names on the server, as in rusty:0.8, painted"
    )
    negative_prompt: str = param("", maximum=2000, section=NETWORK, help="what must not be seen, in words")
    guidance: float = param(
        0.0, minimum=0, maximum=50, section=NETWORK, zero="what the model's card says", help="how much the words count"
    )
    image_guidance: float = param(
        0.0, minimum=0, maximum=20, section=NETWORK, zero="what the model's card says",
        help="how much an edited picture counts beside the words",
    )  # fmt: skip
    control: str = param(
        "", maximum=200, section=NETWORK,
        help="what is drawn from the geometry, as in depth:1@0-1, canny:0.5@0-0.6; empty: depth if the model can; none",
    )  # fmt: skip
    style_scale: float = param(
        0.6, minimum=0, maximum=2, section=NETWORK, help="how much a reference image counts beside the words"
    )
    synchronize: str = param(
        "automatic", choices=("automatic", "latents", "pixels"), section=NETWORK,
        help="what views share at every step; pixels are slower and keep detail; automatic: as the task is best done",
    )  # fmt: skip
    sync_until: float = param(
        0.8, minimum=0, maximum=1, section=NETWORK, help="part of the steps after which every view goes its own way"
    )
    view_attention: bool = param(
        True, section=NETWORK, help="let each view look at its neighbours and at the front while it is denoised"
    )
    compiled: bool = param(
        False, section=NETWORK, help="compile the network when it is first used: minutes once, then faster (GPU)"
    )


def view_size_param() -> Any:
    return param(
        0, minimum=64, maximum=1024, unit="px", zero=f"what the model likes, {EMBEDDED_VIEW} px without weights",
        help="side of the views that are denoised",
    )  # fmt: skip
