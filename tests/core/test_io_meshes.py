"""Meshes through files: the same surface, UVs, names and axes come back; damage is one line with a remedy."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from weft.errors import InvalidImage, InvalidInput, InvalidMesh, WeftError
from weft.geometry.mesh import Mesh
from weft.io import load_image, load_meshes, save_textured

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")


def blob(name: str, seed: int, cells: int = 6) -> Mesh:
    """A bumpy closed sphere whose UVs are cut along a meridian and are random to the last bit."""
    rng = np.random.default_rng(seed)
    sphere = trimesh.creation.uv_sphere(count=[cells, cells])
    vertices = (np.asarray(sphere.vertices) + rng.normal(0, 0.05, sphere.vertices.shape)).astype(np.float32)
    faces = np.asarray(sphere.faces).astype(np.int32)
    patch = rng.random((len(vertices), 2), dtype=np.float32)
    corner_uv = patch[faces] * np.float32(0.5) + np.where(rng.random(len(faces)) < 0.5, 0.5, 0)[:, None, None]
    return Mesh(name, vertices, faces, corner_uv.astype(np.float32))


def texture(seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def corners(mesh: Mesh) -> np.ndarray:
    return mesh.vertices[mesh.faces]


def uv_of(mesh: Mesh) -> np.ndarray:
    assert mesh.corner_uv is not None
    return mesh.corner_uv


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_saved_meshes_come_back(tmp_path: Path, suffix: str) -> None:
    meshes = [blob("left shoe", 1), blob("Würfel", 2, cells=5)]
    save_textured(tmp_path / f"scene{suffix}", meshes, [texture(1), texture(2)])
    loaded = load_meshes(tmp_path / f"scene{suffix}")
    assert [mesh.name for mesh in loaded] == ["left shoe", "Würfel"]
    for before, after in zip(meshes, loaded, strict=True):
        assert np.array_equal(corners(after), corners(before))
        assert np.abs(uv_of(after) - uv_of(before)).max() < 1e-7
        assert len(after.vertices) == len(before.vertices)  # what the format split is welded again
        assert (after.vertices.dtype, after.faces.dtype) == (np.float32, np.int32)


def test_glb_shows_the_same_in_another_reader(tmp_path: Path) -> None:
    """trimesh finds the texture, +Y up, and the UVs where they were."""
    mesh, image = blob("thing", 3), texture(3)
    save_textured(tmp_path / "a.glb", [mesh], [image])
    other: Any = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    picture = np.asarray(other.visual.material.baseColorTexture.convert("RGB"))
    assert np.array_equal(picture, image)
    x, y, z = np.asarray(other.triangles).reshape(-1, 3).T
    assert np.allclose(np.stack([x, -z, y], -1), corners(mesh).reshape(-1, 3), atol=1e-6)
    assert np.allclose(np.asarray(other.visual.uv)[other.faces], uv_of(mesh), atol=1e-6)
    assert np.allclose(np.linalg.norm(other.vertex_normals, axis=1), 1, atol=1e-5)


def test_obj_brings_its_material_and_picture(tmp_path: Path) -> None:
    files = save_textured(tmp_path / "out/cow.obj", [blob("cow", 4)], [texture(4)])
    assert sorted(file.name for file in files) == ["cow.mtl", "cow.obj", "cow.png"]
    assert "map_Kd cow.png" in (tmp_path / "out/cow.mtl").read_text()
    other: Any = trimesh.load(tmp_path / "out/cow.obj", force="mesh")
    assert np.array_equal(np.asarray(other.visual.material.image.convert("RGB")), texture(4))


def test_png_alone(tmp_path: Path) -> None:
    save_textured(tmp_path / "one.png", [blob("a", 1)], [texture(1) / 255])
    assert np.array_equal(np.rint(load_image(tmp_path / "one.png") * 255), texture(1))
    files = save_textured(tmp_path / "two.png", [blob("a", 1), blob("b", 2)], [texture(1), texture(2)])
    assert [file.name for file in files] == ["two_0.png", "two_1.png"]


def test_files_are_y_up_and_weft_is_z_up(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 1 2 3\nv 2 2 3\nv 1 5 3\nf 1 2 3\n")
    assert load_meshes(tmp_path / "a.obj")[0].vertices.tolist() == [[1, -3, 2], [2, -3, 2], [1, -3, 5]]


# OBJ


def obj(tmp_path: Path, text: str) -> list[Mesh]:
    path = tmp_path / "thing.obj"
    path.write_text(text)
    return load_meshes(path)


SQUARE = "v 0 0 0\nv 1 0 0\nv 1 0 1\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 1 0\n"


@pytest.mark.parametrize(
    ("face", "has_uv"),
    [
        ("f 1/1 2/2 3/3 4/4", True),
        ("f 1/1/1 2/2/1 3/3/1 4/4/1", True),
        ("f -4/-4 -3/-3 -2/-2 -1/-1", True),
        ("f -4/-4/-1 -3/-3/-1 -2/-2/-1 -1/-1/-1", True),
        ("f 1 2 3 4", False),
        ("f 1//1 2//1 3//1 4//1 # a comment", False),
        ("f 1 2 \\\n3 4", False),
        ("f 1/1 2/2 3/3\nf 1 3 4", False),
    ],
)
def test_obj_face_forms(tmp_path: Path, face: str, has_uv: bool) -> None:
    (mesh,) = obj(tmp_path, SQUARE + face + "\n")
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.name == "thing"
    assert (mesh.corner_uv is not None) == has_uv
    if has_uv:
        assert uv_of(mesh).tolist() == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]


def test_obj_keeps_the_order_of_mixed_polygons(tmp_path: Path) -> None:
    (mesh,) = obj(tmp_path, SQUARE + "v 2 0 2\nf 1 2 3\nf 1 2 3 4 5\nf 3 4 5\n")
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3], [0, 3, 4], [2, 3, 4]]


def test_obj_objects_and_groups(tmp_path: Path) -> None:
    objects = obj(tmp_path, SQUARE + "o lid\ng inner\nf 1 2 3\no empty\no base part\nf 2 3 4\n")
    assert [(mesh.name, len(mesh.vertices)) for mesh in objects] == [("lid", 3), ("base part", 3)]
    groups = obj(tmp_path, SQUARE + "g front\nf 1 2 3\ng back\nf 2 3 4\n")
    assert [(mesh.name, len(mesh.faces)) for mesh in groups] == [("front", 2)]


def test_obj_vertex_colours_and_third_uv_are_ignored(tmp_path: Path) -> None:
    text = "v 0 0 0 .5 .5 .5\nv 1 0 0 1 1 1\nv 0 1 0 0 0 0\nvt 0 0 0\nvt 1 0 0\nvt 0 1 0\nf 1/1 2/2 3/3\n"
    (mesh,) = obj(tmp_path, text)
    assert mesh.vertices.shape == (3, 3)
    assert uv_of(mesh).shape == (1, 3, 2)


# PLY


def write_ply(path: Path, form: str, mesh: Mesh, uv: tuple[str, str] | None, polygons: list[list[int]]) -> None:
    order = ">" if "big" in form else "<"
    head = f"ply\nformat {form} 1.0\ncomment made for a test\nelement vertex {len(mesh.vertices)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    head += "".join(f"property double {axis}\n" for axis in uv or ())
    head += f"element face {len(polygons)}\nproperty uchar flags\nproperty list uchar int vertex_indices\nend_header\n"
    coordinates = np.zeros((len(mesh.vertices), 2))
    coordinates[mesh.faces] = uv_of(mesh)
    body = b""
    for place, coordinate in zip(mesh.vertices.tolist(), coordinates.tolist(), strict=True):
        values = place + (coordinate if uv else [])
        packed = struct.pack(order + "3f" + ("2d" if uv else ""), *values)
        body += packed if form != "ascii" else (" ".join(f"{v:.9g}" for v in values) + "\n").encode()
    for polygon in polygons:
        packed = struct.pack(f"{order}BB{len(polygon)}i", 7, len(polygon), *polygon)
        words = " ".join(str(v) for v in (7, len(polygon), *polygon)) + "\n"
        body += packed if form != "ascii" else words.encode()
    path.write_bytes(head.encode() + body)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("uv", [None, ("s", "t"), ("u", "v")])
def test_ply_forms(tmp_path: Path, form: str, uv: tuple[str, str] | None) -> None:
    mesh = blob("ply", 5)
    patch = np.random.default_rng(0).random((len(mesh.vertices), 2), dtype=np.float32)
    mesh = Mesh("ply", mesh.vertices, mesh.faces, patch[mesh.faces])
    write_ply(tmp_path / "a.ply", form, mesh, uv, mesh.faces.tolist())
    (loaded,) = load_meshes(tmp_path / "a.ply")
    x, y, z = mesh.vertices.T
    assert np.allclose(loaded.vertices, np.stack([x, -z, y], -1), atol=1e-6)
    assert np.array_equal(loaded.faces, mesh.faces)
    assert (loaded.corner_uv is None) == (uv is None)
    if uv:
        assert np.allclose(uv_of(loaded), uv_of(mesh), atol=1e-6)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_ply_polygons_of_several_sizes(tmp_path: Path, form: str) -> None:
    mesh = blob("ply", 5)
    write_ply(tmp_path / "a.ply", form, mesh, None, [[0, 1, 2], [0, 1, 2, 3], [3, 4, 5]])
    (loaded,) = load_meshes(tmp_path / "a.ply")
    assert sorted(loaded.faces.tolist()) == [[0, 1, 2], [0, 1, 2], [0, 2, 3], [3, 4, 5]]


def test_ply_texture_coordinates_of_faces(tmp_path: Path) -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element face 1\nproperty list uchar int vertex_index\nproperty list uchar float texcoord\nend_header\n"
    (tmp_path / "a.ply").write_text(head + "0 0 0\n1 0 0\n0 1 0\n3 0 1 2 6 .1 .2 .3 .4 .5 .6\n")
    (mesh,) = load_meshes(tmp_path / "a.ply")
    assert uv_of(mesh).reshape(-1) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


# glTF


def gltf(nodes: list[dict], primitives: list[dict], accessors: list[dict], data: bytes, **more: object) -> dict:
    views = [{"buffer": 0, "byteLength": len(data)}]
    return {
        "asset": {"version": "2.0"},
        "nodes": nodes,
        "meshes": [{"name": "shape", "primitives": primitives}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data), "uri": "data.bin"}],
        **more,
    }


TRIANGLE = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0)], "<f4").tobytes()
POSITION = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}


def load_gltf(tmp_path: Path, document: dict, data: bytes) -> list[Mesh]:
    (tmp_path / "data.bin").write_bytes(data)
    (tmp_path / "a.gltf").write_text(json.dumps(document))
    return load_meshes(tmp_path / "a.gltf")


def test_gltf_world_transforms_instances_and_mirrors(tmp_path: Path) -> None:
    nodes = [
        {"name": "root", "children": [1, 2], "translation": [10, 0, 0]},
        {"name": "big", "mesh": 0, "scale": [2, 2, 2]},
        {"mesh": 0, "scale": [-1, 1, 1]},
    ]
    document = gltf(nodes, [{"attributes": {"POSITION": 0}}], [POSITION], TRIANGLE)
    big, mirrored = load_gltf(tmp_path, document, TRIANGLE)
    assert (big.name, mirrored.name) == ("big", "shape")
    assert corners(big)[0].tolist() == [[10, 0, 0], [12, 0, 0], [10, 0, 2]]
    # Mirrored faces keep their front: the normal still points to +Z of the file, -Y of Blender.
    for mesh in (big, mirrored):
        a, b, c = corners(mesh)[0]
        assert np.cross(b - a, c - a)[1] < 0


def test_gltf_rotation_matches_trimesh(tmp_path: Path) -> None:
    nodes = [{"mesh": 0, "rotation": [0.5, 0.5, -0.5, 0.5], "scale": [1, 2, 3], "translation": [1, 2, 3]}]
    document = gltf(nodes, [{"attributes": {"POSITION": 0}}], [POSITION], TRIANGLE, scenes=[{"nodes": [0]}])
    (mesh,) = load_gltf(tmp_path, document, TRIANGLE)
    other: Any = trimesh.load(tmp_path / "a.gltf", force="mesh", process=False)
    x, y, z = np.asarray(other.triangles)[0].T
    assert np.allclose(np.sort(corners(mesh)[0], 0), np.sort(np.stack([x, -z, y], -1), 0), atol=1e-6)


def test_gltf_materials_of_one_object_stay_together(tmp_path: Path) -> None:
    data = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], "<f4").tobytes() + bytes([0, 1, 2, 3])
    accessors = [POSITION | {"count": 4}, {"bufferView": 0, "byteOffset": 48, "componentType": 5121, "count": 4}]
    accessors[1]["type"] = "SCALAR"
    strip = {"attributes": {"POSITION": 0}, "indices": 1, "mode": 5}
    document = gltf([{"mesh": 0}], [strip, strip | {"mode": 4}, strip | {"mode": 1}], accessors, data)
    (mesh,) = load_gltf(tmp_path, document, data)
    assert len(mesh.vertices) == 4  # welded across the primitives
    assert len(mesh.faces) == 3
    a, b, c = corners(mesh).transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 1] < 0).all()  # a strip's odd triangles are turned


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": [{"mesh": 0, "children": [0]}], "scenes": [{"nodes": [0]}]},
        {"nodes": [{"mesh": 5}]},
        {"buffers": [{"byteLength": 36, "uri": "../data.bin"}]},
        {"accessors": [POSITION | {"count": 4}]},
        {"accessors": [POSITION | {"count": -1}]},
        {"accessors": [POSITION | {"componentType": 1}]},
        {"accessors": "none"},
        {"extensionsRequired": ["KHR_draco_mesh_compression"]},
        {"nodes": [], "scenes": [{"nodes": []}]},
        {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}]},
    ],
)
def test_broken_gltf_is_one_line(tmp_path: Path, change: dict) -> None:
    document = gltf([{"mesh": 0}], [{"attributes": {"POSITION": 0}}], [POSITION], TRIANGLE) | change
    with pytest.raises(InvalidMesh) as caught:
        load_gltf(tmp_path, document, TRIANGLE)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


# Damage


@pytest.mark.parametrize("suffix", [".glb", ".gltf", ".obj", ".ply"])
@pytest.mark.parametrize("data", [b"", b"hello\n", b"\0\1\2" * 400, b"glTF", b"ply\nelement vertex 3\n", b"{}", b"[]"])
def test_files_that_are_no_mesh(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(data)
    with pytest.raises(InvalidMesh) as caught:
        load_meshes(path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9, 0.99])
def test_truncated_files(tmp_path: Path, part: float) -> None:
    """Cut anywhere, a binary file is refused."""
    save_textured(tmp_path / "a.glb", [blob("a", 1)], [texture(1)])
    mesh = blob("b", 2)
    write_ply(tmp_path / "b.ply", "binary_little_endian", mesh, None, mesh.faces.tolist())
    write_ply(tmp_path / "c.ply", "ascii", mesh, None, mesh.faces.tolist())
    for name in ("a.glb", "b.ply", "c.ply"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(InvalidMesh):
            load_meshes(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n",
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n",
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n",
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf a b c\n",
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/2 3/3\n",
        "v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n",
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nl 1 2\n",
    ],
)
def test_broken_obj_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidMesh) as caught:
        obj(tmp_path, text)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_wrong_paths_and_arguments(tmp_path: Path) -> None:
    mesh = blob("a", 1)
    cases = [
        lambda: load_meshes(tmp_path / "absent.obj"),
        lambda: load_meshes(tmp_path / "scene.blend"),
        lambda: save_textured(tmp_path / "a.fbx", [mesh], [texture(1)]),
        lambda: save_textured(tmp_path / "a.glb", [mesh], []),
        lambda: save_textured(tmp_path / "a.glb", [Mesh("bare", mesh.vertices, mesh.faces)], [texture(1)]),
        lambda: save_textured(tmp_path / "a.obj", [Mesh("bare", mesh.vertices, mesh.faces)], [texture(1)]),
    ]
    for case in cases:
        with pytest.raises(InvalidInput) as caught:
            case()
        assert caught.value.hint
    with pytest.raises(InvalidImage):
        save_textured(tmp_path / "a.glb", [mesh], [np.zeros((4, 4))])
    assert not list(tmp_path.iterdir())


def test_points_are_not_a_mesh(tmp_path: Path) -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (tmp_path / "cloud.ply").write_text(head + "0 0 0\n")
    with pytest.raises(WeftError, match="no faces"):
        load_meshes(tmp_path / "cloud.ply")


# Real files


@needs_data
@pytest.mark.parametrize(
    ("name", "faces", "has_uv"),
    [("spot.obj", 5856, True), ("blub_no_uv.obj", 14208, False), ("clutch_bag.obj", 4484, True)],
)
def test_real_objects_agree_with_trimesh(name: str, faces: int, has_uv: bool) -> None:
    (mesh,) = load_meshes(DATA / name)
    assert len(mesh.faces) == faces
    assert (mesh.corner_uv is not None) == has_uv
    other: Any = trimesh.load(DATA / name, force="mesh", process=False)
    x, y, z = np.asarray(other.triangles).reshape(-1, 3).T
    assert np.allclose(np.stack([x, -z, y], -1), corners(mesh).reshape(-1, 3), atol=1e-6)
    if has_uv:
        assert np.allclose(np.asarray(other.visual.uv)[other.faces], uv_of(mesh), atol=1e-6)


@needs_data
def test_the_real_scan_and_the_splats() -> None:
    (bunny,) = load_meshes(DATA / "bunny_no_uv.ply")
    assert (len(bunny.vertices), len(bunny.faces), bunny.corner_uv) == (8171, 16301, None)
    with pytest.raises(InvalidMesh, match="no faces"):
        load_meshes(DATA / "guitar_splats.ply")
