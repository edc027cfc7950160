"""What a job says of its model, and what cards say of theirs."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from weft.errors import InvalidInput, UnknownName
from weft.models.cards import CARDS, Card, Part, card_named, notice
from weft.models.families import COMPONENTS
from weft.models.fetching import fetch_command
from weft.models.requests import ControlWish, parse, parse_controls, parse_loras


def test_what_is_left_out_follows_the_depth() -> None:
    wish = parse("sd15")
    assert wish.controls == (ControlWish("depth"),)
    assert wish.request.controls == ("depth",)
    assert (wish.request.checkpoint, wish.request.loras, wish.request.style) == ("", (), False)
    assert parse("sd15", geometry=False).request.controls == ()
    assert parse("sd3.5-medium").request.controls == ()
    assert parse("sd15", control=" None ").controls == ()


def test_controls_come_with_scale_and_range() -> None:
    wish = parse("sdxl", control="depth:1.0@0-1, canny:.5@0.25-0.8,normal@0-0.5")
    assert wish.controls == (
        ControlWish("depth"),
        ControlWish("canny", 0.5, 0.25, 0.8),
        ControlWish("normal", 1.0, 0.0, 0.5),
    )
    assert wish.request.controls == ("depth", "canny", "normal")
    assert parse("sdxl", control="Depth, CANNY:.5") == parse("sdxl", control="depth,canny:0.5")


def test_loras_come_with_scales() -> None:
    assert parse_loras("rusty:0.8, owner/painted.v2 ,dark:-1") == (
        ("rusty", 0.8),
        ("owner/painted.v2", 1.0),
        ("dark", -1),
    )
    assert parse_loras(" , ") == ()


def test_equal_wishes_are_equal_requests() -> None:
    one = parse("sd15", " mine ", "a:1.0,b", "depth:1@0-1", style=True)
    other = parse("sd15", "mine", "a, b:1", "", style=True)
    assert one == other
    assert hash(one.request) == hash(other.request)


def test_a_picture_is_for_models_with_a_style_adapter() -> None:
    assert parse("sd15", style=True).request.style
    assert not parse("flux2-klein", style=True).request.style


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ("pose", "sd15 has no control 'pose' (it follows depth, normal, canny)"),
        (" , ", "' , ' names no control (write 'none' for none"),
        ("depth, depth:0.5", "the control 'depth' is asked for twice"),
        ("depth:x", "'depth:x' is no control (write KIND"),
        ("depth:1@0.8-0.2", "counts from 0.8 to 0.2"),
        ("depth@0-2", "counts from 0 to 2"),
        ("depth:1e9", "'depth:1e9' is no control"),
        ("depth:100", "out of range (-4 to 4)"),
        ("depth:nan", "'depth:nan' is no control"),
    ],
)
def test_controls_that_cannot_be_read_are_refused(control: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_controls(control, CARDS["sd15"])
    assert says in str(caught.value)


def test_controls_need_something_to_be_drawn_from() -> None:
    with pytest.raises(InvalidInput, match="there is no geometry"):
        parse("sd15", control="depth", geometry=False)
    with pytest.raises(InvalidInput, match="it follows none; write 'none'"):
        parse("sd3.5-medium", control="depth")


@pytest.mark.parametrize("loras", ["rusty:x", ":0.5", "rusty:", "a, a:0.5", "rusty:1e99", "rusty:9", "rusty:inf"])
def test_loras_that_cannot_be_read_are_refused(loras: str) -> None:
    with pytest.raises(InvalidInput):
        parse_loras(loras)


def test_unknown_models_are_told_from_known_ones() -> None:
    with pytest.raises(UnknownName) as caught:
        parse("sd16")
    assert "no model is called 'sd16'" in caught.value.message
    assert {"exemplar", *CARDS} <= set(caught.value.hint.removeprefix("models: ").split(", "))


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_cards_are_complete(card: Card) -> None:
    assert card_named(card.name) is card
    assert card.family in COMPONENTS
    assert [part.role for part in card.parts].count("base") == 1
    assert len({part.role for part in card.parts}) == len(card.parts)
    assert (card.part("style") is None) == (card.part("image_encoder") is None)
    assert all(part.licence and part.size > 0 and part.source.count("/") == 1 for part in card.parts)
    assert card.view_size % 64 == 0
    assert card.memory > card.part("base").size / 2  # type: ignore[union-attr]  # in 16 bits, where files have 32


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_fetch_commands_name_the_source_and_the_files(card: Card) -> None:
    for part in card.parts:
        words = shlex.split(fetch_command(part))
        assert words[:3] == ["hf", "download", part.source]
        assert tuple(words[3:]) == part.files or words[3] == "--include"


def test_terms_are_told_of_what_is_loaded() -> None:
    parts = (
        Part("base", "a/base", "MIT"),
        Part("control:depth", "b/net", "CC BY-NC 4.0", commercial=False),
        Part("control:canny", "b/net", "CC BY-NC 4.0", commercial=False),
    )
    card = Card("x", "", "sd15", parts, 512, 512, 7.5)
    assert notice(card) == "b/net (CC BY-NC 4.0): not for commercial use"
    assert notice(card, ["base"]) is None
    assert notice(CARDS["sd15"]) is None
    assert "1 M US$" in (notice(CARDS["sd3.5-medium"]) or "")


def test_none_of_it_needs_torch() -> None:
    code = "import sys, weft.models.library, weft.models.requests; print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "diffusers", "transformers"} & set(modules)
