"""Optional packages that draw on a GPU. They are used where they are installed and work; without them the CPU draws."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

__all__ = ["usable"]

# The package to look for, and the module whose import fails where it was not built for this machine.
_MODULES = {"nvdiffrast": "nvdiffrast.torch", "gsplat": "gsplat.cuda._backend"}


@cache
def usable(package: str) -> bool:
    """Whether `package` ("nvdiffrast" or "gsplat") and a CUDA device are here. Asks once."""
    if find_spec(package) is None:
        return False
    import torch  # only now: whoever merely reads geometry need not wait for it

    if not torch.cuda.is_available():
        return False
    try:
        module = import_module(_MODULES[package])
    except Exception:  # its kernels are compiled at the first import, which fails in as many ways as compilers do
        return False
    return getattr(module, "_C", module) is not None  # gsplat says None where it could not be built
