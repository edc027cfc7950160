"""Quantised splats: each field comes back within half a step of what its writer was given; frames and bombs."""

from __future__ import annotations

import gzip
import itertools
import math
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard
from practice_splat_files import cloud, compressed_ply, spz, spz_arrays

from weft.errors import InvalidInput, MissingDependency
from weft.geometry.splats import Splats, covariances, evaluate_sh, flipped, transformed
from weft.io import load_splats


def loaded(tmp_path: Path, data: bytes, suffix: str) -> Splats:
    path = tmp_path / f"in{suffix}"
    path.write_bytes(data)
    return load_splats(path).splats


def turn_error(a: np.ndarray, b: np.ndarray) -> float:
    """The largest component of the difference of unit quaternions, of either sign."""
    a, b = (q / np.linalg.norm(q, axis=1, keepdims=True) for q in (a, b))
    return float(np.abs(a - b * np.sign((a * b).sum(1, keepdims=True))).max())


def soft(count: int, degree: int) -> Splats:
    """Splats within the range of every format: f_dc between 0 and 1 as colours, harmonics within ±1."""
    splats = cloud(count, degree)
    return replace(splats, sh=np.tanh(splats.sh).astype(np.float32))


# SuperSplat's compressed PLY


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [2, 256, 300])
def test_compressed_ply(tmp_path: Path, count: int, degree: int) -> None:
    splats = soft(count, degree)
    got = loaded(tmp_path, compressed_ply(splats), ".ply")
    assert (got.count, got.degree) == (splats.count, degree)
    for start in range(0, splats.count, 256):
        some = slice(start, start + 256)
        for name, steps in (("means", (2047, 1023, 2047)), ("log_scales", (2047, 1023, 2047))):
            value, back = getattr(splats, name)[some], getattr(got, name)[some]
            half_step = np.ptp(value, axis=0) / np.array(steps) / 2
            assert (np.abs(back - value) <= half_step * 1.001 + 1e-6).all()
        dc, back = splats.sh[some, 0], got.sh[some, 0]
        assert (np.abs(back - dc) <= np.ptp(dc, axis=0) / 255 / 2 * 1.001 + 1e-6).all()
    assert np.abs(got.opacity - splats.opacity).max() <= 0.5 / 255 + 1e-6
    assert turn_error(got.quaternions, splats.quaternions) < 3 * math.sqrt(2) / 1023
    above = splats.sh[:, 1:] - got.sh[:, 1:]  # a byte stands for the lower end of its step of 1/32
    assert ((above >= 0) & (above < 1 / 32)).all()


