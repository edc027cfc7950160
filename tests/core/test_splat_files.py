"""Splats through INRIA PLY and .splat: bit-exact where nothing changed, f_dc in everybody's convention, errors."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from practice_splat_files import cloud, compressed_ply, dot_splat, inria, inria_names, inria_rows, odd_file, ply, spz

from weft.errors import InvalidInput
from weft.geometry.splats import Splats, f_dc_of
from weft.io import load_splats, save_splats
from weft.io.splats import save_edited_splats, write_splats

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")
FIELDS = ("means", "quaternions", "log_scales", "logits", "sh")


def written(tmp_path: Path, data: bytes, suffix: str = ".ply") -> Path:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(data)
    return path


def same(a: Splats, b: Splats) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


# INRIA PLY


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("form", ["binary_little_endian", "binary_big_endian"])
def test_reading_inria(tmp_path: Path, degree: int, form: str) -> None:
    splats = cloud(50, degree)
    file = load_splats(written(tmp_path, inria(splats, form=form)))
    assert (file.form, file.notes) == ("ply", ())
    assert same(file.splats, splats)
    assert {getattr(file.splats, name).dtype for name in FIELDS} == {np.dtype("f4")}
    save_splats(tmp_path / "out.ply", file)
    assert (tmp_path / "out.ply").read_bytes() == inria(splats, form=form)


def test_properties_are_found_by_name(tmp_path: Path) -> None:
    splats = cloud(20, 3)
    names = inria_names(3)
    order = np.random.default_rng(1).permutation(len(names))
    shuffled = ply(inria_rows(splats)[:, order], [names[i] for i in order])
    assert same(load_splats(written(tmp_path, shuffled)).splats, splats)
    without = [i for i, name in enumerate(names) if name not in ("nx", "ny", "nz")]
    bare = ply(inria_rows(splats)[:, without], [names[i] for i in without])
    assert same(load_splats(written(tmp_path, bare)).splats, splats)


def test_what_nobody_knows_survives(tmp_path: Path) -> None:
    splats = cloud(30, 3)
    data = odd_file(splats)
    file = load_splats(written(tmp_path, data))
    assert same(file.splats, splats)
    save_splats(tmp_path / "same.ply", file)
    assert (tmp_path / "same.ply").read_bytes() == data
    dc = np.random.default_rng(3).normal(size=(30, 3)).astype(np.float32)
    save_splats(tmp_path / "out.ply", file, dc=dc)
    zeros = np.zeros_like(splats.sh[:, 1:])
    assert (tmp_path / "out.ply").read_bytes() == odd_file(replace(splats, sh=np.concatenate([dc[:, None], zeros], 1)))


@pytest.mark.parametrize("old", [0, 1, 2, 3])
@pytest.mark.parametrize("new", [0, 1, 2, 3])
@pytest.mark.parametrize("recolored", [False, True])
@pytest.mark.parametrize("odd", [False, True])
def test_degree_kept_or_lowered(tmp_path: Path, old: int, new: int, recolored: bool, odd: bool) -> None:
    """The file is the one that would hold the changed splats from the start: every other byte is the same."""
    splats, write = cloud(10, old), odd_file if odd else inria
    file = load_splats(written(tmp_path, write(splats)))
    dc = f_dc_of(np.random.default_rng(4).random((10, 3))) if recolored else None
    out = tmp_path / "out.ply"
    if new > old:
        with pytest.raises(InvalidInput, match=f"degree {new} asked for, the splats have degree {old}"):
            save_splats(out, file, dc=dc, degree=new)
        return
    save_splats(out, file, dc=dc, degree=new)
    sh = splats.sh[:, : (new + 1) ** 2]
    if dc is not None:
        sh = np.concatenate([dc[:, None], np.zeros_like(sh[:, 1:])], 1)
    assert out.read_bytes() == write(replace(splats, sh=sh))


def test_saving_over_the_file_that_was_read(tmp_path: Path) -> None:
    path = written(tmp_path, inria(cloud(9, 1)))
    save_splats(path, load_splats(path), dc=np.ones((9, 3), np.float32))
    assert (load_splats(path).splats.sh[:, 0] == 1).all()
    assert [p.name for p in tmp_path.iterdir()] == ["in.ply"]


def test_f_dc_in_the_convention_of_gsplat(tmp_path: Path) -> None:
    """gsplat's exporter writes sh0 itself as f_dc, and its `sh2rgb` is sh·C0 + 0.5: what shows is the colour asked."""
    rgb = np.random.default_rng(5).random((12, 3))
    file = load_splats(written(tmp_path, inria(cloud(12, 0))))
    save_splats(tmp_path / "out.ply", file, dc=f_dc_of(rgb))
    data = (tmp_path / "out.ply").read_bytes()
    rows = np.frombuffer(data[data.index(b"end_header\n") + 11 :], "<f4").reshape(12, -1)
    shown = rows[:, 6:9] * 0.28209479177387814 + 0.5
    assert np.abs(shown - rgb).max() < 1e-6
    assert np.array_equal(np.delete(rows, [6, 7, 8], 1), np.delete(inria_rows(cloud(12, 0)), [6, 7, 8], 1))


