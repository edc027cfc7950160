"""torch.compile for networks: faster steps after a slow first one. Asked for by a job, and never a reason to fail.

Compiled are the blocks that a network repeats, for the shapes that come: every one compiles once and serves all its
likes, so a U-Net takes a fraction of the time that it takes as a whole. What is compiled is kept on disk by torch
(TORCHINDUCTOR_CACHE_DIR), for the next process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from peft.tuners.tuners_utils import BaseTunerLayer

from weft.models.networks.components import Components

__all__ = ["compile_networks"]

# The blocks that diffusers' U-Nets and ControlNets consist of; transformers name theirs in `_repeated_blocks`.
_BLOCKS = frozenset({"BasicTransformerBlock", "ResnetBlock2D"})
_VARIANTS = 64  # of one block: channels, resolutions, parts of a batch, views that attend to each other or not


def compile_networks(components: Components) -> list[str]:
    """Make the network and its ControlNets compile when they first run; returns what people should be told.

    Changes the components in place. Where this machine cannot compile, they stay as they are.
    """
    lacking = _trial(components.device)
    if lacking:
        return [f"{components.card.name} runs uncompiled, with the same result: {lacking}"]
    import torch._dynamo as dynamo

    settings: Any = dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, _VARIANTS)
    settings.accumulated_recompile_limit = max(settings.accumulated_recompile_limit, 16 * _VARIANTS)
    settings.suppress_errors = True  # a block that does not compile runs as it is
    for network in (components.network, *dict.fromkeys(components.controlnets.values())):
        _fuse_projections(network)
        _compile_blocks(network)
    return []


@cache
def _trial(device: torch.device) -> str:
    """What keeps this machine from compiling; "" where nothing does. Compiles something small, once in a process."""
    try:
        numbers = torch.arange(8.0, device=device)
        with torch.no_grad():
            torch.compile(_small, dynamic=False)(numbers)
    except Exception as error:  # whatever is lacking: a compiler, Triton, a version of Python
        return next(iter(str(error).splitlines()), type(error).__name__)
    return ""


def _small(numbers: torch.Tensor) -> torch.Tensor:
    return numbers * 2 + 1


def _compile_blocks(network: torch.nn.Module) -> None:
    names = _BLOCKS.union(getattr(network, "_repeated_blocks", None) or ())
    blocks = [module for module in network.modules() if type(module).__name__ in names]
    for block in blocks or [network]:
        block.compile(dynamic=False)


def _fuse_projections(network: Any) -> None:
    """One product for queries, keys and values; not where a LoRA or an IP-Adapter sits in the attention."""
    if not hasattr(network, "fuse_qkv_projections") or not hasattr(network, "attn_processors"):
        return
    stock = all(type(processor) is AttnProcessor2_0 for processor in network.attn_processors.values())
    if stock and not any(isinstance(module, BaseTunerLayer) for module in network.modules()):
        network.fuse_qkv_projections()