def test_compressed_ply_without_colour_bounds(tmp_path: Path) -> None:
    splats = soft(300, 1)
    got = loaded(tmp_path, compressed_ply(splats, color_bounds=False), ".ply")
    assert np.abs(got.colors - np.clip(splats.colors, 0, 1)).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"element chunk 2", b"element chunk 1", "cut short|1 chunks for 300"),
        (b"max_scale_z", b"max_scale_w", "lacks max_scale_z of type f4"),
        (b"uint packed_rotation", b"int packed_rotation", "lacks packed_rotation of type u4"),
        (b"uchar f_rest_3", b"uchar f_rest_x", "lacks f_rest_3 of type u1"),
        (b"element sh 300", b"element sh 299", "299 rows of 9, expected 300"),
        (b"property uchar f_rest_8\n", b"", "300 rows of 8"),
        (b"binary_little_endian", b"ascii", "ASCII"),
        (b"element vertex 300", b"element vertex 0", "0 splats"),
        (b"min_b", b"min_x", "damaged"),
    ],
)
def test_broken_compressed_ply(tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    whole = compressed_ply(soft(300, 1))
    assert old in whole
    with pytest.raises(InvalidInput, match=says) as caught:
        loaded(tmp_path, whole.replace(old, new), ".ply")
    assert caught.value.hint


# .spz


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spz(tmp_path: Path, version: int, degree: int) -> None:
    splats = soft(60, degree)
    splats.log_scales[0] = -9.96875  # half a step from the lowest that fits
    got = flipped(loaded(tmp_path, spz(splats, version), ".spz"), (1, -1, -1))  # back to the file's frame
    assert (got.count, got.degree) == (60, degree)
    step = 2**-10 * np.abs(splats.means).max() if version == 1 else 2**-12
    assert np.abs(got.means - splats.means).max() <= step / 2 * 1.001
    assert np.abs(got.log_scales - splats.log_scales).max() <= 1 / 32 + 1e-6
    assert np.abs(got.opacity - splats.opacity).max() <= 0.5 / 255 + 1e-6
    assert np.abs(got.sh[:, 0] - splats.sh[:, 0]).max() <= 0.5 / 255 / 0.15 + 1e-5
    assert np.abs(got.sh[:, 1:] - np.minimum(splats.sh[:, 1:], 127 / 128)).max(initial=0) <= 0.5 / 128 + 1e-6
    if version >= 3:
        assert turn_error(got.quaternions, splats.quaternions) < 3 * math.sqrt(0.5) / 511
    else:  # w is what x, y and z leave over: near w = 0 half a step of theirs is √(1/127) of it
        assert turn_error(got.quaternions, splats.quaternions) < 0.13


def test_spz_by_hand(tmp_path: Path) -> None:
    """One splat of version 2, byte by byte: y and z change sign in position, rotation and the odd harmonics."""
    position = (4096).to_bytes(3, "little") + (-2048).to_bytes(3, "little", signed=True) + (1).to_bytes(3, "little")
    body = position + bytes([51, 255, 127, 0, 160, 144, 0, 127, 255, 0])
    body += bytes([0, 128, 255, 192, 128, 128, 96, 128, 128])  # degree 1: -y, z, -x of red, green, blue
    data = gzip.compress(struct.pack("<4sIIBBBB", b"NGSP", 2, 1, 1, 12, 1, 0) + body)
    got = loaded(tmp_path, data, ".spz")
    assert got.means.tolist() == [[1, 0.5, -1 / 4096]]
    assert np.allclose(got.logits, math.log(0.2 / 0.8))
    assert np.allclose(got.sh[0, 0], [0.5 / 0.15, (127 / 255 - 0.5) / 0.15, -0.5 / 0.15])
    assert got.log_scales.tolist() == [[0, -1, -10]]
    x, y, z = 127 / 127.5 - 1, 1.0, -1.0
    assert np.allclose(got.quaternions, [[0, x, -y, -z]], atol=1e-6)
    assert got.sh[0, 1:].tolist() == [[1, 0, -127 / 128], [-0.5, 0, 0], [-0.25, 0, 0]]


FRAMES = {"R": (1, 0, 0), "L": (-1, 0, 0), "U": (0, 1, 0), "D": (0, -1, 0), "F": (0, 0, -1), "B": (0, 0, 1)}
NAMES = "LDB RDB LUB RUB LDF RDF LUF RUF LFD RFD LFU RFU LBD RBD LBU RBU"


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(("number", "name"), list(enumerate(NAMES.split(), 1)))
def test_spz_in_another_frame_shows_the_same(tmp_path: Path, version: int, number: int, name: str) -> None:
    """The extension says where the axes point: the same scene stored in any frame is the same once loaded."""
    scene = replace(soft(20, 3), sh=soft(20, 3).sh / 4)
    matrix = np.eye(4)
    matrix[:3, :3] = [FRAMES[letter] for letter in name]  # rows: the file's axes in right, up, back
    record = struct.pack("<III", 0xADBE0002, 4, 0) + struct.pack("<III", 0xADBE0003, 4, number)
    got = loaded(tmp_path, spz(transformed(scene, matrix), version, record), ".spz")
    expected = transformed(scene, np.diag([1, -1, -1, 1.0]))
    assert np.abs(got.means - expected.means).max() < 2**-12
    assert np.allclose(covariances(got), covariances(expected), atol=0.1 * np.abs(covariances(expected)).max())
    d = expected.means / np.linalg.norm(expected.means, axis=1, keepdims=True)
    assert np.abs(evaluate_sh(got.sh, d) - evaluate_sh(expected.sh, d)).max() < 0.05


def test_spz_of_degree_four_says_what_it_leaves_out(tmp_path: Path) -> None:
    splats = soft(20, 3)
    wide = replace(splats, sh=np.concatenate([splats.sh, np.ones((20, 9, 3), np.float32)], 1))
    path = tmp_path / "in.spz"
    path.write_bytes(spz(wide, 4, degree=4))
    file = load_splats(path)
    assert file.splats.degree == 3
    assert file.notes == ("the harmonics of degree 4 were left out",)
    assert np.array_equal(file.splats.sh, loaded(tmp_path, spz(splats, 4), ".spz").sh)


def header(version: int = 3, count: int = 5, degree: int = 1, fraction: int = 12, magic: bytes = b"NGSP") -> bytes:
    return struct.pack("<4sIIBBBB", magic, version, count, degree, fraction, 0, 0)


ARRAYS = b"".join(spz_arrays(soft(5, 1), 3))
PLAIN = spz(soft(5, 1), 4)
BROKEN = {
    "version 0": (gzip.compress(header(version=0) + ARRAYS), "version 0"),
    "version 9": (gzip.compress(header(version=9) + ARRAYS), "version 9"),
    "version 4 in gzip": (gzip.compress(header(version=4) + ARRAYS), "gzip, which"),
    "version 3 plain": (header() + ARRAYS, "plain, expected gzip"),
    "no splats": (gzip.compress(header(count=0) + ARRAYS), "0 splats"),
    "too many": (gzip.compress(header(count=4_000_000_000) + ARRAYS), "4000000000 splats, more than"),
    "a few more": (gzip.compress(header(count=6) + ARRAYS), "cut short"),
    "degree": (gzip.compress(header(degree=9) + ARRAYS), "degree 9"),
    "fraction": (gzip.compress(header(fraction=80) + ARRAYS), "80 fraction"),
    "magic": (gzip.compress(header(magic=b"OGSP") + ARRAYS), "no .spz header"),
    "cut": (gzip.compress(header() + ARRAYS)[:-20], "cut short"),
    "checksum": (gzip.compress(header() + ARRAYS)[:-8] + bytes(8), "gzip stream is damaged"),
    "gzip": (b"\x1f\x8b" + bytes(30), "gzip stream is damaged"),
    "streams": (PLAIN[:15] + b"\5" + PLAIN[16:], "does not name the 6 arrays"),
    "table before": (PLAIN[:16] + struct.pack("<I", 3) + PLAIN[20:], "lies outside"),
    "table behind": (PLAIN[:16] + struct.pack("<I", 1 << 31) + PLAIN[20:], "lies outside"),
    "size": (PLAIN[:40] + struct.pack("<Q", 1 << 50) + PLAIN[48:], "array 1 of 6"),
    "zstd": (PLAIN[:128] + bytes(len(PLAIN) - 128), "zstd"),
    "cut zstd": (PLAIN[:-9], "array 6 of 6"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_spz(tmp_path: Path, what: str) -> None:
    data, says = BROKEN[what]
    with pytest.raises(InvalidInput, match=says) as caught:
        loaded(tmp_path, data, ".spz")
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty megabytes behind a small header: gzip unpacks what the header asks for, zstd is not even begun."""
    count = 40_000
    bomb = gzip.compress(header(count=1) + bytes(50_000_000), 9)
    asked = []
    real = sys.modules["weft.io.splat_spz"].zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self.stream = real(wbits=wbits)

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            out = self.stream.decompress(data, most)
            asked.append(len(out))
            return out

    monkeypatch.setattr("weft.io.splat_spz.zlib.decompressobj", lambda wbits: Counting(wbits))
    assert loaded(tmp_path, bomb, ".spz").count == 1
    assert sum(asked) < 200_000

    sizes = [count * n for n in (9, 1, 3, 3, 4)]
    streams = [zstandard.ZstdCompressor().compress(bytes(50_000_000))] + [b"x" * 100_000] * 4
    toc = b"".join(struct.pack("<QQ", len(s), size) for s, size in zip(streams, sizes, strict=True))
    head = header(version=4, count=count, degree=0)[:15] + struct.pack("<BI12x", 5, 32)
    monkeypatch.setattr(zstandard, "ZstdDecompressor", lambda: pytest.fail("the bomb was unpacked"))
    with pytest.raises(InvalidInput, match="zstd"):
        loaded(tmp_path, head + toc + b"".join(streams), ".spz")


def test_version_four_without_zstandard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingDependency, match="pip install zstandard"):
        loaded(tmp_path, PLAIN, ".spz")
    assert loaded(tmp_path, spz(soft(5, 1), 3), ".spz").count == 5


def test_every_byte_of_a_rotation_has_a_meaning(tmp_path: Path) -> None:
    """Each largest component and each sign of the other three come back, in both codes of the smallest three."""
    signs = np.array(list(itertools.product((-1, 1), repeat=4)), np.float32)
    quaternions = np.concatenate([np.roll([0.8, 0.3, 0.4, 0.2], k) * signs for k in range(4)]).astype(np.float32)
    splats = replace(soft(len(quaternions), 0), quaternions=quaternions)
    assert turn_error(loaded(tmp_path, compressed_ply(splats), ".ply").quaternions, quaternions) < 0.003
    for version in (3, 4):
        got = flipped(loaded(tmp_path, spz(splats, version), ".spz"), (1, -1, -1))
        assert turn_error(got.quaternions, quaternions) < 0.003
