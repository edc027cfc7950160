"""Strangers, careless programs and nosy neighbours: typed refusals, and honest clients are served all the same."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import numpy as np
import pytest
import zmq
from practice_servers import PATIENCE, Raw, connect, ending, wait_until

from weft_server.server import Server
from weft_wire.address import Endpoint
from weft_wire.channel import Channel
from weft_wire.client import Client
from weft_wire.codec import PREFIX, encode, pack
from weft_wire.errors import WireError
from weft_wire.keys import KeyPair, read_pairing, revoke
from weft_wire.messages import BlobHave, BlobPut, Fetch, Hello, Jobs, List

NUMBERS = np.random.default_rng(0).standard_normal(1000).astype("f4")
ONE = {"data.0.values": NUMBERS}


def test_the_server_checks_what_a_careless_client_did_not(server: Server, client: Client) -> None:
    raw = Raw(server)
    bad = np.array([1, np.inf], "<f4").tobytes()
    name = hashlib.sha256(bad).hexdigest()
    assert raw.ask(BlobPut(name, 8, 0, 1), bad).complete
    ref = {"name": "data.0.values", "dtype": "f4", "shape": [2], "sha256": name}
    for change, code in (
        ({}, "invalid_array"),
        ({"shape": [3]}, "invalid_array"),
        ({"shape": [-2]}, "invalid_array"),
        ({"shape": [2**40, 2**40]}, "malformed"),
        ({"dtype": "O"}, "malformed"),
        ({"sha256": "0" * 64}, "missing_blob"),
        ({"sha256": "../" * 21 + "x"}, "unknown_blob"),
        ({"name": "../data"}, "invalid_array"),
    ):
        header = {"verb": "SUBMIT", "job_id": "j", "task": "practice", "params": {}, "arrays": [{**ref, **change}]}
        answer = raw.exchange([PREFIX, pack({**header, "request": 7})])
        if change == {"shape": [2**40, 2**40]}:
            assert answer.code in ("invalid_array", "too_large")
        else:
            assert answer.code == code, (change, answer)
        assert answer.request == 7
    raw.close()


def test_the_server_answers_nonsense_and_stays(server: Server, client: Client) -> None:
    raw = Raw(server, greet=False)
    assert raw.ask(List(request=5)).code == "hello_first"
    answer = raw.ask(Hello(99, 100, "future client"))
    assert answer.code == "protocol_version"
    assert "future client" in answer.message
    assert raw.exchange([b"WEFT\x63", pack({"verb": "PING"})]).code == "protocol_version"
    raw.welcome = raw.ask(Hello(1, 1))
    generator = np.random.default_rng(3)
    for frames in (
        [b""], [b"x"], [b"x"] * 9, [PREFIX, b"\xc1"], [PREFIX, b""], [PREFIX, pack({"verb": "NONE"})],
        [PREFIX, pack({"verb": "LIST", "request": 3, "bogus": 1})], [PREFIX, pack([1, 2])],
        *([PREFIX, generator.bytes(40)] for _ in range(50)),
    ):  # fmt: skip
        answer = raw.exchange(frames)
        assert answer.code == "malformed", (frames, answer)
    assert isinstance(raw.ask(List(request=9)), Jobs)
    raw.close()
    job_id = client.submit("practice", {}, ONE)
    assert ending(client, job_id).state == "succeeded"


def test_more_chunks_than_the_credit_are_refused(server: Server) -> None:
    raw = Raw(server)
    frames = encode(Fetch("0" * 64, 0, 1))
    count = 400
    for _ in range(count):
        raw.channel.socket.send_multipart(frames)
    codes = {raw.receive().code for _ in range(count)}
    assert codes <= {"unknown_blob", "credit_exceeded"}
    assert raw.ask(Fetch("0" * 64, 0, 2)).code == "unknown_blob"
    raw.close()


def test_random_keys_are_refused_and_told_so(server: Server) -> None:
    pairing = read_pairing(server.options.home)
    assert pairing is not None
    context: zmq.Context[Any] = zmq.Context()
    for _ in range(5):
        stranger = Channel(context, Endpoint(pairing.address, pairing.server_key), KeyPair(*zmq.curve_keypair()))
        with pytest.raises(WireError, match="weft keys authorize"):
            wait_until(lambda stranger=stranger: stranger.check())
        stranger.close()
    context.destroy(0)


def test_a_wrong_server_key_is_noticed(server: Server) -> None:
    pairing = read_pairing(server.options.home)
    assert pairing is not None
    key = "00" * 31 + "11"
    with pytest.raises(WireError, match="no Weft server, or one with another key"):
        Client(f"{pairing.address}#{key}", key_dir=server.options.home / "keys", timeout=PATIENCE)


def test_a_revoked_key_is_shut_out_of_a_living_connection(server: Server) -> None:
    with connect(server.options.home, "mallory") as mallory:
        assert mallory.jobs() == []
        revoke("mallory", server.options.home / "keys")
        with pytest.raises(WireError) as caught:
            wait_until(lambda: mallory.jobs() and False)
        assert caught.value.code == "unauthorized"


def test_two_clients_see_nothing_of_each_other(server: Server, client: Client) -> None:
    job_id = client.submit("practice", {}, ONE)
    ending(client, job_id)
    (result_hash,) = [hashlib.sha256((2 * NUMBERS).tobytes()).hexdigest()]
    with connect(server.options.home, "eve") as eve:
        assert eve.jobs() == []
        for name in (job_id, "never was"):
            for act in (eve.cancel, eve.release, eve.fetch, lambda n: list(eve.events(n))):
                with pytest.raises(WireError) as caught:
                    act(name)
                assert caught.value.code == "unknown_job"
                assert caught.value.message == f"there is no job {name}"
    raw = Raw(server, "eve2")
    assert raw.ask(Fetch(result_hash, 0, 1)).code == "unknown_blob"
    assert raw.ask(BlobHave(result_hash, 4000, 1)).offset == 0
    raw.close()
    assert client.fetch(job_id).arrays["doubled.0"].tobytes() == (2 * NUMBERS).tobytes()


def test_a_routing_id_is_not_an_identity(server: Server, client: Client) -> None:
    """Who takes the routing id of a connection that ended finds nothing behind it."""
    client.submit("practice", {}, ONE)
    alice = Raw(server, "alice", routing_id=b"chosen")
    assert isinstance(alice.ask(List(request=1)), Jobs)
    alice.close()
    time.sleep(0.2)
    bob = Raw(server, "bob", greet=False, routing_id=b"chosen")
    assert bob.ask(List(request=2)).code == "hello_first"
    bob.close()


def test_what_was_uploaded_is_not_uploaded_again(server: Server) -> None:
    raw = Raw(server, "dedupe")
    data = secrets.token_bytes(4000)
    name = hashlib.sha256(data).hexdigest()
    assert raw.ask(BlobHave(name, 4000, 1)).offset == 0
    assert raw.ask(BlobPut(name, 4000, 0, 2), data).complete
    again = raw.ask(BlobHave(name, 4000, 3))
    assert (again.offset, again.complete) == (4000, True)
    raw.close()


def test_a_submit_without_its_arrays_is_refused(server: Server) -> None:
    raw = Raw(server, "hasty")
    message = {"verb": "SUBMIT", "job_id": "j", "task": "practice", "params": {}, "request": 1}
    ref = {"name": "data.0.values", "dtype": "f4", "shape": [2], "sha256": "ab" * 32}
    assert raw.exchange([PREFIX, pack({**message, "arrays": [ref]})]).code == "missing_blob"
    assert raw.exchange([PREFIX, pack({**message, "task": "x", "arrays": []})]).code == "unknown_task"
    assert isinstance(raw.ask(List(request=2)), Jobs)
    raw.close()
