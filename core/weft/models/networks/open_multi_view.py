"""From loaded parts to a multi-view prior: the class for each kind of card."""

from __future__ import annotations

from importlib import import_module

from weft.errors import UnknownName
from weft.models.networks.components import Components
from weft.models.networks.multi_view import MultiViewModel

__all__ = ["open_multi_view"]

_ADAPTER = ("mv_adapter", "MultiViewAdapterModel")
_CLASSES = {"sd15": _ADAPTER, "sdxl": _ADAPTER, "seva": ("seva", "SevaModel")}  # by family


def open_multi_view(components: Components) -> MultiViewModel:
    """The prior of a card from `prior_cards`. UnknownName for the card of a model that paints views one by one."""
    card = components.card
    if card.family not in _CLASSES or (components.adapter is None and _CLASSES[card.family] == _ADAPTER):
        raise UnknownName(f"{card.name} is no multi-view prior", "see prior_cards.multi_view_cards")
    module, name = _CLASSES[card.family]
    return getattr(import_module(f"weft.models.networks.{module}"), name)(components)
