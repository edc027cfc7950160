"""Damaged splat files: cut, with bytes changed, with made-up headers. Each failure is one line with a remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice_splat_files import cloud, compressed_ply, dot_splat, inria, inria_names, odd_file, spz

from weft.errors import WeftError
from weft.io import load_splats, save_splats

WHOLE = {
    ".ply": [inria(cloud(6, 1)), odd_file(cloud(6, 1)), compressed_ply(cloud(300, 1))],
    ".splat": [dot_splat(cloud(6, 0))],
    ".spz": [spz(cloud(6, 1), version) for version in (1, 2, 3, 4)],
}


def reading_is_safe(path: Path, data: bytes) -> bool:
    """Whether `data` was read. A failure is a WeftError of one line, never anything else."""
    path.write_bytes(data)
    try:
        file = load_splats(path)
    except WeftError as error:
        if not error.hint or "\n" in str(error):
            pytest.fail(f"unclear: {error!r}")
        return False
    assert file.splats.count > 0
    save_splats(path.with_name("out.ply"), file, dc=np.zeros((file.splats.count, 3), np.float32), degree=0)
    return True


@pytest.mark.parametrize("suffix", WHOLE)
def test_cut_anywhere(tmp_path: Path, suffix: str) -> None:
    """No prefix passes for the whole, but whole rows of .splat, which has no header, and odd_file without its tail."""
    for whole in WHOLE[suffix]:
        spare = len(b"12345behind") if whole.endswith(b"behind") else 0
        for length in range(0, len(whole), max(1, len(whole) // 300)):
            read = reading_is_safe(tmp_path / f"cut{suffix}", whole[:length])
            assert not read or (suffix == ".splat" and length % 32 == 0) or length >= len(whole) - spare


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(sorted(WHOLE)))
    whole = bytearray(data.draw(st.sampled_from(WHOLE[suffix])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(whole), 900) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    reading_is_safe(tmp_path / f"changed{suffix}", bytes(whole))


WORDS = [
    *("format ascii 1.0", "format binary_little_endian 1.0", "element vertex 3", "element vertex -1"),
    *("element vertex x", "element chunk 1", "element sh 3", "element vertex 9999999999999999999999", "element"),
    *("property", "property foo x", "property list uchar int a", "property list uchar int x", "\0", "é"),
    *("comment property float x", "end_header", "property uint packed_position", "property double opacity"),
    *("property float f_rest_8", "property float f_rest_0000"),
    *(f"property float {name}" for name in inria_names(0)),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.sampled_from(WORDS), max_size=30), body=st.binary(max_size=200))
def test_made_up_headers(tmp_path: Path, lines: list[str], body: bytes) -> None:
    data = "\n".join(["ply", *lines, "end_header", ""]).encode() + body
    reading_is_safe(tmp_path / "header.ply", data)
