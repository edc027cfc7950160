"""A real server, real sockets, a real worker: what the protocol promises."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import numpy as np
import pytest
import zmq
from practice_servers import PATIENCE, connect, ending, wait_until
from weft_server.server import Server
from weft_wire.address import Endpoint
from weft_wire.channel import Channel
from weft_wire.client import Client
from weft_wire.codec import PREFIX, decode, encode, pack
from weft_wire.errors import WireError
from weft_wire.events import PreviewEvent, ProgressEvent, StateEvent, WarningEvent
from weft_wire.keys import KeyPair, key_pair, read_pairing, revoke
from weft_wire.messages import BlobHave, BlobPut, Fetch, Hello, Jobs, List, Submit

NUMBERS = np.random.default_rng(0).standard_normal(1000).astype("f4")
ONE = {"data.0.values": NUMBERS}


def test_a_job_from_submit_to_release(client: Client) -> None:
    large = np.random.default_rng(1).standard_normal(3 << 18).astype("f4")  # 3 MiB: more than a chunk
    job_id = client.submit(
        "practice", {"steps": 3, "preview": 700}, {**ONE, "data.1.values": large}, ["cube", "kugel ö"]
    )
    events = list(client.events(job_id, timeout=PATIENCE))
    durable = [event for event in events if isinstance(event, StateEvent | WarningEvent)]
    assert [event.seq for event in durable] == [1, 2, 3, 4]
    assert [e.state for e in durable if isinstance(e, StateEvent)] == ["queued", "running", "succeeded"]
    assert any(isinstance(event, ProgressEvent) and event.phase == "practising" for event in events)
    previews = [event for event in events if isinstance(event, PreviewEvent)]
    assert previews[-1].image.shape == (700, 700, 3)  # 1.4 MiB: two chunks
    assert (previews[-1].image == 255).all()
    result = client.fetch(job_id)
    assert result.arrays["doubled.0"].tobytes() == (2 * NUMBERS).tobytes()
    assert result.arrays["doubled.1"].tobytes() == (2 * large).tobytes()
    assert result.info["labels"] == ["cube", "kugel ö"]
    assert client.fetch(job_id).arrays["doubled.1"].tobytes() == (2 * large).tobytes()
    client.release(job_id)
    assert client.jobs() == []
    with pytest.raises(WireError, match="there is no job"):
        client.fetch(job_id)


def test_what_the_server_says_about_itself(client: Client) -> None:
    wait_until(lambda: client.welcome.ready)
    assert client.welcome.limits.open_jobs == 4
    assert client.welcome.capabilities["device"] == "practice"
    assert client.welcome.capabilities["tasks"]["practice"]["params"][0]["name"] == "steps"


@pytest.mark.parametrize(
    ("params", "arrays", "code"),
    [
        ({"steps": 0}, ONE, "invalid_parameter"),
        ({"stops": 3}, ONE, "invalid_parameter"),
        ({}, {}, "invalid_array"),
        ({}, {"data.0.values": np.zeros(3)}, "invalid_array"),
        ({}, {"data.0.values": np.array([1, np.nan], "f4")}, "invalid_array"),
        ({}, {**ONE, "data.0.order": np.array([0, 1000], "i4")}, "invalid_array"),
        ({}, {**ONE, "data.0.order": np.array([-1], "i4")}, "invalid_array"),
        ({}, {"data.0.values": np.zeros(17 << 20, "f4")}, "too_large"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    client: Client, params: dict[str, Any], arrays: dict[str, np.ndarray], code: str
) -> None:
    with pytest.raises(WireError) as caught:
        client.submit("practice", params, arrays)
    assert caught.value.code == code
    assert client.jobs() == []


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


class Raw:
    """A client that sends whatever it likes."""

    def __init__(self, server: Server, name: str = "raw", greet: bool = True, routing_id: bytes = b"") -> None:
        home = server.options.home
        connect(home, name).close()  # authorises the key
        pairing = read_pairing(home)
        assert pairing is not None
        self.context: zmq.Context[Any] = zmq.Context()
        keys = key_pair("client", home / "clients" / name / "keys")
        self.channel = Channel(self.context, Endpoint(pairing.address, pairing.server_key), keys)
        if routing_id:
            self.channel.socket.disconnect(pairing.address)
            self.channel.socket.routing_id = routing_id
            self.channel.socket.connect(pairing.address)
        if greet:
            self.welcome = self.ask(Hello(1, 1))

    def exchange(self, frames: list[Any]) -> Any:
        self.channel.socket.send_multipart(frames)
        return self.receive()

    def receive(self) -> Any:
        assert self.channel.socket.poll(int(PATIENCE * 1000)), "no answer"
        message, self.payload = decode(self.channel.socket.recv_multipart(copy=False), sender="server")
        if type(message).__name__ == "Welcome" and hasattr(self, "welcome"):
            return self.receive()  # the capabilities changed
        return message

    def ask(self, message: Any, payload: Any = None) -> Any:
        return self.exchange(encode(message, payload))

    def close(self) -> None:
        self.channel.close()
        self.context.destroy(0)


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


def test_clients_take_turns(server: Server, client: Client) -> None:
    with connect(server.options.home, "bob") as bob:
        ours = [client.submit("practice", {"pause": 0.2}, ONE, job_id=f"ours {i}") for i in range(3)]
        theirs = bob.submit("practice", {}, ONE, job_id="theirs")
        assert ending(bob, theirs).state == "succeeded"
        states = {job.job_id: job.state for job in client.jobs()}
        assert states["ours 2"] == "queued"  # came first, and waits nevertheless
        assert [ending(client, job).state for job in ours] == ["succeeded"] * 3


def test_the_share_of_a_client_and_the_queue_are_bounded(server: Server, client: Client) -> None:
    jobs = [client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE) for _ in range(4)]
    with pytest.raises(WireError, match="you have 4 jobs open") as caught:
        client.submit("practice", {}, ONE)
    assert (caught.value.code, caught.value.retry_after) == ("busy", 10.0)
    with connect(server.options.home, "carol") as carol:
        more = [carol.submit("practice", {}, ONE) for _ in range(3)]
        with pytest.raises(WireError, match="6 jobs are waiting"):
            carol.submit("practice", {}, ONE)
        for owner, job in [(carol, job) for job in more] + [(client, job) for job in reversed(jobs)]:
            owner.cancel(job)
            assert ending(owner, job).state == "cancelled"


def test_the_same_job_again_is_the_same_job(client: Client) -> None:
    first = client.submit("practice", {}, ONE, job_id="again")
    ending(client, first)
    assert client.submit("practice", {"steps": 3}, ONE, job_id="again") == first
    assert len(client.jobs()) == 1
    with pytest.raises(WireError, match="exists, with other content") as caught:
        client.submit("practice", {"steps": 4}, ONE, job_id="again")
    assert caught.value.code == "conflict"


def test_what_was_uploaded_is_not_uploaded_again(server: Server) -> None:
    raw = Raw(server, "dedupe")
    data = secrets.token_bytes(4000)
    name = hashlib.sha256(data).hexdigest()
    assert raw.ask(BlobHave(name, 4000, 1)).offset == 0
    assert raw.ask(BlobPut(name, 4000, 0, 2), data).complete
    again = raw.ask(BlobHave(name, 4000, 3))
    assert (again.offset, again.complete) == (4000, True)
    raw.close()


def test_a_job_can_be_watched_from_another_connection(server: Server) -> None:
    with connect(server.options.home, "twin") as one, connect(server.options.home, "twin") as other:
        job_id = one.submit("practice", {"steps": 30, "pause": 0.02}, ONE)
        late = [event for event in other.events(job_id, after_seq=1) if isinstance(event, StateEvent)]
        assert [event.state for event in late] == ["running", "succeeded"]
        assert ending(one, job_id).state == "succeeded"


def test_results_that_are_not_there_say_why(client: Client) -> None:
    running = client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE)
    with pytest.raises(WireError) as caught:
        client.fetch(running)
    assert caught.value.code == "not_finished"
    with pytest.raises(WireError, match="cancel it first"):
        client.release(running)
    client.cancel(running)
    assert ending(client, running).state == "cancelled"
    with pytest.raises(WireError) as caught:
        client.fetch(running)
    assert caught.value.code == "job_cancelled"
    failed = client.submit("practice", {"behaviour": "refuse"}, ONE)
    assert ending(client, failed).code == "invalid_input"
    with pytest.raises(WireError, match=r"ended failed: the numbers are odd \(send even ones\)"):
        client.fetch(failed)


def test_many_jobs_are_listed_page_by_page(client: Client) -> None:
    jobs = []
    for i in range(3):
        jobs.append(client.submit("practice", {"steps": 1}, ONE, job_id=f"job {i}"))
        ending(client, jobs[-1])
    assert [job.job_id for job in client.jobs()] == jobs


def test_submit_answers_quickly_while_a_job_runs(client: Client) -> None:
    """Not a measurement: a control request must not wait for the job."""
    running = client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE)
    begin = time.monotonic()
    client.jobs()
    assert time.monotonic() - begin < 20
    client.cancel(running)
    ending(client, running)


def test_a_submit_without_its_arrays_is_refused(server: Server) -> None:
    raw = Raw(server, "hasty")
    message = {"verb": "SUBMIT", "job_id": "j", "task": "practice", "params": {}, "request": 1}
    ref = {"name": "data.0.values", "dtype": "f4", "shape": [2], "sha256": "ab" * 32}
    assert raw.exchange([PREFIX, pack({**message, "arrays": [ref]})]).code == "missing_blob"
    assert raw.exchange([PREFIX, pack({**message, "task": "x", "arrays": []})]).code == "unknown_task"
    assert isinstance(raw.ask(List(request=2)), Jobs)
    assert Submit("j", "practice", {}, ()).labels == ()
    raw.close()
