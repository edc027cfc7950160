"""Models in Blender: the settings are the wire's, the panel shows those that matter, memory is freed on request."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import TextureParams
from weft_wire.jobs.networks import NetworkParams
from weft_wire.parameters import Param, params_of

pytestmark = pytest.mark.blender

NAMES = ("texture", "retexture", "panorama", "illusion", "splat_texture")
ALWAYS = {"checkpoint", "loras", "sync_until", "compiled"}  # what every network heeds
GUIDED = {*ALWAYS, "negative_prompt", "guidance"}
UNET = {*GUIDED, "synchronize", "view_attention"}


class Layout:
    """Takes note of what a panel draws: (kind, what), in `drawn`, which all parts of a layout share."""

    def __init__(self, drawn: list[tuple[str, str]] | None = None) -> None:
        self.drawn: list[tuple[str, str]] = [] if drawn is None else drawn

    def part(self, *_: Any, **__: Any) -> Layout:
        return Layout(self.drawn)

    row = column = split = box = part

    def separator(self) -> None:
        """Nothing to note."""

    def label(self, *, text: str = "", icon: str = "NONE") -> None:
        self.drawn.append(("label", text))

    def prop(self, _settings: Any, name: str, **_looks: Any) -> None:
        self.drawn.append(("prop", name))

    def menu(self, _name: str, *, text: str) -> None:
        self.drawn.append(("menu", text))

    def operator(self, name: str, *, text: str | None = None, icon: str = "NONE") -> Any:
        self.drawn.append((name, text or ""))
        return SimpleNamespace()

    def words(self, kind: str) -> list[str]:
        return [what for key, what in self.drawn if key == kind]


@pytest.fixture
def desk(bpy: Any, link: Any, pump_until: Any) -> Iterator[Any]:
    """The scene's settings, once the practice server has told of its models."""
    pump_until(lambda: link.connected and "cards" in link.capabilities)
    return bpy.context.scene


def chosen(scene: Any, task: str, model: str, **values: Any) -> tuple[Any, Any]:
    """(the task, its settings) with these values."""
    from weft_blender.tasks import TASKS

    scene.weft_task = task
    settings = TASKS[task].settings_of(scene)
    for name, value in {"model": model, **values}.items():
        setattr(settings, name, value)
    return TASKS[task], settings


def drawn_panel(context: Any) -> Layout:
    from weft_blender.panel import WEFT_PT_model

    layout = Layout()
    WEFT_PT_model.draw_rows(SimpleNamespace(), layout, context)  # type: ignore[arg-type]
    return layout


def notes(task: Any, settings: Any) -> str:
    from weft_blender.model_rows import draw_notes

    layout = Layout()
    draw_notes(layout, task, settings)
    return " ".join(layout.words("label"))


@pytest.mark.parametrize("task", NAMES)
def test_properties_are_what_the_wire_declares(bpy: Any, task: str) -> None:
    from weft_blender.tasks import TASKS

    chosen = TASKS[task]
    settings = chosen.settings_of(bpy.context.scene)
    properties = settings.bl_rna.properties
    assert {field.name for field in dataclasses.fields(NetworkParams)} <= set(properties.keys())
    for field, _, rule in params_of(chosen.declaration.params):
        own = properties[field.name]
        assert own.description == (f"{rule.help}; 0: {rule.zero}" if rule.zero else rule.help)
        assert getattr(settings, field.name) == pytest.approx(field.default)
        if rule.choices:
            assert tuple(own.enum_items.keys()) == rule.choices
        elif own.type == "STRING":
            assert own.length_max - (rule.maximum or 0) in (0, 1), "with or without the closing zero"
        elif own.type in ("INT", "FLOAT"):
            limits = [own.hard_min, own.hard_max]
            declared = [0 if rule.zero else rule.minimum, rule.maximum]
            assert [a for a, b in zip(limits, declared, strict=True) if b is not None] == pytest.approx(
                [b for b in declared if b is not None]
            )


@pytest.mark.parametrize("task", NAMES)
def test_scripts_can_set_every_parameter(bpy: Any, task: str) -> None:
    from weft_blender.tasks import TASKS

    chosen = TASKS[task]
    settings = chosen.settings_of(bpy.context.scene)
    if task == "illusion":
        settings.third = True
    wanted = {
        field.name: other_value(kind, field.default, rule) for field, kind, rule in params_of(chosen.declaration.params)
    }
    for name, value in wanted.items():
        setattr(settings, name, value)
    params = chosen.parameters(settings)
    assert {name: getattr(params, name) for name in wanted} == pytest.approx(wanted)


