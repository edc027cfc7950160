"""Textures and masks through files: every byte comes back, and what is no 8-bit sRGB says what it is."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from weft.errors import InvalidImage, InvalidInput
from weft.geometry.mesh import Mesh
from weft.io.meshes import load_meshes, save_textured
from weft.io.textures import load_mask, load_texture, load_textures

RNG = np.random.default_rng(3)
BYTES = RNG.integers(0, 256, (16, 24, 4), dtype=np.uint8)
RGB, GREY = BYTES[..., :3], BYTES[..., 0]


def put(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def triangle(name: str, shift: float) -> Mesh:
    corners = np.array([[shift, 0, 0], [shift + 1, 0, 0], [shift, 1, 0]], np.float32)
    uv = np.array([[[0, 0], [1, 0], [0, 1]]], np.float32)
    return Mesh(name, corners, np.array([[0, 1, 2]], np.int32), uv)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_bytes_come_as_they_are(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(load_texture(put(tmp_path / f"t{suffix}", Image.fromarray(RGB))), RGB)


def test_colours_under_transparency_stay(tmp_path: Path) -> None:
    assert np.array_equal(load_texture(put(tmp_path / "t.png", Image.fromarray(BYTES))), RGB)


def test_greys_and_palettes_become_rgb_exactly(tmp_path: Path) -> None:
    grey = np.repeat(GREY[..., None], 3, -1)
    assert np.array_equal(load_texture(put(tmp_path / "l.png", Image.fromarray(GREY))), grey)
    assert np.array_equal(load_texture(put(tmp_path / "la.png", Image.fromarray(BYTES[..., [0, 3]]))), grey)
    few = np.array([[200, 10, 30], [0, 255, 1]], np.uint8)[GREY % 2]
    indexed = Image.fromarray(few).quantize(2)
    assert np.array_equal(load_texture(put(tmp_path / "p.png", indexed)), np.asarray(indexed.convert("RGB")))


def test_a_profile_of_srgb_is_srgb(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(load_texture(put(tmp_path / "t.png", Image.fromarray(RGB), icc_profile=profile)), RGB)


def swapped_profile() -> bytes:
    """The profile of sRGB with the primaries of red and green exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth: int, *extra: bytes) -> bytes:
    """An RGB PNG of 16 × 16 with `depth` bits a channel, which Pillow itself does not write."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, depth, 2, 0, 0, 0))
    rows = zlib.compress(bytes(16 * (1 + 16 * 3 * depth // 8)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: saved(Image.fromarray(RGB).convert("CMYK"), "TIFF"), "CMYK, expected sRGB"),
        (lambda: saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "CMYK, expected sRGB"),
        (lambda: saved(Image.fromarray(RGB).convert("LAB"), "TIFF"), "CIELAB, expected sRGB"),
        (lambda: saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "linear floating point, expected sRGB"),
        (lambda: saved(Image.fromarray(GREY.astype(np.uint16)), "PNG"), "16 bits a channel"),
        (lambda: png(16), "16 bits a channel"),
        (lambda: png(8, chunk(b"gAMA", struct.pack(">I", 100000))), "a gamma of 1.00"),
        (lambda: saved(Image.fromarray(RGB), "PNG", icc_profile=swapped_profile()), "has the colour profile"),
        (lambda: b"v/1\x01" + bytes(100), "an OpenEXR file, which holds linear light"),
        (lambda: b"#?RADIANCE\n", "a Radiance HDR file, which holds linear light"),
        (lambda: b"no image", "not an image"),
        (lambda: saved(Image.fromarray(RGB), "PNG")[:300], "is damaged"),
        (lambda: b"", "not an image"),
    ],
)
def test_other_colour_spaces_are_named(tmp_path: Path, make: Callable[[], bytes], says: str) -> None:
    path = tmp_path / "t.png"
    path.write_bytes(make())
    with pytest.raises(InvalidImage, match=says) as caught:
        load_texture(path)
    assert "t.png" in caught.value.message
    assert caught.value.hint


def test_the_gamma_of_srgb_passes(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    path.write_bytes(png(8, chunk(b"gAMA", struct.pack(">I", 45455))))
    assert load_texture(path).shape == (16, 16, 3)


def test_masks_are_white_where_it_may_change(tmp_path: Path) -> None:
    white = Image.fromarray(np.where(BYTES[..., :1] > 127, 255, 0).astype(np.uint8).repeat(3, -1))
    assert np.array_equal(load_mask(put(tmp_path / "m.png", white)), GREY > 127)
    strokes = np.concatenate([np.full_like(RGB, 255), np.where(GREY > 127, 255, 0)[..., None].astype(np.uint8)], -1)
    assert np.array_equal(load_mask(put(tmp_path / "a.png", Image.fromarray(strokes))), GREY > 127)
    with pytest.raises(InvalidInput, match="black everywhere"):
        load_mask(put(tmp_path / "b.png", Image.new("L", (8, 8))))


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_textures_come_out_of_mesh_files(tmp_path: Path, suffix: str) -> None:
    """In the order of the objects, byte for byte."""
    textures = [RGB, RGB[::-1], RGB[:, ::-1]]
    path = tmp_path / f"things{suffix}"
    save_textured(path, [triangle(f"part {i}", 2.0 * i) for i in range(3)], textures)
    found = load_textures(path)
    assert [mesh.name for mesh in load_meshes(path)] == ["part 0", "part 1", "part 2"]
    assert [len(each) for each in found] == [1, 1, 1]
    assert all(np.array_equal(each[0], texture) for each, texture in zip(found, textures, strict=True))


def test_objects_without_a_texture_have_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.obj"
    path.write_text("mtllib absent.mtl\no a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl m\nf 1 2 3\no empty\no b\nf 1 2 3\n")
    assert load_textures(path) == [[], []]
    assert len(load_meshes(path)) == 2


def test_every_material_of_an_object_counts(tmp_path: Path) -> None:
    for i, name in enumerate(("a.png", "b c.png")):
        put(tmp_path / name, Image.fromarray(RGB[:: 1 - 2 * i]))
    (tmp_path / "m.mtl").write_text("newmtl one\nmap_Kd -s 1 1 1 a.png\nnewmtl two\nmap_Kd b c.png\nnewmtl bare\n")
    path = tmp_path / "two.obj"
    path.write_text(
        "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl one\nf 1 2 3\nusemtl two\nf 1 3 2\nusemtl bare\nf 1 2 3\n"
    )
    (found,) = load_textures(path)
    assert sorted(texture.tobytes() for texture in found) == sorted([RGB.tobytes(), RGB[::-1].tobytes()])


def test_a_texture_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.mtl").write_text("newmtl one\nmap_Kd gone.png\n")
    (tmp_path / "one.obj").write_text("mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl one\nf 1 2 3\n")
    with pytest.raises(InvalidInput, match=r"gone\.png"):
        load_textures(tmp_path / "one.obj")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_material_cannot_make_us_read_a_pipe(tmp_path: Path) -> None:
    """Its reading would not end; the same goes for devices."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "m.mtl").write_text("newmtl one\nmap_Kd pipe.png\n")
    (tmp_path / "one.obj").write_text("mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl one\nf 1 2 3\n")
    with pytest.raises(InvalidInput, match=r"pipe\.png.*no file"):
        load_textures(tmp_path / "one.obj")


@pytest.mark.parametrize(
    "material", ['{"baseColorTexture": {"index": 7}}', '{"baseColorTexture": {}}', '{"baseColorTexture": []}', "3"]
)
def test_damaged_materials_are_one_line(tmp_path: Path, material: str) -> None:
    path = tmp_path / "a.gltf"
    path.write_text(
        '{"nodes": [{"mesh": 0}], "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],'
        f' "materials": [{{"pbrMetallicRoughness": {material}}}], "textures": []}}'
    )
    with pytest.raises(InvalidImage, match=r"the materials of 'a\.gltf' are damaged"):
        load_textures(path)
