"""How much of a device's memory weights may take. Needs torch, but none of the packages behind networks."""

from __future__ import annotations

import os

import torch

__all__ = ["free_memory", "memory_for_models"]

_SHARE_OF_GPU, _SHARE_OF_RAM = 0.8, 0.5  # for weights; the rest is for what is computed


def memory_for_models(device: torch.device) -> int:
    """Bytes that weights may take on a device: most of a GPU's memory, half of this machine's for the CPU."""
    if device.type == "cuda":
        return int(_SHARE_OF_GPU * torch.cuda.get_device_properties(device).total_memory)
    return int(_SHARE_OF_RAM * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def free_memory() -> int:
    """Bytes of this machine's memory that can be had now without swapping; half of all where it does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as told:
            return next(int(line.split()[1]) << 10 for line in told if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return memory_for_models(torch.device("cpu"))
