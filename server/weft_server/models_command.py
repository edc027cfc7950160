"""`weft models`: what the server can paint with, what it could, and where it looks."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft_server.terminal import say

__all__ = ["NETWORKS", "add_parser", "cache_folder"]


@dataclass(frozen=True, slots=True)
class Network:
    """A model with trained weights: its name at the Hugging Face hub, and what it is for."""

    name: str
    role: str

    @property
    def folder(self) -> Path:
        """Where the ordinary download puts it."""
        return cache_folder() / f"models--{self.name.replace('/', '--')}"


NETWORKS = (
    Network("stable-diffusion-v1-5/stable-diffusion-v1-5", "textures from any words"),
    Network("lllyasviel/control_v11f1p_sd15_depth", "keeps them to the shape"),
    Network("stabilityai/stable-diffusion-xl-base-1.0", "sharper textures"),
    Network("xinsir/controlnet-union-sdxl-1.0", "keeps those to the shape"),
    Network("timbrooks/instruct-pix2pix", "edits by instruction"),
    Network("lllyasviel/ic-light", "relighting"),
)


def cache_folder() -> Path:
    """The Hugging Face cache: $HF_HUB_CACHE, $HF_HOME/hub, or its place in the user's home."""
    default = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    return Path(os.environ.get("HF_HUB_CACHE") or default)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("models", help="list models and built-in materials", description=__doc__)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from weft.models.materials import MATERIALS

    say("embedded (needs no download)")
    say("  exemplar     paints with the patches of a picture, or of one of these materials:")
    width = max(map(len, MATERIALS))
    for material in MATERIALS.values():
        say(f"    {material.name:{width}}  {material.description}")
    say()
    say(f"with trained weights (looked for in {cache_folder()}; this version cannot use them yet)")
    width = max(len(network.name) for network in NETWORKS)
    for network in NETWORKS:
        state = "on disk" if network.folder.is_dir() else f"missing: hf download {network.name}"
        say(f"  {network.name:{width}}  {network.role}: {state}")
    return 0
