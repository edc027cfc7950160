"""Radiance and OpenEXR environment maps: both encodings against each other, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from practice_shapes import DATA, needs_data

from weft.errors import InvalidImage, InvalidInput
from weft.io.hdr import decode_hdr, load_environment

HEAD = b"#?RADIANCE\n# made for a test\nFORMAT=32-bit_rle_rgbe\n\n"


def pixels(height: int = 8, width: int = 16) -> np.ndarray:
    """u1 [H, W, 4], with runs, and never the mark of a run."""
    rgbe = np.random.default_rng(0).integers(3, 256, (height, width, 4)).astype(np.uint8)
    rgbe[:, 3:9] = rgbe[:, 3:4]
    rgbe[1, 5] = 0
    return rgbe


def values(rgbe: np.ndarray) -> np.ndarray:
    scale = np.where(rgbe[..., 3:] > 0, 2.0 ** (rgbe[..., 3:].astype(float) - 136), 0)
    return (rgbe[..., :3] * scale).astype(np.float32)


def flat(rgbe: np.ndarray, head: bytes = HEAD) -> bytes:
    return head + f"-Y {len(rgbe)} +X {rgbe.shape[1]}\n".encode() + rgbe.tobytes()


def newer(rgbe: np.ndarray) -> bytes:
    lines = []
    for row in rgbe:
        lines.append(bytes([2, 2, len(row) >> 8, len(row) & 255]))
        for component in row.T:
            lines.append(_runs(component))
    return flat(rgbe[:, :0].reshape(len(rgbe), 0, 4)).replace(b"+X 0", b"+X %d" % rgbe.shape[1]) + b"".join(lines)


def _runs(component: np.ndarray) -> bytes:
    out, at = b"", 0
    while at < len(component):
        same = 1
        while at + same < len(component) and component[at + same] == component[at] and same < 127:
            same += 1
        out += bytes([128 + same, component[at]]) if same > 1 else bytes([1, component[at]])
        at += same
    return out


def older(rgbe: np.ndarray) -> bytes:
    out, rows, at = b"", rgbe.reshape(-1, 4), 0
    while at < len(rows):
        same = 1
        while at + same < len(rows) and (rows[at + same] == rows[at]).all():
            same += 1
        out += rows[at].tobytes() + (bytes([1, 1, 1, same - 1]) if same > 1 else b"")
        at += same
    return flat(rgbe[:0]).replace(b"-Y 0", b"-Y %d" % len(rgbe)) + out


@pytest.mark.parametrize("encode", [flat, newer, older])
def test_every_encoding_gives_the_same_light(encode):
    assert np.array_equal(decode_hdr(encode(pixels())), values(pixels()))


def test_long_runs_of_the_older_encoding_count_in_higher_bytes():
    rgbe = np.full((20, 40, 4), (9, 8, 7, 129), np.uint8)
    data = flat(rgbe[:0]).replace(b"-Y 0", b"-Y 20") + rgbe[0, 0].tobytes()
    data += bytes([1, 1, 1, 799 & 255, 1, 1, 1, 799 >> 8])
    assert np.array_equal(decode_hdr(data), values(rgbe))


@pytest.mark.parametrize("encode", [flat, newer, older])
def test_files_cut_short_anywhere_are_refused_in_one_line(encode):
    whole = encode(pixels())
    for length in range(0, len(whole), 7):
        with pytest.raises(InvalidImage) as caught:
            decode_hdr(whole[:length])
        assert "\n" not in str(caught.value)


def test_damaged_files_are_read_or_refused_but_nothing_else():
    random, refused = np.random.default_rng(1), 0
    for _ in range(60):
        data = bytearray(newer(pixels()))
        for at in random.integers(len(HEAD) + 12, len(data), 3):
            data[at] = random.integers(256)
        try:
            assert np.isfinite(decode_hdr(bytes(data))).all()
        except InvalidImage:
            refused += 1
    assert 0 < refused < 60


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"P6 2 2 255 ....", "not a Radiance picture"),
        (flat(pixels()).replace(b"-Y 8", b"+Y 8"), "expected -Y h"),
        (flat(pixels()).replace(b"-Y 8 +X 16", b"+X 16 -Y 8"), "expected -Y h"),
        (flat(pixels()).replace(b"rle_rgbe", b"rle_xyze"), "xyze"),
        (flat(pixels()).replace(b"-Y 8 +X 16", b"-Y 8 +X 99999"), "99999"),
        (HEAD[:-1], "header does not end"),
    ],
)
def test_other_files_are_refused(data, said):
    with pytest.raises(InvalidImage, match=said):
        decode_hdr(data, "'sky.hdr'")


def test_maps_that_hold_no_light_are_refused(tmp_path: Path):
    for name, data, said in (
        ("sky.png", b"", "no light, only a picture"),
        ("sky.blend", b"", "no environment map"),
        ("sky.hdr", flat(pixels(8, 8)), "no full sphere"),
        ("dark.hdr", flat(np.zeros((8, 16, 4), np.uint8)), "black"),
        ("sky.exr", b"nothing", "EXR"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidImage, match=said) as caught:
            load_environment(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InvalidInput, match="no file"):
        load_environment(tmp_path / "missing.hdr")


def test_both_formats_give_one_light(tmp_path: Path):
    exr = pytest.importorskip("OpenEXR")
    light = values(pixels() // 2 + 64)
    planes = {c: np.ascontiguousarray(light[..., i]) for i, c in enumerate("RGB")}
    with exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, planes) as out:
        out.write(str(tmp_path / "sky.exr"))
    (tmp_path / "sky.hdr").write_bytes(flat(pixels() // 2 + 64))
    a, b = load_environment(tmp_path / "sky.exr"), load_environment(tmp_path / "sky.hdr")
    assert np.array_equal(a.radiance, b.radiance)


@needs_data
def test_a_real_sky_is_bright_above():
    light = load_environment(DATA / "mud_road_puresky_1k.hdr")
    assert light.radiance.shape == (512, 1024, 3)
    up, down = light.irradiance(np.array([(0, 0, 1), (0, 0, -1)], np.float32))
    assert (up > down).all()
    assert (light.mean > 0).all()
