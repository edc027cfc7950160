"""The optional packages behind models with trained weights. Asks what is installed, imports nothing."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["FOR_LORAS", "FOR_NETWORKS", "absent_packages", "install_command"]

FOR_NETWORKS = ("diffusers", "transformers", "safetensors")
FOR_LORAS = ("peft",)


def absent_packages(*, loras: bool = False) -> list[str]:
    """Names of packages that networks need and that are not installed."""
    wanted = FOR_NETWORKS + FOR_LORAS * loras
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def install_command() -> str:
    return f"{sys.executable} -m pip install 'weft[models]'"
