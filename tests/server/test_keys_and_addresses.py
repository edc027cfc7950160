"""Keys stay private and whole; addresses are understood as people write them."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq

from weft_wire.address import Endpoint, endpoint, is_loopback, normalise
from weft_wire.errors import WireError
from weft_wire.keys import (
    Pairing,
    authorize,
    authorized_keys,
    key_pair,
    public_from_hex,
    public_hex,
    read_pairing,
    revoke,
    write_pairing,
)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    pair = key_pair("client", tmp_path / "keys")
    assert key_pair("client", tmp_path / "keys") == pair
    assert zmq.curve_public(pair.secret) == pair.public
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "keys" / "client.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert [p.name for p in (tmp_path / "keys").iterdir()] == ["client.json"]


def test_racing_processes_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        pairs = set(pool.map(lambda _: key_pair("client", tmp_path), range(16)))
    assert len(pairs) == 1


def test_open_or_damaged_key_files_are_refused_and_kept(tmp_path: Path) -> None:
    key_pair("client", tmp_path)
    path = tmp_path / "client.json"
    if os.name == "posix":
        path.chmod(0o644)
        with pytest.raises(WireError, match="chmod 600"):
            key_pair("client", tmp_path)
        path.chmod(0o600)
    other = key_pair("other", tmp_path)
    for text in ("", "[]", "{}", '{"public": "00"}', path.read_text().replace("secret", "public")):
        path.write_text(text)
        with pytest.raises(WireError) as caught:
            key_pair("client", tmp_path)
        assert caught.value.code == "key_file"
        assert path.read_text() == text
    assert key_pair("other", tmp_path) == other


def test_public_keys_are_shown_in_hex(tmp_path: Path) -> None:
    public = key_pair("client", tmp_path).public
    assert public_from_hex(public_hex(public)) == public
    with pytest.raises(WireError, match="64 hex digits"):
        public_from_hex("00")


def test_a_malformed_authorised_key_locks_nobody_else_out(tmp_path: Path) -> None:
    public = public_hex(key_pair("client", tmp_path).public)
    authorize("alice", public, tmp_path)
    (tmp_path / "authorized" / "broken.json").write_text("{")
    keys, complaints = authorized_keys(tmp_path)
    assert list(keys) == ["alice"]
    assert len(complaints) == 1
    revoke("alice", tmp_path)
    assert authorized_keys(tmp_path)[0] == {}
    for name in ("alice", "../client", "broken.json/.."):
        with pytest.raises(WireError):
            revoke(name, tmp_path)
    for name in ("", "../x", "a/b", ".hidden"):
        with pytest.raises(WireError, match="cannot name a key"):
            authorize(name, public, tmp_path)


def test_the_pairing_file_comes_back_as_written(tmp_path: Path) -> None:
    assert read_pairing(tmp_path) is None
    pairing = Pairing("tcp://127.0.0.1:7720", key_pair("server", tmp_path).public, 12, "e", "0.1")
    write_pairing(pairing, tmp_path)
    assert read_pairing(tmp_path) == pairing
    (tmp_path / "server.json").write_text('{"address": 3}')
    with pytest.raises(WireError, match=r"server\.json is damaged"):
        read_pairing(tmp_path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1:7720", "tcp://127.0.0.1:7720"),
        ("localhost", "tcp://localhost:7720"),
        ("http://host:7720/", "tcp://host:7720"),
        ("TCP://render-01.studio:99", "tcp://render-01.studio:99"),
        ("  tcp://10.0.0.7:1  ", "tcp://10.0.0.7:1"),
        ("[::1]:7720", "tcp://[::1]:7720"),
    ],
)
def test_addresses_are_understood(written: str, meant: str) -> None:
    assert normalise(written) == (meant, "")
    assert normalise(f"{written.strip()}#ab") == (meant, "ab")


@pytest.mark.parametrize(
    "written", ["", "host:port", "host:0", "host:70000", "a b", "http://", "host:1:2", "ipc:///x y"]
)
def test_other_addresses_are_refused_with_an_example(written: str) -> None:
    with pytest.raises(WireError, match=r"127\.0\.0\.1:7720") as caught:
        normalise(written)
    assert caught.value.code == "bad_address"


def test_loopback_is_told_from_the_world() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "10.0.0.1", "example.org", "*", "::"]))


def test_where_the_server_key_comes_from(tmp_path: Path) -> None:
    key = key_pair("server", tmp_path / "keys").public
    with pytest.raises(WireError, match="no Weft server runs here"):
        endpoint(None, tmp_path)
    with pytest.raises(WireError, match="answers at tcp://127"):
        endpoint("127.0.0.1:7720", tmp_path)
    assert endpoint(f"far:1#{public_hex(key)}", tmp_path) == Endpoint("tcp://far:1", key)
    with pytest.raises(WireError, match="weft keys list"):
        endpoint("far:1", tmp_path)
    write_pairing(Pairing("tcp://127.0.0.1:7720", key, 12, "e", "0.1"), tmp_path)
    assert endpoint(None, tmp_path) == Endpoint("tcp://127.0.0.1:7720", key)
    assert endpoint("http://localhost:7720/", tmp_path) == Endpoint("tcp://localhost:7720", key)
