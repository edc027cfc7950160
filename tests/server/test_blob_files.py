"""Arrays on disk: there when verified and synced, resumed where they stopped, refused when the disk is full."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft_server.blobs import Blobs
from weft_wire.errors import WireError
from weft_wire.messages import CHUNK

ALICE, BOB = "a" * 64, "b" * 64
DATA = os.urandom(3 * CHUNK + 12345)
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Blobs]:
    with closing(blobs_in(tmp_path)) as opened:
        yield opened


def blobs_in(folder: Path, *, min_free_bytes: int = 1, largest: int = len(DATA)) -> Blobs:
    return Blobs(folder, min_free_bytes=min_free_bytes, largest=largest)


def upload(blobs: Blobs, data: bytes = DATA, name: str = NAME, owner: str = ALICE) -> int:
    """Returns how many bytes were sent."""
    offset, complete = blobs.have(owner, name, len(data))
    begin = offset
    while not complete:
        offset, complete = blobs.put(owner, name, len(data), offset, memoryview(data)[offset : offset + CHUNK])
    return len(data) - begin


def test_what_was_put_can_be_read(blobs: Blobs) -> None:
    upload(blobs)
    read = b"".join(blobs.read(ALICE, NAME, offset)[0] for offset in range(0, len(DATA), CHUNK))
    assert read == DATA
    assert blobs.read(ALICE, NAME, len(DATA)) == (b"", len(DATA))
    assert b"".join(map(bytes, blobs.blocks(ALICE, NAME))) == DATA
    assert blobs.have(ALICE, NAME, len(DATA)) == (len(DATA), True)


def test_an_empty_array_is_an_array(blobs: Blobs) -> None:
    name = hashlib.sha256().hexdigest()
    assert blobs.have(ALICE, name, 0) == (0, False)
    assert blobs.put(ALICE, name, 0, 0, memoryview(b"")) == (0, True)


@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=3).map(sorted))
@settings(max_examples=15, deadline=None)
def test_a_cut_upload_goes_on_where_it_stopped(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("blobs")
    for cut in cuts:
        blobs = blobs_in(folder)
        offset, _ = blobs.have(ALICE, NAME, len(DATA))
        while offset < cut < len(DATA):
            offset, _ = blobs.put(ALICE, NAME, len(DATA), offset, memoryview(DATA)[offset : min(offset + CHUNK, cut)])
        blobs.close()  # and another server begins
    with closing(blobs_in(folder)) as blobs:
        there = blobs.have(ALICE, NAME, len(DATA))[0]
        assert there == max([cut for cut in cuts if cut < len(DATA)], default=0)
        upload(blobs)
    assert blobs.path(ALICE, NAME).read_bytes() == DATA


def test_chunks_may_come_twice_and_from_two_connections(blobs: Blobs) -> None:
    whole = memoryview(DATA)
    for offset in (0, 0, CHUNK, 0, CHUNK, CHUNK // 2, 2 * CHUNK, 3 * CHUNK, CHUNK):
        there = blobs.put(ALICE, NAME, len(DATA), offset, whole[offset : offset + CHUNK])
    assert there == (len(DATA), True)
    assert blobs.path(ALICE, NAME).read_bytes() == DATA


def test_gaps_overruns_and_lies_are_refused(blobs: Blobs) -> None:
    with pytest.raises(WireError, match="0 is next"):
        blobs.put(ALICE, NAME, len(DATA), CHUNK, memoryview(DATA)[:CHUNK])
    with pytest.raises(WireError, match="0 is next"):
        blobs.put(ALICE, NAME, 10, 0, memoryview(DATA)[:CHUNK])
    with pytest.raises(WireError, match="at most"):
        blobs.have(ALICE, NAME, len(DATA) + 1)
    with pytest.raises(WireError, match="not those of"):
        upload(blobs, DATA[:-1] + bytes([DATA[-1] ^ 1]))
    assert not blobs.path(ALICE, NAME).exists()
    upload(blobs)


def test_nobody_sees_what_another_uploaded(blobs: Blobs) -> None:
    upload(blobs)
    assert blobs.have(BOB, NAME, len(DATA)) == (0, False)
    with pytest.raises(WireError, match="there is no array"):
        blobs.read(BOB, NAME, 0)


@pytest.mark.parametrize("name", ["../../../../etc/passwd", "A" * 64, "/" * 64, "." * 64, "a" * 63])
def test_names_never_reach_outside(blobs: Blobs, name: str) -> None:
    with pytest.raises(WireError, match="64 lower-case hex digits"):
        blobs.have(ALICE, name, 1)


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    full = blobs_in(tmp_path, min_free_bytes=1 << 60)
    with pytest.raises(WireError) as caught:
        full.have(ALICE, NAME, len(DATA))
    assert caught.value.code == "disk_full"
    with closing(blobs_in(tmp_path)) as roomy:
        upload(roomy)


def test_the_sweep_takes_what_is_old_and_unused(blobs: Blobs) -> None:
    used, fresh, old = (os.urandom(100) for _ in range(3))
    paths = [blobs.path(ALICE, hashlib.sha256(data).hexdigest()) for data in (used, fresh, old)]
    for data in (used, fresh, old):
        upload(blobs, data, hashlib.sha256(data).hexdigest())
    for path in (paths[0], paths[2]):
        os.utime(path, (1, 1))
    assert blobs.sweep({paths[0]}, 3600) == 1
    assert [path.exists() for path in paths] == [True, True, False]


def test_a_result_is_adopted_under_its_hash(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(DATA)
    blobs.adopt(ALICE, NAME, tmp_path / "result")
    assert blobs.have(ALICE, NAME, len(DATA)) == (len(DATA), True)