def other_value(kind: Any, default: Any, rule: Param) -> Any:
    """A value that is allowed and not the default."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if rule.choices:
        return next(choice for choice in rule.choices if choice != default)
    if kind is bool:
        return not default
    if kind is str:
        return "other"
    return kind(rule.maximum)


@pytest.mark.parametrize(
    ("task", "model", "values", "shown"),
    [
        ("texture", "exemplar", {}, set()),
        ("texture", "sd15", {}, {*UNET, "control"}),
        ("texture", "sd15", {"exemplar": True}, {*UNET, "control", "style_scale"}),
        ("texture", "sd3.5-medium", {"exemplar": True}, {*GUIDED, "synchronize"}),
        ("texture", "flux2-klein", {}, {*ALWAYS, "synchronize"}),
        ("texture", "flux2-klein", {"checkpoint": "mine"}, {*GUIDED, "synchronize"}),
        ("retexture", "instruct-pix2pix", {}, {*UNET, "image_guidance"}),
        ("retexture", "ic-light-background", {"exemplar": True}, UNET),
        ("panorama", "sd15", {}, {*GUIDED, "synchronize"}),
        ("panorama", "sd15", {"around": True}, {*GUIDED, "synchronize", "control"}),
        ("illusion", "sd15", {"exemplar_1": True}, GUIDED),
        ("splat_texture", "sd15", {}, {*GUIDED, "view_attention", "control"}),
    ],
)
def test_the_panel_shows_what_matters_to_the_model(
    bpy: Any, desk: Any, task: str, model: str, values: dict[str, Any], shown: set[str]
) -> None:
    photo = bpy.data.images.new("Photo", 16, 16)
    given = {name: photo if name.startswith("exemplar") else value for name, value in values.items()}
    _, settings = chosen(desk, task, model, **given)
    layout = drawn_panel(bpy.context)
    left = {"guidance", "image_guidance", "control"} & shown  # left to the model: a button each, no number
    assert set(layout.words("prop")) == shown - left
    assert len(layout.words("weft.set_value")) == len(left)
    for name in left:
        setattr(settings, name, "none" if name == "control" else 3)
    assert set(drawn_panel(bpy.context).words("prop")) == shown
    assert layout.words("menu") == [model]


def test_the_rows_that_no_network_heeds_are_for_the_embedded_one(desk: Any) -> None:
    from weft_blender.models import matters

    def hidden(task: str, model: str) -> set[str]:
        own, settings = chosen(desk, task, model)
        return {name for name, _ in (*own.rows, *own.more) if not matters(name, own, settings)}

    assert hidden("texture", "exemplar") == hidden("illusion", "exemplar") == set()
    assert hidden("texture", "sd15") == {"pattern_scale", "decals"}
    assert hidden("retexture", "sd15") == {"pattern_scale", "decals"}
    assert hidden("retexture", "instruct-pix2pix") == {"pattern_scale", "decals", "strength"}
    assert hidden("illusion", "sd15") == {"case"}


def test_what_is_left_to_the_model_says_what_that_is(bpy: Any, desk: Any) -> None:
    from weft_blender.model_rows import draw_setting

    def row(task: str, model: str, name: str, **values: Any) -> list[tuple[str, str]]:
        own, settings = chosen(desk, task, model, **values)
        layout = Layout()
        draw_setting(layout, own, settings, name, "Name")
        return layout.drawn

    assert row("texture", "exemplar", "size") == [("label", "Name"), ("weft.set_value", "256 px (auto)")]
    assert row("texture", "sd15", "size")[1] == ("weft.set_value", "768 px (auto)")
    assert row("panorama", "sdxl", "window")[1] == ("weft.set_value", "1024 px (auto)")
    assert row("texture", "sd3.5-medium", "guidance")[1] == ("weft.set_value", "4.5 (auto)")
    assert row("texture", "sd15", "control")[1] == ("weft.set_value", "depth (auto)")
    assert row("texture", "sd15", "size", size=128)[1:] == [("prop", "size"), ("weft.set_value", "")]
    settings = desk.weft
    bpy.ops.weft.set_value(name="size", value="768")
    bpy.ops.weft.set_value(name="guidance", value="4.5")
    bpy.ops.weft.set_value(name="control", value="depth")
    assert (settings.size, settings.guidance, settings.control) == (768, 4.5, "depth")
    for name in ("size", "guidance", "control"):
        bpy.ops.weft.set_value(name=name, value="")
    assert (settings.size, settings.guidance, settings.control) == (0, 0.0, "")


def test_the_list_has_those_that_suit_the_task_and_are_here_first(bpy: Any, desk: Any) -> None:
    from weft_blender.model_operators import about
    from weft_blender.model_rows import WEFT_MT_models
    from weft_blender.models import cards

    def listed(task: str) -> list[tuple[str, str]]:
        chosen(desk, task, "exemplar")
        layout = Layout()
        WEFT_MT_models.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
        return [(kind, text.partition(":")[0]) for kind, text in layout.drawn]

    choose = "weft.choose_model"
    here = [(choose, name) for name in ("exemplar", "sd15", "sdxl", "sd3.5-medium")]
    assert listed("texture") == [*here, ("label", "Not on the server yet"), (choose, "flux2-klein")]
    assert (choose, "instruct-pix2pix") in listed("retexture")
    known = cards()
    assert "hf download black-forest-labs/FLUX.2-klein-4B" in about(known["flux2-klein"])
    assert "hf download" not in about(known["sd15"])
    assert "commercial use below" in about(known["sd3.5-medium"])
    bpy.ops.weft.choose_model(name="ic-light")
    assert desk.weft_retexture.model == "ic-light"


def test_a_licence_that_does_not_allow_every_use_is_told(bpy: Any, desk: Any) -> None:
    chosen(desk, "texture", "sd3.5-medium")
    assert "commercial use below" in " ".join(drawn_panel(bpy.context).words("label"))
    chosen(desk, "texture", "sd15")
    assert "commercial" not in " ".join(drawn_panel(bpy.context).words("label"))


@pytest.mark.parametrize(
    ("task", "model", "values", "says"),
    [
        ("texture", "exemplar", {}, ""),
        ("texture", "sd15", {}, ""),
        ("texture", "sd15", {"exemplar": True}, ""),
        ("texture", "sdxl", {}, "The server lacks depth for sdxl (2.5 GB)"),
        ("texture", "sdxl", {"control": "none"}, ""),
        ("texture", "sdxl", {"control": "canny:0.5@0-0.6"}, "The server lacks canny for sdxl (2.5 GB)"),
        ("panorama", "sdxl", {}, ""),
        ("texture", "flux2-klein", {}, "The server lacks flux2-klein (16.0 GB)"),
        ("texture", "flux2-klein", {"checkpoint": "mine"}, ""),
        ("texture", "ic-light", {}, "Not with ic-light, which is for Retexture and Relight"),
        ("texture", "sd3.5-medium", {}, ""),
        ("texture", "sd3.5-medium", {"exemplar": True}, "Words alone count: sd3.5-medium sees no reference image"),
        ("illusion", "sd15", {"exemplar_2": True}, "Words alone count: sd15 sees no reference image"),
        ("retexture", "ic-light-background", {}, "The reference image will be the light: choose one"),
        ("retexture", "ic-light-background", {"exemplar": True}, ""),
        ("texture", "sd16", {}, "The server knows no model 'sd16'"),
    ],
)
def test_the_panel_says_beforehand_what_would_go_wrong(
    bpy: Any, desk: Any, task: str, model: str, values: dict[str, Any], says: str
) -> None:
    photo = bpy.data.images.new("Photo", 16, 16)
    given = {name: photo if name.startswith("exemplar") else value for name, value in values.items()}
    assert notes(*chosen(desk, task, model, **given)) == says


def test_the_missing_come_with_their_commands(desk: Any) -> None:
    from weft_blender.models import lacking

    assert [part["command"].split()[:3] for part in lacking(*chosen(desk, "texture", "flux2-klein"))] == [
        ["hf", "download", "black-forest-labs/FLUX.2-klein-4B"]
    ]
    task, settings = chosen(desk, "texture", "sdxl", control="depth, normal:0.5@0-1")
    assert {part["role"] for part in lacking(task, settings)} == {"control:depth", "control:normal"}
    assert len({part["command"] for part in lacking(task, settings)}) == 1, "one net stands for both"


def test_a_server_that_tells_names_alone_hides_nothing(bpy: Any, desk: Any, link: Any) -> None:
    from weft_blender.models import cards

    link.welcome = dataclasses.replace(link.welcome, capabilities={"models": ["exemplar", "sd15"]})
    assert list(cards()) == ["exemplar", "sd15"]
    task, settings = chosen(desk, "texture", "sd15")
    assert set(drawn_panel(bpy.context).words("prop")) == set(task.network) - {"style_scale"}
    assert notes(task, settings) == ""
    link.welcome = None
    assert list(cards()) == ["exemplar"]
    assert notes(task, settings) == ""


def test_text_fields_offer_what_can_be_written(desk: Any, link: Any) -> None:
    from weft_blender.models import suggestions

    _, settings = chosen(desk, "texture", "sd15")
    assert suggestions("control")(settings, None, "d") == ["depth", "depth, normal:0.5", "depth, canny:0.5"]
    assert "none" in suggestions("control")(settings, None, "")
    told = {**link.capabilities, "weights": ["rusty", "painted", "dream"]}
    link.welcome = dataclasses.replace(link.welcome, capabilities=told)
    assert suggestions("checkpoint")(settings, None, "DR") == ["dream"]
    assert suggestions("loras")(settings, None, "rusty:0.8, pa") == ["rusty:0.8, painted"]
    assert suggestions("prompt") is None


def test_sentences_are_wrapped_at_the_width(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft_blender import text

    monkeypatch.setattr(text, "width_of", lambda line: 6.0 * len(line))
    sentence = "the server lacks depth, normal for a-model-with-a-very-long-name-indeed (2.5 GB)"
    lines = text.wrapped(sentence, 120)
    assert lines == ["the server lacks", "depth, normal for", "a-model-with-a-very-long-name-indeed", "(2.5 GB)"]
    assert text.wrapped(sentence, 10_000) == [sentence]
    assert text.wrapped("", 120) == []


def test_models_are_unloaded_for_scripts(desk: Any, practice: Any) -> None:
    from weft_blender import job
    from weft_blender.unloading import UNLOADING

    assert job.unload_models(key_dir=practice.key_dir) == ["sd15", "sd15", "sdxl"]
    assert UNLOADING.message == "11.4 GB freed: sd15 (2), sdxl"
    assert job.unload_models("sdxl", key_dir=practice.key_dir) == ["sdxl"]
    assert job.unload_models("flux2-klein", key_dir=practice.key_dir) == []
    assert UNLOADING.message == "no model was loaded"


def test_the_button_unloads_and_the_panel_tells(bpy: Any, desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft_blender import handlers

    monkeypatch.setattr(handlers, "connect", lambda: None)  # the preferences name another server
    assert bpy.ops.weft.unload_models(name="sdxl") == {"FINISHED"}
    assert "7.0 GB freed: sdxl" in " ".join(drawn_panel(bpy.context).words("label"))


def test_unloading_leaves_the_job_on_the_desk_alone(bpy: Any, desk: Any, pump_until: Any) -> None:
    from weft_blender import job, unloading

    bpy.ops.mesh.primitive_cube_add()
    mine = job.start("texture", TextureParams(prompt="stream", steps=10), objects=[bpy.context.object])
    pump_until(lambda: "first_preview" in mine.seconds)
    unloading.start()
    with pytest.raises(WireError, match="being unloaded already"):
        unloading.start()
    pump_until(lambda: mine.ended)
    assert mine.state == "applied"
    pump_until(lambda: not unloading.UNLOADING.pending)
    assert unloading.UNLOADING.freed == ["sd15", "sd15", "sdxl"]


def test_without_a_server_nothing_is_unloaded(addon: Any, tmp_path: Any) -> None:
    from weft_blender import job
    from weft_blender.link import LINK

    with pytest.raises(WireError) as caught:
        job.unload_models(key_dir=str(tmp_path / "keys"), patience=0.3)
    assert caught.value.code == "server_absent"
    LINK.close()


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"model": "flux2-klein"}, "model_missing"),
        ({"model": "ic-light"}, "model_mismatch"),
        ({"model": "sd15"}, "bad_checkpoint"),
        ({"model": "sd16"}, "unknown_name"),
    ],
)
def test_what_the_server_cannot_paint_with_is_one_line(
    bpy: Any, desk: Any, practice: Any, params: dict[str, Any], code: str
) -> None:
    from weft_blender import job

    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(WireError) as caught:
        job.texture_objects([bpy.context.object], TextureParams(prompt="moss", **params), key_dir=practice.key_dir)
    assert caught.value.code == code
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert not bpy.data.images
