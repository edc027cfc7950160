"""Model cards: what each network is for, what it consists of, whose terms it is under. Needs no torch.

A card names its parts by the ids of their publishers; a job may put another checkpoint of the same family in the place
of the base. Nothing here is downloaded: `library` looks for the parts on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from weft.errors import UnknownName
from weft.models.licences import ADOBE, APACHE, MIT, OPENRAIL, OPENRAIL_PLUS, STABILITY, remark

__all__ = ["CARDS", "CONTROL", "Card", "ModelRequest", "Part", "card_named", "notice"]

CONTROL = "control:"  # roles of ControlNets begin with it
UNETS = frozenset({"sd15", "sdxl", "zero123"})  # families; the others are transformers


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is published, downloaded and licensed by itself."""

    role: str  # "base", "network", "pair", "control:depth", …, "offset", "style", "image_encoder", "preview"
    source: str  # "owner/name" at the Hugging Face hub
    licence: str
    commercial: bool = True
    size: int = 0  # bytes to download, about
    files: tuple[str, ...] = ()  # those that are needed; () means a folder in diffusers' layout
    optional: bool = False  # the model works without it
    gated: bool = False  # it is given to those alone who accepted its terms at the hub

    @property
    def remark(self) -> str:
        """What must be known before it is used; "" where every use is allowed."""
        said = (remark(self.licence, self.commercial), "accept its terms at the hub first" if self.gated else "")
        return ", ".join(filter(None, said))


