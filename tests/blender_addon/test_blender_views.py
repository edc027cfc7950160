"""Views of a selection: real renders with their cameras, the light around, and what is left of both: nothing."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import MoveParams, RelightParams, StylizeParams

pytestmark = pytest.mark.blender

SIZE = 64
RELIGHT = RelightParams(light="sunset", size=SIZE, views=2, steps=4, texture_size=128)


@pytest.fixture
def cube(bpy: Any) -> Any:
    """A cube in even light, rendered quickly."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 4, False
    scene.world = make_world(bpy, (1, 1, 1))
    bpy.ops.mesh.primitive_cube_add(location=(1, 2, 3), rotation=(0.3, 0, 0.5))
    return bpy.context.object


def make_world(bpy: Any, colour: tuple[float, float, float]) -> Any:
    from weft_blender.nodes import tree_of

    world = bpy.data.worlds.new("World")
    background = next(node for node in tree_of(world).nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (*colour, 1)
    return world


def shine(bpy: Any, obj: Any, colour: tuple[float, float, float]) -> None:
    """Let `obj` emit the colour."""
    from weft_blender.nodes import tree_of

    material = bpy.data.materials.new("Shine")
    tree = tree_of(material)
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (*colour, 1)
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    obj.data.materials.clear()
    obj.data.materials.append(material)


def add_camera(bpy: Any, location: tuple[float, float, float], target: Any) -> Any:
    from mathutils import Vector

    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = location
    camera.rotation_euler = (target.location - Vector(location)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(camera)
    return camera


def values(item: Any, depth: int = 0) -> dict[str, Any]:
    """Every property of a datablock that is a number, a text, or a name, and of what it owns."""
    found: dict[str, Any] = {}
    for prop in item.bl_rna.properties:
        if prop.identifier in ("rna_type", "session_uid", "is_evaluated", "original"):
            continue
        value: Any = getattr(item, prop.identifier, None)
        if prop.type in ("BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"):
            found[prop.identifier] = tuple(value) if getattr(prop, "is_array", False) else value
        elif prop.type == "POINTER" and value is not None:
            if hasattr(value, "users"):
                found[prop.identifier] = value.name
            elif depth < 3:
                found |= {f"{prop.identifier}.{key}": x for key, x in values(value, depth + 1).items()}
    return found


def everything(bpy: Any) -> dict[str, Any]:
    """The scene's settings, and what there is of every kind with its users."""
    scene = bpy.context.scene
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of properties that Blender 6 will drop
        found: dict[str, Any] = {"scene": values(scene), "view": values(bpy.context.view_layer)}
    for kind in ("scenes", "objects", "cameras", "meshes", "images", "materials", "worlds", "collections", "lights"):
        found[kind] = [(item.name, item.users) for item in getattr(bpy.data, kind)]
    found["objects in"] = sorted(obj.name for obj in scene.objects)
    return found


def project(pose: np.ndarray, lens: np.ndarray, point: np.ndarray) -> np.ndarray:
    x, y, z = pose[:3, :3].T @ (point - pose[:3, 3])
    return np.array([lens[2] + lens[0] * x / -z, lens[3] - lens[1] * y / -z])


def rendered(obj: Any, **options: Any) -> dict[str, np.ndarray]:
    import bpy

    from weft_blender.export import read_surface
    from weft_blender.view_renders import render_views

    points = read_surface(obj).vertices
    return render_views([obj], points, **{"scene": bpy.context.scene, "size": SIZE, "count": 2, **options})


@pytest.mark.parametrize("cameras", ["AROUND", "SCENE"])
def test_pictures_fit_their_cameras(bpy: Any, cube: Any, cameras: str) -> None:
    """The outline of the corners is where the cameras put it, in pictures of any shape."""
    shine(bpy, cube, (1, 0, 0))
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 400, 200, 30
    add_camera(bpy, (4, -5, 5), cube)
    add_camera(bpy, (-4, -4, 2), cube).data.shift_x = 0.1
    views = rendered(cube, cameras=cameras, count=3)
    shape = (3, SIZE, SIZE, 3) if cameras == "AROUND" else (2, SIZE // 2, SIZE, 3)
    assert views["view.images"].shape == shape
    corners = [np.array(cube.matrix_world @ vertex.co) for vertex in cube.data.vertices]
    for image, pose, lens in zip(*(views[name] for name in views), strict=True):
        assert tuple(lens[4:]) == (shape[2], shape[1])
        rows, columns = np.nonzero(image[..., 0] > 190)  # red, beside grey
        assert len(rows) > 50
        pixels = np.array([project(pose, lens, corner) for corner in corners])
        seen = [(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)]
        np.testing.assert_allclose(seen, [pixels.min(axis=0), pixels.max(axis=0)], atol=1.2)
        np.testing.assert_array_equal(image[0, 0], [128] * 3, "grey around it")


def test_ring_sees_all_of_it_large_and_begins_in_front(addon: Any) -> None:
    from weft_blender.view_cameras import ring

    points = np.random.default_rng(0).normal(size=(500, 3)) * (3, 1, 0.2) + (10, 0, -4)
    poses, angle, _ = ring(points, 8)
    focal = 1 / math.tan(angle / 2)
    reach = []
    for pose in poses:
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) > 0
        x, y, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
        assert (z < 0).all()
        reach.append(max(np.abs(focal * x / z).max(), np.abs(focal * y / z).max()))
    assert 0.85 < max(reach) < 1
    np.testing.assert_allclose(poses[0][:3, 2], [0, -1, 0], atol=1e-12)
    assert np.ptp(poses[:, 2, 3]) > 0, "from above and below"


def test_settings_of_the_scene_are_not_those_of_the_views(bpy: Any, cube: Any, tmp_path: Path) -> None:
    """Everything that would spoil a picture is set; afterwards all is as it was, the last render too."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 20, 10, 50
    scene.render.filepath, scene.render.film_transparent = "//mine", False
    scene.render.use_border, scene.render.border_max_x, scene.render.use_stamp = True, 0.5, True
    scene.render.pixel_aspect_x = 2
    scene.view_settings.view_transform, scene.view_settings.exposure = "Filmic", 3
    scene.cycles.samples, scene.cycles.seed = 100, 7
    scene.view_layers.new("Second")
    scene.camera = add_camera(bpy, (4, -5, 5), cube)
    shine(bpy, cube, (0.2, 0.5, 1))
    bpy.ops.mesh.primitive_cube_add(size=50, location=(1, 2, 3))  # around all, and not selected
    bpy.ops.object.light_add(type="SUN")
    scene.render.film_transparent = True
    bpy.ops.render.render()
    last = saved_render(bpy, tmp_path / "before.png")
    before = everything(bpy)
    image = rendered(cube)["view.images"][0]
    assert everything(bpy) == before
    assert saved_render(bpy, tmp_path / "after.png") == last
    middle = image[SIZE // 2, SIZE // 2]
    np.testing.assert_allclose(middle, [124, 188, 255], atol=1, err_msg="sRGB of the light, nothing in front")


def saved_render(bpy: Any, path: Path) -> bytes:
    bpy.data.images["Render Result"].save_render(str(path))
    image = bpy.data.images.load(str(path))
    pixels = np.array(image.pixels, np.float32).tobytes()
    bpy.data.images.remove(image)
    return pixels


def test_all_of_the_scene_is_seen_where_it_matters(bpy: Any, cube: Any) -> None:
    shine(bpy, cube, (0, 0, 0))
    bpy.context.scene.world = make_world(bpy, (0, 1, 0))
    image = rendered(cube, alone=False)["view.images"][0]
    np.testing.assert_array_equal(image[0, 0], [0, 255, 0], "the World")


def test_a_render_that_fails_leaves_nothing(bpy: Any, cube: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when Esc ends it: Blender says that all is well and writes no file."""
    from weft_blender import rendering
    from weft_blender.light_map import world_light

    before = everything(bpy)
    nothing = SimpleNamespace(render=SimpleNamespace(render=lambda **_: {"FINISHED"}))
    monkeypatch.setattr(rendering.bpy, "ops", nothing)
    with pytest.raises(WireError, match="was stopped"):
        rendered(cube)
    with pytest.raises(WireError, match="was stopped"):
        world_light(bpy.context.scene.world)
    monkeypatch.undo()
    assert everything(bpy) == before


def test_a_build_without_a_denoiser_renders_all_the_same(bpy: Any, cube: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's Blender has the setting and nothing behind it."""
    from weft_blender import rendering

    real, wishes = bpy.ops.render.render, []

    def render(scene: str, **options: Any) -> Any:
        wishes.append(bpy.data.scenes[scene].cycles.use_denoising)
        if wishes[-1]:
            raise RuntimeError("Error: Build without OpenImageDenoiser\n")
        return real(scene=scene, **options)

    bpy.context.scene.cycles.use_denoising = True
    monkeypatch.setattr(rendering.bpy, "ops", SimpleNamespace(render=SimpleNamespace(render=render)))
    assert rendered(cube)["view.images"].std() > 0
    assert wishes == [True, False, False]


def gradient_world(bpy: Any) -> Any:
    """Red towards +X, green towards +Y, blue towards +Z, plus 1; the camera itself sees white."""
    from weft_blender.nodes import tree_of

    world = bpy.data.worlds.new("Gradient")
    nodes, links = tree_of(world).nodes, tree_of(world).links
    background = next(node for node in nodes if node.type == "BACKGROUND")
    place, add, mix, path = (
        nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "VectorMath", "MixRGB", "LightPath")
    )
    add.inputs[1].default_value = (1, 1, 1)
    links.new(place.outputs["Generated"], add.inputs[0])
    links.new(add.outputs[0], mix.inputs["Color1"])
    mix.inputs["Color2"].default_value = (50, 50, 50, 1)
    links.new(path.outputs["Is Camera Ray"], mix.inputs["Fac"])
    links.new(mix.outputs["Color"], background.inputs["Color"])
    return world


def directions(height: int) -> np.ndarray:
    """f8 [h, 2h, 3], as the wire says: +Z up, the middle column towards +X, left of it +Y."""
    elevation = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    azimuth = np.pi * (1 - (np.arange(2 * height) + 0.5) / height)[None]
    x, y = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth)
    return np.stack([x, y, np.broadcast_to(np.sin(elevation), x.shape)], axis=-1)


def test_world_sheds_its_light_from_where_it_is(bpy: Any, addon: Any) -> None:
    from weft_blender.light_map import world_light

    world = gradient_world(bpy)
    before = everything(bpy)
    light = world_light(world, 32)
    assert everything(bpy) == before
    np.testing.assert_allclose(light, 1 + directions(32), atol=0.03)


def test_image_is_the_light_of_the_world_that_shows_it(bpy: Any, addon: Any) -> None:
    from weft_blender.light_map import light_of, world_light
    from weft_blender.world import make_world

    image = bpy.data.images.new("Sky", 64, 32, float_buffer=True)
    radiance = np.ones((32, 64, 4), np.float32)
    radiance[..., :3] = 3 + 2 * directions(32)
    image.pixels.foreach_set(radiance[::-1].ravel())
    light = light_of(image)
    np.testing.assert_allclose(light, radiance[..., :3], rtol=1e-6)
    shown = world_light(make_world(image), 64)
    assert shown.shape == (64, 128, 3)
    np.testing.assert_allclose(shown.reshape(32, 2, 64, 2, 3).mean(axis=(1, 3))[1:-1], light[1:-1], atol=0.05)


def test_suggested_lights_are_those_of_the_server(torch_python: str) -> None:
    import subprocess

    from weft_blender.light_map import BUILT_IN

    command = [torch_python, "-c", "from weft.geometry.lights import LIGHTS; print(*LIGHTS)"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert tuple(told.stdout.split()) == BUILT_IN


@pytest.mark.parametrize(
    ("size", "floats", "fill", "part"),
    [
        ((8, 4), False, 0.5, "holds a picture to look at, not light"),
        ((8, 8), True, 0.5, "is 8 × 8 px, which is no full sphere"),
        ((8, 4), True, 0.0, "is black"),
        ((8, 4), True, math.nan, "values that are no numbers"),
    ],
)
def test_what_is_no_light_is_refused(
    bpy: Any, cube: Any, size: tuple[int, int], floats: bool, fill: float, part: str
) -> None:
    from weft_blender.light_map import light_of

    image = bpy.data.images.new("Light", *size, float_buffer=floats)
    image.pixels.foreach_set(np.full(size[0] * size[1] * 4, fill, np.float32))
    with pytest.raises(WireError, match=part) as caught:
        light_of(image)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("task", "params", "sources", "part"),
    [
        ("relight", {"light": "sunset"}, {"objects": []}, "nothing is selected"),
        ("relight", {"light": "sunset"}, {"cameras": "SCENE"}, "has 1 perspective camera, expected 2 to 64"),
        ("relight", {}, {}, "there is no light"),
        ("stylize", {}, {}, "neither a prompt nor a reference image"),
        ("stylize", {"prompt": "ink", "views": 1}, {}, "views must be between 2"),
        ("move", {"object": "Cube"}, {}, "would stay where it is"),
        ("move", {"object": "Chair"}, {"translate": (1, 0, 0)}, "'Chair' is to be moved and is not selected"),
        ("move", {}, {"translate": (1, 0, 0)}, "no object is active"),
    ],
)
def test_bad_wishes_are_refused_before_anything_is_rendered(
    bpy: Any, cube: Any, link: Any, monkeypatch: pytest.MonkeyPatch,
    task: str, params: dict[str, Any], sources: dict[str, Any], part: str,
) -> None:  # fmt: skip
    from weft_blender import job, view_renders

    monkeypatch.setattr(view_renders, "rendered_bytes", lambda _: pytest.fail("rendered"))
    add_camera(bpy, (0, -9, 3), cube)
    kind = {"relight": RelightParams, "stylize": StylizeParams, "move": MoveParams}[task]
    with pytest.raises(WireError, match=part) as caught:
        job.start(task, kind(**params), **{"objects": [cube], **sources})
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert job.DESK.job is None


def test_what_cannot_be_in_the_pictures_is_refused(bpy: Any, cube: Any, link: Any) -> None:
    from weft_blender import job

    camera = add_camera(bpy, (0, -9, 3), cube)
    with pytest.raises(WireError, match="'Camera' is a camera, not a mesh"):
        job.start("relight", RELIGHT, objects=[cube, camera])
    cube.hide_render = True
    with pytest.raises(WireError, match="'Cube' is hidden in renders"):
        job.start("relight", RELIGHT, objects=[cube])


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"source": "WORLD"}, "the scene 'Scene' has no World"),
        ({"source": "IMAGE"}, "no image is chosen as the new light"),
        ({"source": "BUILT_IN"}, "there is no light to put the views under"),
        ({"source": "BUILT_IN", "light": "noon", "old": "WORLD"}, "the scene 'Scene' has no World"),
    ],
)
def test_panel_without_a_light_is_told_so(bpy: Any, cube: Any, settings: dict[str, Any], part: str) -> None:
    from weft_blender.tasks import TASKS

    bpy.context.scene.world = None
    task, panel = TASKS["relight"], bpy.context.scene.weft_relight
    for name, value in settings.items():
        setattr(panel, name, value)
    with pytest.raises(WireError, match=part):
        task.collect(task.parameters(panel), **task.chosen(bpy.context))


