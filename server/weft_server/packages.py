"""The optional packages behind models with trained weights. Asks what is installed, imports nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from weft_wire.errors import WireError

__all__ = ["FOR_NETWORKS", "absent_packages", "importing", "install_command", "unusable_classes"]

# The last two load and adapt networks; without them even a plain one cannot be imported.
FOR_NETWORKS = ("diffusers", "transformers", "safetensors", "accelerate", "peft")
LONGEST = 200  # characters of what an import says
USED = {  # classes that loading needs; where a package of theirs is absent, they are there and fail at their first use
    "diffusers": (
        "UNet2DConditionModel", "AutoencoderKL", "AutoencoderTiny", "ControlNetModel", "ControlNetUnionModel",
        "SD3Transformer2DModel", "Flux2Transformer2DModel", "AutoencoderKLFlux2",
    ),
    "transformers": (
        "CLIPTextModel", "CLIPTextModelWithProjection", "CLIPVisionModelWithProjection", "CLIPTokenizer",
        "T5EncoderModel", "T5TokenizerFast", "Qwen3ForCausalLM", "Qwen2TokenizerFast",
    ),
}  # fmt: skip


def absent_packages() -> list[str]:
    """Names of packages that networks need and that are not installed."""
    return [name for name in FOR_NETWORKS if importlib.util.find_spec(name) is None]


@contextmanager
def importing() -> Iterator[None]:
    """Inside, packages that are there but do not go together are refused in one line."""
    try:
        yield
    except (ImportError, AttributeError, RuntimeError, OSError) as problem:
        text = " ".join(str(problem).split())[:LONGEST]
        message = f"the packages behind networks cannot be imported: {text}"
        raise WireError("missing_dependency", message, f"{install_command()} -U") from None


def unusable_classes() -> list[str]:
    """Names of classes that the installed packages lack, or only pretend to have. Asked in a process of its own: the
    packages take seconds to import, and may take the asker along. Raises OSError, SubprocessError."""
    code = (
        "import importlib, json, sys\n"
        "for package, names in json.loads(sys.argv[1]).items():\n"
        "    module = importlib.import_module(package)\n"
        "    for name in names:\n"
        "        found = getattr(module, name, None)\n"
        "        if found is None or type(found).__name__ == 'DummyObject':\n"
        "            print(f'{package}.{name}')\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, json.dumps(USED)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split()


def install_command() -> str:
    return f"{sys.executable} -m pip install 'weft[models]'"
