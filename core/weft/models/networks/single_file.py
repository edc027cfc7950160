"""Checkpoints that are told as one file: the weights of U-Net, VAE and text encoders by LDM's names.

Such a file says neither how its networks are built nor what its words are: configurations and tokenizers are read from
a folder of the same family, the card's own base. Nothing is asked of the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from torch import Tensor, nn

from weft.errors import BadCheckpoint
from weft.models.networks.layouts import Layout, Slot
from weft.models.networks.reading import at_rest, every_key, read_tensors, translated

__all__ = ["SingleFile"]

# The first words of the names in a file, by the part that they belong to.
BEGINNINGS = {
    "U-Net": ("model.diffusion_model.",),
    "VAE": ("first_stage_model.",),
    "text encoder": ("cond_stage_model.", "conditioner."),
}


class SingleFile:
    """The parts of one file, each read as if it lay in its own folder. Holds the file's tensors as long as it lives."""

    def __init__(self, file: Path, configs: Path, layout: Layout) -> None:
        """`configs`: a folder in diffusers' format, of which no weights are read."""
        if not layout.single_file:
            remedy = "take the folder in diffusers' format: models of this family are not read from single files"
            raise BadCheckpoint(f"{file.name} is a single file", remedy)
        self._name, self._configs, self._layout = file.name, configs, layout
        self._tensors = read_tensors(file)
        _check_parts(file.name, self._tensors)

    def read(self, slot: Slot, dtype: torch.dtype) -> nn.Module:
        what = f"the {slot.folder} in {self._name}"
        remedy = f"give a whole checkpoint of the family of {self._configs.name}"
        with translated(what, remedy):
            module = self._converted(slot, dtype)
        every_key(what, missing=_unread(module), unexpected=())
        return at_rest(module)

    def _converted(self, slot: Slot, dtype: torch.dtype) -> nn.Module:
        tensors = dict(self._tensors)  # the conversions take out what they use
        options = {"config": str(self._configs), "subfolder": slot.folder, "local_files_only": True}
        if slot in self._layout.text_encoders:
            return create_diffusers_clip_model_from_ldm(slot.reader, tensors, torch_dtype=dtype, **options)
        return slot.reader.from_single_file(tensors, dtype=dtype, **options)


def _check_parts(name: str, tensors: Mapping[str, Any]) -> None:
    for part, beginnings in BEGINNINGS.items():
        if not any(key.startswith(beginnings) for key in tensors):
            raise BadCheckpoint(f"{name} holds no {part}", "give a whole checkpoint, with U-Net, VAE and text encoder")


def _unread(module: nn.Module) -> list[str]:
    """Weights that the file did not have are left without storage."""
    tensors: list[tuple[str, Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    return [name for name, tensor in tensors if tensor.is_meta]
