"""What people type wrong: one line each, with the remedy, before any server is started."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from practice_commands import OBJ, photo, refused, weft

from weft.geometry.splats import Splats
from weft.io.splat_ply import write_splat_ply
from weft_wire.jobs import SPLAT_TEXTURE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with inputs of every kind; the home has no server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEFT_HOME", str(tmp_path / "home"))
    (tmp_path / "cube.obj").write_text(OBJ)
    (tmp_path / "bare.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (tmp_path / "pair.obj").write_text(f"o one\n{OBJ}\no two\nf 1/1 2/2 3/3\n")
    (tmp_path / "fake.png").write_text("no image")
    (tmp_path / "a folder.png").mkdir()
    photo(tmp_path / "photo.png")
    Image.new("L", (48, 32), 255).save(tmp_path / "white.png")
    Image.new("L", (48, 32), 0).save(tmp_path / "black.png")
    Image.new("L", (32, 48), 255).save(tmp_path / "other size.png")
    photo(tmp_path / "dot.png", 1, 1)
    Image.new("1", (9000, 20)).save(tmp_path / "long.png")
    photo(tmp_path / "out_view_2.png")
    photo(tmp_path / "pair_contact_sheet.png")
    Image.new("CMYK", (48, 32)).save(tmp_path / "cmyk.tif")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray((np.arange(64 * 32) % 250 + 1).astype(np.uint8).reshape(32, 64)).save(tmp_path / "depth.png")
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype("f4") for shape in ((9, 3), (9, 4), (9, 3), (9,), (9, 1, 3))]
    data = write_splat_ply(Splats(*arrays))
    (tmp_path / "splats.ply").write_bytes(data)
    (tmp_path / "half.ply").write_bytes(data[:-40])
    return tmp_path


RETEXTURE = "retexture cube.obj -o out.glb --prompt moss --texture photo.png"
ILLUSION = "illusion moss rust -o out.png"
PANORAMA = "panorama -o out.png --prompt moss"
SPLATS = "splat-texture splats.ply -o out.ply --prompt moss"


@pytest.mark.parametrize(
    ("command", "more", "says"),
    [
        (RETEXTURE, "--strength 0", "strength must be between 0.01 and 1, not 0.0"),
        (RETEXTURE, "--strength 1.5", "strength must be between 0.01 and 1, not 1.5"),
        (RETEXTURE, "--strength lots", "invalid float value: 'lots'"),
        (RETEXTURE, "-o out.stl", "cannot write 'out.stl' (end it in .glb, .obj or .png)"),
        (RETEXTURE, "-o nowhere/out.glb", "there is no folder nowhere"),
        (RETEXTURE, "-o cube.obj", "cube.obj would be overwritten (choose another name with -o)"),
        (RETEXTURE, "-o photo.obj", "photo.png would be overwritten"),
        (RETEXTURE, "--mask absent.png", "there is no file 'absent.png'"),
        (RETEXTURE, "--mask black.png", "'black.png' is black everywhere (paint white where the texture may change)"),
        (RETEXTURE, "--mask white.png --mask white.png", "--mask is given 2 times, the file has 1 object"),
        (RETEXTURE, "--texture photo.png", "--texture is given 2 times"),
        (RETEXTURE, "--select 3-1", "there are no faces 3-1 (the mesh has the triangles 0 to 11)"),
        (RETEXTURE, "--select 0-12", "there are no faces 0-12 (the mesh has the triangles 0 to 11)"),
        (RETEXTURE, "--select 1,x", "cannot read the faces 'x' (write numbers and ranges: 0-99,120)"),
        (RETEXTURE, "--select=-1", "cannot read the faces '-1'"),
        (RETEXTURE, "--cameras scene", "unrecognized arguments: --cameras scene"),
        (RETEXTURE, "--exemplar absent.jpg", "there is no file 'absent.jpg'"),
        (RETEXTURE, "--server http://127.0.0.1:9/", "no Weft server answers at tcp://127.0.0.1:9"),
        ("retexture cube.obj -o out.glb --texture photo.png", "", "neither a prompt nor a reference image"),
        ("retexture cube.obj -o out.glb --prompt moss", "", "'cube' has no texture in 'cube.obj' (add --texture FILE)"),
        ("retexture cube.obj -o out.glb --prompt moss", "--texture absent.png", "there is no file 'absent.png'"),
        ("retexture cube.obj -o out.glb --prompt moss", "--texture fake.png", "'fake.png' is not an image"),
        ("retexture cube.obj -o out.glb --prompt moss", "--texture cmyk.tif", "'cmyk.tif' are CMYK, expected sRGB"),
        ("retexture cube.obj -o out.glb --prompt moss", "--texture deep.png", "'deep.png' has 16 bits a channel"),
        ("retexture cube.obj -o out.glb --prompt moss", "--texture dot.png", "'dot.png' is 1×1 px, expected 16"),
        ("retexture pair.obj -o x.png --prompt moss", "--texture x_0.png --texture x_1.png", "x_0.png would be overw"),
        ("retexture bare.obj -o out.glb --prompt moss", "--texture photo.png", "'bare' has no UVs"),
        ("retexture absent.obj -o out.glb --prompt moss", "", "there is no file 'absent.obj'"),
        ("retexture photo.png -o out.glb --prompt moss", "", "'photo.png' is not a mesh file"),
        ("retexture pair.obj -o out.glb --prompt moss", "--texture photo.png", "the file has 2 objects"),
        ("illusion moss -o out.png", "", "an illusion shows two or three pictures, 1 picture was given"),
        ("illusion a b c d -o out.png", "", "an illusion shows two or three pictures, 4 pictures were given"),
        ("illusion moss absent.jpg -o out.png", "", "there is no file 'absent.jpg'"),
        ("illusion moss fake.png -o out.png", "", "'fake.png' is not an image"),
        ("illusion moss photo.png -o photo.png", "", "photo.png would be overwritten"),
        ("illusion moss out_view_2.png -o out.png", "", "out_view_2.png would be overwritten"),
        ("illusion moss dot.png -o new.png", "", "'dot.png' is 1×1 px, expected 16 to 8192 a side (give a larger"),
        ("illusion moss long.png -o new.png", "", "'long.png' is 9000×20 px, expected 16 to 8192 a side (scale it"),
        ("texture cube.obj -o cube.obj --prompt moss", "", "cube.obj would be overwritten"),
        ("texture cube.obj -o pair.glb --exemplar pair_contact_sheet.png --report", "", "sheet.png would be overwr"),
        ("illusion moss rust", "", "the following arguments are required: -o/--out"),
        (ILLUSION, "--views identity rotate180", "no view is called 'rotate180' (did you mean rotate_180?)"),
        (ILLUSION, "--views identity xyzzy", "no view is called 'xyzzy' (`weft illusion --help` lists them)"),
        (ILLUSION, "--views identity", "for 2 pictures"),
        (ILLUSION, "--views negate negate", "two views look at the image alike (negate)"),
        (ILLUSION, "--case 60", "no synchronisation case is called '60'"),
        (ILLUSION, "--case synctweedy", "did you mean synctweedies?"),
        (ILLUSION, "--size 9999", "size must be 0 or between 64 and 1024"),
        (ILLUSION, "--prompt ice", "unrecognized arguments: --prompt ice"),
        (ILLUSION, "-o out.jpg", "cannot write 'out.jpg' (end it in .png)"),
        (ILLUSION, "-o nowhere/out.png", "there is no folder nowhere"),
        ("panorama -o out.png", "", "neither a prompt nor a reference image"),
        (PANORAMA, "--depth absent.exr", "there is no file 'absent.exr'"),
        (PANORAMA, "--depth fake.png", "'fake.png' is not a depth map"),
        (PANORAMA, "--depth white.png", "is 255 everywhere"),
        (PANORAMA, "--depth photo.png", "the depth map is a coloured picture"),
        (PANORAMA, "--depth depth.png --scene cube.obj", "both a depth map and meshes"),
        (PANORAMA, "--scene absent.glb", "there is no file 'absent.glb'"),
        (PANORAMA, "--scene cube.obj --shape wide --height 600", "higher than a sphere"),
        (PANORAMA, "--viewpoint 0 0 1", "--viewpoint stands in a scene, and there is none (add --scene MESH)"),
        (PANORAMA, "--scene cube.obj --viewpoint 0 0", "expected 3 arguments"),
        (PANORAMA, "--scene cube.obj --viewpoint 0 0 nan", "viewpoint holds NaN or infinite values"),
        (PANORAMA, "--shape cube", "invalid choice: 'cube'"),
        (PANORAMA, "--width 100", "width must be between 256 and 8192"),
        (PANORAMA, "--case 99", "no synchronisation case is called '99'"),
        (PANORAMA, "-o out.exr", "cannot write 'out.exr'"),
        (PANORAMA, "--exemplar fake.png", "'fake.png' is not an image"),
        (SPLATS, "-o out.spz", "cannot write 'out.spz' (end it in .ply or .splat)"),
        (SPLATS, "-o splats.ply", "splats.ply would be overwritten"),
        (SPLATS, "--up x", "invalid choice: 'x'"),
        (SPLATS, "--cameras scene", "--cameras scene needs cameras (add --cameras-file transforms.json)"),
        (SPLATS, "--cameras-file absent.json", "there is no file 'absent.json'"),
        (SPLATS, "--cameras-file cube.obj", "'cube.obj' is not JSON"),
        (SPLATS, "--views 3", "views must be between 8 and 200"),
        (SPLATS, "--sh half", "invalid choice: 'half'"),
        ("splat-texture absent.ply -o out.ply --prompt moss", "", "there is no file 'absent.ply'"),
        ("splat-texture half.ply -o out.ply --prompt moss", "", "half.ply"),
        ("splat-texture cube.obj -o out.ply --prompt moss", "", "'cube.obj' is not a splat file"),
        ("splat-texture splats.ply -o out.ply", "", "neither a prompt nor a reference image"),
    ],
)
def test_what_is_typed_wrong_is_one_line(command: str, more: str, says: str) -> None:
    assert says in refused(*command.split(), *more.split())


def test_names_with_spaces_are_told_apart() -> None:
    words = RETEXTURE.split()
    assert "is 32×48 px, the texture 48×32 px" in refused(*words, "--mask", "other size.png")
    assert "is a folder" in refused(*words[:-2], "-o", "a folder.png", "--texture", "photo.png")


def test_more_than_can_be_sent_is_named_by_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = {"transform_matrix": np.eye(4).tolist()}
    (folder / "many.json").write_text(json.dumps({"w": 8, "h": 8, "fl_x": 8, "frames": [frame] * 1025}))
    said = refused(*SPLATS.split(), "--cameras-file", "many.json")
    assert "'many.json' holds 1025 cameras, expected at most 1024" in said
    monkeypatch.setitem(SPLAT_TEXTURE.dimensions, "S", (1, 8))
    assert "'splats.ply' holds 9 splats, expected at most 8" in refused(*SPLATS.split())


def test_a_home_that_cannot_be_made_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_HOME", str(folder / "photo.png" / "home"))
    status, _, complained = weft(*ILLUSION.split())
    assert status == 1
    assert complained.endswith("(export WEFT_HOME=FOLDER that you may write to)\n")
    assert len(complained.splitlines()) == 1


def test_nothing_is_left_behind(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    refused(*ILLUSION.split(), "--case", "60")
    refused(*SPLATS.split(), "--views", "3")
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("command", ["retexture", "illusion", "panorama", "splat-texture"])
def test_help_names_what_can_be_given(command: str) -> None:
    status, said, _ = weft(command, "--help")
    assert status == 0
    assert {"--steps", "--seed", "--report", "--server", "-o OUT"} <= set(_words(said))


def _words(text: str) -> list[str]:
    tokens = text.replace("[", " ").replace("]", " ").replace(",", " ").split()
    return tokens + [" ".join(pair) for pair in itertools.pairwise(tokens)]
