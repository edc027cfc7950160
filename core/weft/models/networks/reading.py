"""Reading weights from this machine's disk, whole and only as safetensors; what goes wrong becomes one line.

The one place where the exceptions of diffusers, transformers and safetensors are translated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from weft.errors import BadCheckpoint, ModelError, OutOfMemory, WeftError
from weft.models.networks.quiet import quietly

__all__ = ["at_rest", "every_key", "read_json", "read_network", "read_tensors", "read_tokenizer", "translated"]

_MISMATCH = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((.+?)\) from checkpoint, "
    r"the shape in current model is torch\.Size\((.+?)\)"
)
AGAIN = "fetch it again (weft models names the command)"


@contextmanager
def translated(what: str, remedy: str = AGAIN, error: type[ModelError] = BadCheckpoint) -> Iterator[None]:
    """Inside, the libraries are quiet, and whatever they raise is an `error` about `what`, in one line."""
    try:
        with quietly():
            yield
    except WeftError:
        raise
    except (torch.OutOfMemoryError, MemoryError):
        raise OutOfMemory(f"there is no memory left to read {what}", "unload other models, or take a smaller") from None
    except Exception as cause:  # the libraries raise OSError, ValueError, RuntimeError, KeyError, TypeError and others
        raise error(f"cannot read {what}: {_one_line(cause)}", remedy) from None


def read_network(reader: Any, folder: Path, dtype: torch.dtype) -> nn.Module:
    """The module in `folder`, at rest: each of its weights is in the files, and nothing else is."""
    what = f"{folder.parent.name}/{folder.name}"
    options = {"local_files_only": True, "use_safetensors": True, "dtype": dtype, "output_loading_info": True}
    with translated(what):
        module, keys = reader.from_pretrained(str(folder), variant=_variant(folder), **options)
    every_key(what, missing=keys["missing_keys"], unexpected=keys["unexpected_keys"])
    return at_rest(module)


def read_tokenizer(reader: Any, folder: Path) -> Any:
    with translated(f"{folder.parent.name}/{folder.name}"):
        return reader.from_pretrained(str(folder), local_files_only=True)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU."""
    with translated(file.name):
        return load_file(file)


def read_json(file: Path) -> dict[str, Any]:
    with translated(f"{file.parent.name}/{file.name}"):
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds {type(content).__name__}, not settings by name")
        return content


def every_key(what: str, *, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """BadCheckpoint when weights are new to the network or none of it: the rest would be noise, or of another model."""
    lacking, foreign = sorted(missing), sorted(unexpected)
    if lacking:
        raise BadCheckpoint(f"{what} lacks {len(lacking)} weights, {lacking[0]} among them", AGAIN)
    if foreign:
        remedy = "it belongs to another model, or its config.json does: take both from one place"
        raise BadCheckpoint(f"{what} holds {len(foreign)} weights of another network, {foreign[0]} among them", remedy)


def at_rest(module: nn.Module) -> nn.Module:
    """In evaluation mode, without gradients."""
    return module.eval().requires_grad_(False)


def _variant(folder: Path) -> str | None:
    """Half-precision files alone are told by their name; where both are, the whole ones are read."""
    names = [file.name for file in folder.glob("*.safetensors*")]
    return "fp16" if names and all(".fp16." in name for name in names) else None


def _one_line(cause: Exception) -> str:
    """What a library said, without its line breaks and its essays."""
    if isinstance(cause, SafetensorError):
        return "it is damaged or cut off"
    text = " ".join(str(cause).split()) or type(cause).__name__
    if mismatch := _MISMATCH.search(text):
        return "{} is {} in the file and {} in the network".format(*mismatch.groups())
    text = text.partition(". If you")[0]  # advice for those who write programs
    return text if len(text) <= 200 else text[:199] + "…"