# .splat


def test_dot_splat_in_and_out(tmp_path: Path) -> None:
    splats = cloud(40, 0)
    file = load_splats(written(tmp_path, dot_splat(splats), ".splat"))
    got = file.splats
    assert np.array_equal(got.means, splats.means)
    assert np.allclose(got.log_scales, splats.log_scales, atol=1e-5)
    assert np.abs(got.opacity - splats.opacity).max() <= 0.5 / 255 + 1e-6
    inside = np.abs(0.5 + 0.282095 * splats.sh[:, 0] - 0.5) < 0.5
    assert np.abs(0.282095 * (got.sh[:, 0] - splats.sh[:, 0]))[inside].max() <= 0.5 / 255 + 1e-5
    unit = splats.quaternions / np.linalg.norm(splats.quaternions, axis=1, keepdims=True)
    assert np.abs(got.quaternions - unit).max() <= 1 / 128 + 1e-6
    save_splats(tmp_path / "same.splat", file)
    assert (tmp_path / "same.splat").read_bytes() == file.source


def test_dot_splat_changes_only_colour_bytes(tmp_path: Path) -> None:
    file = load_splats(written(tmp_path, dot_splat(cloud(40, 0)), ".splat"))
    colors = np.random.default_rng(6).integers(0, 256, (40, 3), dtype=np.uint8)
    save_splats(tmp_path / "out.splat", file, dc=f_dc_of(colors / 255))
    before = np.frombuffer(file.source, np.uint8).reshape(-1, 32)
    after = np.frombuffer((tmp_path / "out.splat").read_bytes(), np.uint8).reshape(-1, 32)
    assert np.array_equal(after[:, 24:27], colors)
    assert np.array_equal(np.delete(after, [24, 25, 26], 1), np.delete(before, [24, 25, 26], 1))


def test_any_format_becomes_dot_splat_and_inria(tmp_path: Path) -> None:
    splats = cloud(300, 1)
    sources = {".ply": inria(splats), ".splat": dot_splat(splats), ".spz": spz(splats, 3)}
    for suffix, data in sources.items():
        file = load_splats(written(tmp_path, data, suffix))
        save_splats(tmp_path / "out.ply", file)
        assert same(load_splats(tmp_path / "out.ply").splats, file.splats)
        save_splats(tmp_path / "out.splat", file)
        short = load_splats(tmp_path / "out.splat").splats
        assert np.allclose(short.means, file.splats.means)
        assert np.abs(short.colors - np.minimum(file.splats.colors, 1)).max() <= 0.5 / 255 + 1e-6
        assert np.abs(short.opacity - file.splats.opacity).max() <= 1 / 255
    file = load_splats(written(tmp_path, compressed_ply(splats)))
    save_splats(tmp_path / "out.ply", file, degree=0)
    assert same(load_splats(tmp_path / "out.ply").splats, replace(file.splats, sh=file.splats.sh[:, :1]))