@dataclass(frozen=True, slots=True)
class Card:
    """One model that a job can ask for by `name`."""

    name: str
    help: str
    family: str  # parts of one family fit together: "sd15", "sdxl", "zero123", "sd3", "flux2"
    parts: tuple[Part, ...]
    resolution: int  # px, of the images it was trained on
    view_size: int  # px, of the views that a job uses unless it says otherwise
    guidance: float  # of text, unless a job says otherwise
    needs: frozenset[str] = frozenset()  # it cannot do without: "image" (to edit), "mask" (where), "background", …
    memory: int = 0  # bytes of the device that one view needs in 16 bits, weights included, about
    image_guidance: float = 0.0  # of the image, where it is edited by instruction; others are not guided by it
    eta: float = 0.0  # share of new noise in each step of the sampler that its publisher used
    reads_words: bool = True  # whether prompts mean anything to it
    jobs: frozenset[str] = frozenset()  # it is of use for these alone; empty: wherever it gets what it needs

    @property
    def controls(self) -> tuple[str, ...]:
        """The kinds of pictures that there is a ControlNet for."""
        return tuple(p.role.removeprefix(CONTROL) for p in self.parts if p.role.startswith(CONTROL))

    @property
    def views_attend(self) -> bool:
        """Whether views can look at each other: in U-Nets; in transformers words and pixels share one attention."""
        return self.family in UNETS

    def part(self, role: str) -> Part | None:
        return next((part for part in self.parts if part.role == role), None)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a job wants loaded. Equal requests share one loaded model."""

    name: str  # of a card
    checkpoint: str = ""  # in the place of the card's base: a name in the library
    loras: tuple[tuple[str, float], ...] = ()  # (name in the library, scale)
    controls: tuple[str, ...] = ()  # kinds: "depth", "normal", "canny"
    style: bool = False  # with the adapter that takes a picture for a prompt
    options: frozenset[str] = field(default_factory=frozenset)  # how it is run: "compile"


def card_named(name: str) -> Card:
    """Raises UnknownName for a name that is on no card."""
    if name not in CARDS:
        raise UnknownName(f"no model is called {name!r}", f"models: exemplar, {', '.join(CARDS)}")
    return CARDS[name]


def notice(card: Card, roles: Iterable[str] | None = None) -> str | None:
    """What a user must know before the first picture: whose parts are not free for every use. `roles`: those that are
    loaded; all by default."""
    wanted = None if roles is None else frozenset(roles)
    marked = {p.source: p for p in card.parts if p.remark and (wanted is None or p.role in wanted)}
    return "; ".join(f"{p.source} ({p.licence}): {p.remark}" for p in marked.values()) or None


_IMAGE = frozenset({"image"})
_GB = 10**9

# One net published as config and weights, not as a whole pipeline.
_NET = ("config.json", "diffusion_pytorch_model.safetensors")
_SD15_BASE = Part("base", "stable-diffusion-v1-5/stable-diffusion-v1-5", OPENRAIL, size=4_265_000_000)
_SD15_PREVIEW = Part("preview", "madebyollin/taesd", MIT, size=9_800_000, files=_NET, optional=True)
_SD15_CONTROLS = tuple(
    Part(f"{CONTROL}{kind}", f"lllyasviel/{name}", OPENRAIL, size=1_445_000_000, files=_NET, optional=True)
    for kind, name in (
        ("depth", "control_v11f1p_sd15_depth"),
        ("normal", "control_v11p_sd15_normalbae"),
        ("canny", "control_v11p_sd15_canny"),
    )
)
_SDXL_CONTROLS = tuple(  # one union net stands for all kinds
    Part(f"{CONTROL}{kind}", "xinsir/controlnet-union-sdxl-1.0", APACHE, size=2_513_000_000, files=_NET, optional=True)
    for kind in ("depth", "normal", "canny")
)


def _style(weights: str, size: int) -> tuple[Part, Part]:
    """The IP-Adapter and the image encoder (OpenCLIP ViT-H/14) whose embeddings it takes."""
    encoder = tuple(f"models/image_encoder/{name}" for name in ("config.json", "model.safetensors"))
    return (
        Part("style", "h94/IP-Adapter", APACHE, size=size, files=(weights,), optional=True),
        Part("image_encoder", "h94/IP-Adapter", APACHE, size=2_528_000_000, files=encoder, optional=True),
    )


_SD15_STYLE = _style("models/ip-adapter_sd15.safetensors", 45_000_000)


def _relighting(name: str, help: str, file: str, guidance: float, needs: frozenset[str]) -> Card:
    offset = Part("offset", "lllyasviel/ic-light", OPENRAIL, size=1_719_000_000, files=(file,))
    return Card(
        name, help, "sd15", (_SD15_BASE, offset, _SD15_PREVIEW), resolution=512, view_size=512, guidance=guidance,
        needs=needs, memory=4 * _GB, jobs=frozenset({"retexture", "relight"}),
    )  # fmt: skip


_KLEIN = Part("base", "black-forest-labs/FLUX.2-klein-4B", APACHE, size=15_980_000_000)

_ALL = (
    Card(
        "sd15", "paints from any words: Stable Diffusion 1.5", "sd15",
        (_SD15_BASE, *_SD15_CONTROLS, *_SD15_STYLE, _SD15_PREVIEW),
        # Views that agree are softer than one alone: Kim et al. 2024 take 15.5 on meshes, 25 and more elsewhere.
        resolution=512, view_size=768, guidance=15.5, memory=5 * _GB,
    ),
    Card(
        "sdxl", "paints sharper, slower: Stable Diffusion XL", "sdxl",
        (
            Part("base", "stabilityai/stable-diffusion-xl-base-1.0", OPENRAIL_PLUS, size=13_880_000_000),
            *_SDXL_CONTROLS,
            *_style("sdxl_models/ip-adapter_sdxl_vit-h.safetensors", 698_000_000),
            Part("preview", "madebyollin/taesdxl", MIT, size=9_800_000, files=_NET, optional=True),
        ),
        resolution=1024, view_size=1024, guidance=6.0, memory=12 * _GB,
    ),
    Card(
        "instruct-pix2pix", "edits what is there by instruction", "sd15",
        (Part("base", "timbrooks/instruct-pix2pix", OPENRAIL, size=4_265_000_000), _SD15_PREVIEW),
        resolution=512, view_size=512, guidance=7.5, needs=_IMAGE, memory=4 * _GB, image_guidance=1.5,
    ),
    Card(
        "sd15-inpainting", "repaints inside a mask", "sd15",
        (
            Part("base", "stable-diffusion-v1-5/stable-diffusion-inpainting", OPENRAIL, size=4_265_000_000),
            *_SD15_CONTROLS, *_SD15_STYLE, _SD15_PREVIEW,
        ),
        resolution=512, view_size=512, guidance=7.5, needs=_IMAGE | {"mask"}, memory=5 * _GB,
        jobs=frozenset({"retexture", "stylize", "move", "backgrounds"}),
    ),
    _relighting("ic-light", "relights an object by words", "iclight_sd15_fc.safetensors", 2.0, _IMAGE),
    _relighting(
        "ic-light-background", "relights an object by its background", "iclight_sd15_fbc.safetensors", 7.0,
        _IMAGE | {"background"},
    ),
    Card(
        "neural-gaffer", "relights an object by an environment map, at 256 px: Neural Gaffer", "zero123",
        (
            Part("base", "kxic/zero123-xl", MIT, size=6_200_000_000),
            Part("network", "coast01/Neural_Gaffer", MIT, size=3_438_000_000, files=("model.safetensors",)),
        ),
        resolution=256, view_size=256, guidance=3.0, needs=_IMAGE | {"mask", "surroundings"}, memory=4 * _GB,
        reads_words=False,
    ),
    Card(
        "magic-fixup", "makes a coarse edit real by looking at the picture as it was: Magic Fixup", "sd15",
        (
            _SD15_BASE,
            Part(
                "pair", "HadiZayer/MagicFixup", ADOBE, commercial=False, size=7_600_000_000,
                files=("magic_fixup.safetensors",),
            ),
            _SD15_PREVIEW,
        ),
        resolution=512, view_size=512, guidance=1.0, needs=_IMAGE | {"mask", "before"}, memory=6 * _GB, eta=1.0,
        reads_words=False,
    ),
    Card(
        "sd3.5-medium", "paints from long prompts: Stable Diffusion 3.5, a flow model", "sd3",
        (
            Part("base", "stabilityai/stable-diffusion-3.5-medium", STABILITY, size=16_300_000_000),
            Part("preview", "madebyollin/taesd3", MIT, size=9_900_000, files=_NET, optional=True),
        ),
        resolution=1024, view_size=1024, guidance=4.5, memory=19 * _GB,
    ),
    Card(
        "flux2-klein", "paints in few steps: FLUX.2 klein 4B, a flow model", "flux2", (_KLEIN,),
        resolution=1024, view_size=1024, guidance=1.0, memory=18 * _GB,
    ),
    Card(
        "flux2-klein-edit", "edits what is there by instruction, in few steps: FLUX.2 klein 4B", "flux2", (_KLEIN,),
        resolution=1024, view_size=1024, guidance=1.0, needs=_IMAGE, memory=19 * _GB,
    ),
)  # fmt: skip
CARDS: dict[str, Card] = {card.name: card for card in _ALL}