def test_panel_sends_the_light_that_it_shows(bpy: Any, cube: Any) -> None:
    from weft_blender.tasks import TASKS

    task, panel = TASKS["relight"], bpy.context.scene.weft_relight
    panel.source, panel.light, panel.old = "BUILT_IN", "noon", "WORLD"
    assert task.parameters(panel).light == "noon"
    assert task.chosen(bpy.context)["light"] is None
    assert task.chosen(bpy.context)["old_light"] == bpy.context.scene.world
    panel.source = "WORLD"
    assert task.parameters(panel).light == ""
    assert task.chosen(bpy.context)["light"] == bpy.context.scene.world
    assert task.chosen(bpy.context)["old_light"] is None, "the same light twice"
    panel.world = make_world(bpy, (1, 0, 0))
    assert task.chosen(bpy.context)["light"] == panel.world


def test_move_turns_about_the_origin_and_leaves_the_scene(bpy: Any, cube: Any, link: Any, practice: Any) -> None:
    from weft_blender.job import run

    bpy.ops.mesh.primitive_plane_add(size=9)
    ground = bpy.context.object
    ground.data.uv_layers.remove(ground.data.uv_layers[0])
    place = cube.matrix_world.copy()
    params = MoveParams(object="Cube", size=SIZE, views=2, steps=4)
    job = run(
        "move", params, key_dir=practice.key_dir, previews=True, objects=[ground, cube],
        translate=(0, 0, 1), rotate=(0, 0, math.pi / 2),
    )  # fmt: skip
    moved = np.array(job.info["transform"]) @ (2, 2, 3, 1)  # one metre along +X from the origin
    np.testing.assert_allclose(moved, (1, 3, 4, 1), atol=1e-5)
    assert job.info["labels"][:2] == ["Plane", "Cube"]
    assert "mesh.0.uv" not in job.info["arrays"], "nothing is textured: no layer is made"
    assert not ground.data.uv_layers
    assert (cube.matrix_world, len(cube.material_slots)) == (place, 0)
    strip = bpy.context.scene.weft_move.result
    assert (strip.name, tuple(strip.size)) == ("Weft Views", (2 * SIZE, SIZE))