def test_flat_splats_of_dot_splat(tmp_path: Path) -> None:
    rows = np.frombuffer(dot_splat(cloud(4, 0)), np.uint8).reshape(4, 32).copy()
    rows[2, 12:16] = 0
    file = load_splats(written(tmp_path, rows.tobytes(), ".splat"))
    assert file.splats.scales[2, 0] == 0


# Bad input


def cut(names: list[str], *gone: str) -> tuple[np.ndarray, list[str]]:
    keep = [i for i, name in enumerate(names) if name not in gone]
    return inria_rows(cloud(5, 3))[:, keep], [names[i] for i in keep]


def nan_rows() -> np.ndarray:
    rows = inria_rows(cloud(5, 3))
    rows[3, 1] = np.nan
    return rows


MESH = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    b"element face 0\nproperty list uchar int vertex_indices\nend_header\n" + bytes(12)
)
LISTS = b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty list uchar float "
NAMES = inria_names(3)
BAD = {
    "cut.ply": (inria(cloud(5, 3))[:-1], "cut short: 4 of 5 rows"),
    "cut_in_header.ply": (inria(cloud(5, 3))[:90], "no PLY header"),
    "ascii.ply": (inria(cloud(5, 3), form="ascii"), "ASCII"),
    "no_opacity.ply": (ply(*cut(NAMES, "opacity")), "lack opacity"),
    "no_scale.ply": (ply(*cut(NAMES, "scale_0", "scale_2", "rot_3")), "lack scale_0, scale_2, rot_3"),
    "none.ply": (inria(cloud(0, 3)), "0 splats"),
    "rest_hole.ply": (ply(*cut(NAMES, "f_rest_7", "f_rest_44")), "of its 45 .* lacks f_rest_7, f_rest_44"),
    "rest_many.ply": (ply(*cut(NAMES, *(f"f_rest_{i}" for i in range(12, 40)))), "of its 45 .* and 24 more"),
    "rest_more.ply": (ply(inria_rows(cloud(5, 3)), [n.replace("nx", "f_rest_71") for n in NAMES]), "f_rest up to 71"),
    "mesh.ply": (MESH, "a mesh or points, not splats"),
    "text.ply": (b"hello\n", "no PLY header"),
    "nan.ply": (ply(nan_rows(), NAMES), "position at NaN.*number 3"),
    "twice.ply": (ply(inria_rows(cloud(5, 3)), [n.replace("nx", "ny") for n in NAMES]), "damaged"),
    "negative.ply": (inria(cloud(5, 3)).replace(b"vertex 5", b"vertex -5"), "negative"),
    "huge.ply": (inria(cloud(5, 3)).replace(b"vertex 5", b"vertex 99999999999999"), "cut short"),
    "format.ply": (inria(cloud(5, 3), form="binary_middle_endian"), "binary_middle_endian"),
    "lists.ply": (LISTS + b"opacity\nend_header\n" + bytes(99), "lack x, y, z, f_dc_0 and 9 more"),
    "type.ply": (inria(cloud(5, 3)).replace(b"float nx", b"quad nx"), "'quad' is not a PLY type"),
    "empty.ply": (b"", "is empty"),
    "empty.splat": (b"", "is empty"),
    "empty.spz": (b"", "is empty"),
    "cut.splat": (dot_splat(cloud(5, 0))[:-3], "157 bytes"),
    "noise.splat": (bytes(range(255, 223, -1)) * 9, "scales below 0|NaN"),
    "text.spz": (b"hello" * 9, "neither as gzip nor"),
    "splats.ksplat": (b"hello", "not a splat file"),
    "noname": (b"hello", "not a splat file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_with_a_remedy(tmp_path: Path, name: str) -> None:
    data, says = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match=says) as caught:
        load_splats(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_wrong_paths_and_arguments(tmp_path: Path) -> None:
    file = load_splats(written(tmp_path, inria(cloud(5, 1))))
    (tmp_path / "folder.ply").mkdir()
    cases = [
        lambda: load_splats(tmp_path / "absent.ply"),
        lambda: load_splats(tmp_path / "folder.ply"),
        lambda: save_splats(tmp_path / "out.spz", file),
        lambda: save_splats(tmp_path / "out", file),
        lambda: save_splats(tmp_path / "out.splat", file, degree=1),
        lambda: save_splats(tmp_path / "out.ply", file, degree=-1),
        lambda: save_splats(tmp_path / "out.ply", file, dc=np.zeros((4, 3), np.float32)),
        lambda: save_splats(tmp_path / "out.ply", file, dc=np.full((5, 3), np.nan, np.float32)),
        lambda: save_splats(tmp_path / "folder.ply", file),
    ]
    for case in cases:
        with pytest.raises(InvalidInput) as caught:
            case()
        assert caught.value.hint
        assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.ply", "in.ply"]


@pytest.mark.parametrize("form", ["binary_little_endian", "binary_big_endian"])
def test_edited_splats_keep_whatever_was_not_edited(tmp_path: Path, form: str) -> None:
    splats = cloud(40, 1)
    splats = replace(splats, logits=np.where(np.arange(40) < 3, np.inf, splats.logits).astype(np.float32))
    file = load_splats(written(tmp_path, odd_file(splats) if form[7] == "l" else inria(splats, form=form)))
    sent = replace(splats, logits=np.minimum(splats.logits, np.float32(80)))  # as the wire has it
    save_edited_splats(tmp_path / "same.ply", file, sent, sent)
    assert (tmp_path / "same.ply").read_bytes() == file.source
    moved = replace(sent, means=sent.means + np.float32(1), sh=sent.sh * np.float32(0.5))
    save_edited_splats(tmp_path / "out.ply", file, moved, sent)
    after = load_splats(tmp_path / "out.ply")
    assert same(after.splats, replace(splats, means=moved.means, sh=moved.sh))
    assert len(after.source) == len(file.source)


def test_edited_splats_of_another_number_are_a_new_file(tmp_path: Path) -> None:
    file = load_splats(written(tmp_path, inria(cloud(10, 1))))
    more = cloud(12, 1)
    save_edited_splats(tmp_path / "out.ply", file, more, file.splats)
    write_splats(tmp_path / "new.ply", more)
    assert (tmp_path / "out.ply").read_bytes() == (tmp_path / "new.ply").read_bytes()
    assert same(load_splats(tmp_path / "out.ply").splats, more)


# Real files


@needs_data
def test_the_real_guitar_stays_byte_identical(tmp_path: Path) -> None:
    file = load_splats(DATA / "guitar_splats.ply")
    assert (file.splats.count, file.splats.degree) == (90854, 0)
    save_splats(tmp_path / "out.ply", file)
    assert (tmp_path / "out.ply").read_bytes() == (DATA / "guitar_splats.ply").read_bytes()


@needs_data
def test_only_f_dc_of_the_real_guitar_changes(tmp_path: Path) -> None:
    file = load_splats(DATA / "guitar_splats.ply")
    dc = f_dc_of(1 - file.splats.colors)
    save_splats(tmp_path / "out.ply", file, dc=dc)
    after = load_splats(tmp_path / "out.ply")
    assert np.array_equal(after.splats.sh[:, 0], dc)
    assert same(replace(after.splats, sh=file.splats.sh), file.splats)
    assert len(after.source) == len(file.source)


@needs_data
def test_the_compressed_guitar_is_the_guitar() -> None:
    """The one is the other decoded: the same order, equal but for the last bit of a float."""
    short, long = (load_splats(DATA / name) for name in ("guitar.compressed.ply", "guitar_splats.ply"))
    assert (short.form, long.form) == ("compressed", "ply")
    for name in FIELDS:
        assert np.allclose(getattr(short.splats, name), getattr(long.splats, name), rtol=3e-7, atol=5e-7), name
