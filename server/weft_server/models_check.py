"""`weft models check NAME`: are the files whole, do they load, does one denoising step give numbers."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from weft_server.able import EMBEDDED
from weft_server.model_folders import add_models, folders_of
from weft_server.packages import absent_packages, importing, install_command
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.sizes import size_of

if TYPE_CHECKING:
    from torch import Tensor

    from weft.denoiser import Denoiser
    from weft.models.cards import Card
    from weft.models.library import Library, Resolved
    from weft.models.networks.components import Components
    from weft.models.networks.image_model import ImageModel
    from weft.models.networks.multi_view import MultiViewModel
    from weft.models.requests import ModelWish

__all__ = ["add_parser"]

SIDE = 64  # px of the view that is denoised, at least
SEED = 0


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("check", help="load a model and run one step", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="of a model, as `weft models` lists them")
    parser.add_argument("--checkpoint", default="", metavar="NAME", help="these weights instead of the model's own")
    parser.add_argument("--loras", default="", metavar="NAMES", help="as in rusty:0.8, painted")
    parser.add_argument("--control", default="", metavar="KINDS", help="as in depth, canny:0.5; none; all by default")
    parser.add_argument("--style", action="store_true", help="with the adapter that takes a picture for words")
    add_models(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from weft.models.cards import notice
    from weft.models.library import Library
    from weft.models.prior_cards import card_of

    if arguments.name == EMBEDDED:
        say(f"{EMBEDDED} needs no files: it is always there")
        return 0
    card = card_of(arguments.name)
    library = Library.from_environment(folders_of(arguments))
    wish = _wish(arguments, library, card)
    if arguments.style and not wish.request.style:
        raise WireError("invalid_input", f"{card.name} has no style adapter", "leave --style out")
    if absent := absent_packages():
        raise WireError("missing_dependency", f"{card.name} needs {', '.join(absent)}", install_command())
    started = time.perf_counter()
    resolved = library.resolve(wish.request)
    say(f"{card.name}: {card.help}")
    say(f"files: {size_of(resolved.bytes)} in {', '.join(resolved.paths)}; whole and of one family{_since(started)}")
    say(f"licences: {', '.join(dict.fromkeys(part.licence for part in card.parts if part.role in resolved.paths))}")
    if text := notice(card, resolved.paths):
        say(f"note: {text}")
    _step(_loaded(resolved, wish), wish)
    return 0


def _wish(arguments: argparse.Namespace, library: Library, card: Card) -> ModelWish:
    from weft.models.cards import ModelRequest
    from weft.models.prior_cards import PRIORS
    from weft.models.requests import ModelWish, parse, parse_controls, parse_loras

    if card.name not in PRIORS:
        controls = arguments.control or _present(library, card)
        return parse(card.name, arguments.checkpoint, arguments.loras, controls, style=arguments.style)
    parse_controls(arguments.control or "none", card)  # it has none: anything is refused
    return ModelWish(ModelRequest(card.name, arguments.checkpoint, parse_loras(arguments.loras)))


def _present(library: Any, card: Any) -> str:
    """All controls whose nets are here."""
    kinds = [kind for kind in card.controls if library.find_part(card.part(f"control:{kind}"))]
    return ", ".join(kinds) or "none"


def _loaded(resolved: Resolved, wish: ModelWish) -> ImageModel | MultiViewModel:
    """The model; one line for each of its networks."""
    import torch

    with importing():
        from weft.models.networks.loading import load
        from weft.models.networks.open_model import open_model
        from weft.models.networks.open_multi_view import open_multi_view
    from weft.models.prior_cards import PRIORS
    from weft_server.loaded_models import device, dtype_on

    torch.set_num_threads(1)
    where = device()
    started = time.perf_counter()
    components = load(resolved, wish.request, device=where, dtype=dtype_on(where))
    model = (open_multi_view if resolved.card.name in PRIORS else open_model)(components)
    for name, module in _modules(components):
        held = sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
        dtype = str(next(module.parameters()).dtype).removeprefix("torch.")
        say(f"  {name:28} {type(module).__name__:29} {dtype:9} {size_of(held):>8}")
    say(f"loaded: {size_of(components.bytes)} on {where}{_since(started)}")
    return model


def _modules(components: Components) -> list[tuple[str, Any]]:
    named = [("network", components.network), ("vae", components.vae)]
    named += [(f"text encoder {i + 1}", encoder) for i, encoder in enumerate(components.text_encoders)]
    nets: dict[int, tuple[str, Any]] = {}
    for kind, net in components.controlnets.items():
        before = f"{nets[id(net)][0]}, {kind}" if id(net) in nets else f"control {kind}"
        nets[id(net)] = (before, net)
    named += nets.values()
    more = {"image encoder": components.image_encoder, "preview": components.tiny_vae, "adapter": components.adapter}
    return named + [(name, module) for name, module in more.items() if module is not None]


def _step(model: ImageModel | MultiViewModel, wish: ModelWish) -> None:
    """Denoise noise once at the noisiest level and decode it; numbers that are none are refused."""
    import torch

    from weft.errors import BadCheckpoint
    from weft.noise import gaussian, generator

    side = -(-SIDE // model.unit) * model.unit
    denoiser, views = _bound(model, wish, side)
    level = model.levels.schedule(4).levels[0]
    latent = side // model.codec.factor
    x = gaussian((views, model.codec.channels, latent, latent), generator(SEED, 0)) * level.sigma
    started = time.perf_counter()
    x0: Tensor = denoiser(x.to(model.device), level)
    spent = _since(started)
    started = time.perf_counter()
    image = model.codec.decode(x0)
    if not (torch.isfinite(x0).all() and torch.isfinite(image).all()):
        raise BadCheckpoint(f"{model.card.name} computes numbers that are none", "its weights are damaged: fetch again")
    say(f"step: latent {model.codec.channels} x {latent} x {latent}{spent}")
    say(f"decode: {side} x {side} px{_since(started)}")


def _bound(model: Any, wish: ModelWish, side: int) -> tuple[Denoiser, int]:
    """The denoiser of grey views, and how many it takes at once."""
    from weft.models.prior_cards import PriorCard
    from weft_server.priors_check import grey_views

    if not isinstance(model.card, PriorCard):
        return model.bind(_conditioning(model, wish, side)), 1
    wanted = grey_views(model.card, side)
    return model.bind(wanted), len(wanted.cameras)


def _conditioning(model: ImageModel, wish: ModelWish, side: int) -> Any:
    """Everything that the model needs, grey; relighting needs to know the object too."""
    import torch

    from weft.models.networks.image_model import Conditioning, Control

    grey = torch.zeros(1, 3, side, side)
    pictures: dict[str, Any] = {"image": grey, "mask": torch.ones(1, 1, side, side), "background": grey}
    pictures |= {"surroundings": grey.repeat(1, 2, 1, 1), "before": grey}
    needs = model.card.needs | ({"mask"} if model.card.part("offset") else set())
    controls = [Control(w.kind, (grey + 1) / 2, w.scale, w.start, w.end) for w in wish.controls]
    return Conditioning(
        ("a grey wall",), guidance=model.card.guidance, controls=tuple(controls),
        style=grey[0] if wish.request.style else None, **{name: pictures[name] for name in needs},
    )  # fmt: skip


def _since(started: float) -> str:
    return f", {time.perf_counter() - started:.2f} s"
