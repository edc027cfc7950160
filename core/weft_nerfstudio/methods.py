"""The methods that `ns-train` lists: `weft-csd` on splatfacto, `weft-csd-nerfacto` on nerfacto.

Both are the configurations that nerfstudio itself trains with, so that their checkpoints fit, with another pipeline.
`weft_csd` and `weft_csd_nerfacto` are made when they are first looked at.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from weft.errors import MissingDependency

__all__ = ["METHODS"]  # and its names

METHODS = {"weft_csd": ("weft-csd", "splatfacto"), "weft_csd_nerfacto": ("weft-csd-nerfacto", "nerfacto")}
_STEPS = 8000  # of the scene: four batches of 16, 2000 steps each
_FALL = 0.1  # of splats' positions: what was loaded lies where it should


def __getattr__(name: str) -> Any:
    if name not in METHODS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _specification(*METHODS[name])


def _specification(method: str, base: str) -> Any:
    """nerfstudio's `MethodSpecification`."""
    try:
        from nerfstudio.configs.method_configs import method_configs  # pyright: ignore[reportMissingImports]
        from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManagerConfig  # pyright: ignore[reportMissingImports]
        from nerfstudio.plugins.types import MethodSpecification  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependency(
            f"{method} needs nerfstudio: {error}", "install it as docs.nerf.studio says, beside Weft"
        ) from None
    from weft_nerfstudio.pipeline import CsdPipelineConfig

    config = deepcopy(method_configs[base])
    old = config.pipeline
    manager = old.datamanager
    if base == "nerfacto":  # a parallel manager has its images in other processes, where none can be replaced
        manager = VanillaDataManagerConfig(
            dataparser=manager.dataparser, train_num_rays_per_batch=manager.train_num_rays_per_batch,
            eval_num_rays_per_batch=manager.eval_num_rays_per_batch,
        )  # fmt: skip
    else:
        config.optimizers["means"]["optimizer"].lr *= _FALL
    config.method_name = method
    config.max_num_iterations = _STEPS
    config.pipeline = CsdPipelineConfig(datamanager=manager, model=old.model)
    return MethodSpecification(
        config, f"Edit a trained {base} by words or a picture (collaborative score distillation)"
    )
