"""The model that a job asks for, out of its parameters. Imported inside the worker only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from weft.models.cards import ModelRequest, card_named
from weft.models.prior_cards import parse_prior
from weft.tasks.network import Network
from weft.tasks.views_prior import NetworkPrior
from weft_server.able import EMBEDDED, wish_of
from weft_server.loaded_models import cache
from weft_wire.jobs.networks import NetworkParams
from weft_wire.parameters import params_of

__all__ = ["NAMES", "network_of", "prior_of"]

NAMES = frozenset(field.name for field, _, _ in params_of(NetworkParams))


def network_of(params: Mapping[str, Any], arrays: Collection[str]) -> Network | None:
    """What the parameters `NAMES` say beside the input arrays of these names; None is the embedded denoiser.

    Raises UnknownName and InvalidInput. Nothing is loaded before the network's model is looked at.
    """
    if params["model"] == EMBEDDED:
        return None
    wish = wish_of(params, arrays)
    return Network(
        card_named(wish.request.name),
        lambda: cache().get(wish.request),
        negative=params["negative_prompt"],
        guidance=params["guidance"],
        image_guidance=params["image_guidance"],
        controls=wish.controls,
        style_scale=params["style_scale"],
        synchronize=params["synchronize"],
        sync_until=params["sync_until"],
        view_attention=params["view_attention"],
    )


def prior_of(params: Mapping[str, Any]) -> NetworkPrior | None:
    """The multi-view model that a job on views names beside its own; None leaves the geometry to it.

    Raises UnknownName. Nothing is loaded before it is looked at.
    """
    card = parse_prior(params["prior"])
    if card is None:
        return None
    return NetworkPrior(card, lambda: cache().prior(ModelRequest(card.name)))