def test_strip_shows_all_views_in_rows(addon: Any) -> None:
    from weft_blender.task_views import side_by_side

    images = np.arange(5, dtype=np.uint8)[:, None, None, None] + np.zeros((5, 4, 6, 3), np.uint8)
    strip = side_by_side(images)
    assert strip.shape == (12, 12, 3)
    assert strip[::4, ::6, 0].tolist() == [[0, 1], [2, 3], [4, 255]]


def test_relight_end_to_end(bpy: Any, cube: Any, server: Any) -> None:
    """A real job: under a green World a white cube becomes green, in a new material that shows it as it is."""
    from weft_blender.job import run
    from weft_blender.tags import PARAMETERS
    from weft_blender.textures import node_of

    green = make_world(bpy, (0.05, 0.8, 0.05))
    params = RelightParams(size=SIZE, views=3, steps=4, texture_size=128)
    scene = bpy.context.scene
    job = run(
        "relight", params, key_dir=server.key_dir, previews=True, objects=[cube], light=green, old_light=scene.world
    )
    assert job.state == "applied", job.error
    material = cube.material_slots[0].material
    assert material.name == "Weft Cube"
    image = node_of(material).image
    assert PARAMETERS in image
    mean = np.array(image.pixels).reshape(-1, 4)[:, :3].mean(axis=0)
    assert mean[1] > 2 * mean[[0, 2]].max()
    assert tuple(scene.weft_relight.result.size) == (2 * SIZE, 2 * SIZE)
    assert job.arrays["view.images"].shape == (3, SIZE, SIZE, 3)
