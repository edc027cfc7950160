"""From loaded parts to something that tasks can ask: the class for each family of networks."""

from __future__ import annotations

from importlib import import_module

from weft.errors import UnknownName
from weft.models.networks.components import Components
from weft.models.networks.image_model import ImageModel

__all__ = ["open_model"]

_CLASSES = {
    "sd15": ("unet_model", "UNetModel"),
    "sdxl": ("unet_model", "UNetModel"),
    "zero123": ("neural_gaffer", "NeuralGaffer"),
    "sd3": ("flow_model", "FlowModel"),
    "flux2": ("flow_model", "FlowModel"),
}


def open_model(components: Components) -> ImageModel:
    """The model of a card's family. Raises ModelMismatch where its parts do not fit together, UnknownName for what
    does not paint views one by one (see `open_multi_view`)."""
    family = components.card.family
    if components.adapter is not None:
        raise UnknownName(f"{components.card.name} is a multi-view prior, no model that paints", "name it as the prior")
    if family not in _CLASSES:
        raise UnknownName(f"no networks of the family {family!r} are known", "one of " + ", ".join(_CLASSES))
    module, name = _CLASSES[family]
    return getattr(import_module(f"weft.models.networks.{module}"), name)(components)
