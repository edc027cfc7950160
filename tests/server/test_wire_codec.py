"""The codec: what goes in comes out, and whatever else arrives is refused in one typed way."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft_wire.arrays import ArrayRef
from weft_wire.codec import PREFIX, decode, encode, request_of, unpack
from weft_wire.errors import WireError
from weft_wire.messages import CHUNK, HEADER, KINDS, MESSAGES, PROTOCOL, BlobPut, Hello, Ping, Submit
from weft_wire.parameters import Param, params_of

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def values(kind: Any, rule: Param) -> st.SearchStrategy[Any]:
    """Anything that the declaration allows."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    low, high = rule.minimum, rule.maximum
    if origin in (types.UnionType, typing.Union):
        return st.none() | values(arguments[0], rule)
    if origin is tuple:
        item = st.integers(0, 2**20) if arguments[0] is int else values(arguments[0], Param())
        return st.lists(item, max_size=4).map(tuple)
    if origin is dict:
        return st.dictionaries(st.text(max_size=8), plain, max_size=4)
    if dataclasses.is_dataclass(kind):
        return messages(kind)
    if rule.choices:
        return st.sampled_from(rule.choices)
    if kind is str:
        return st.text(min_size=int(low or 0), max_size=min(int(high or 40), 80))
    if kind is int and rule.zero:
        return st.just(0) | st.integers(int(low or 0), int(high or 2**63 - 1))
    if kind is int:
        return st.integers(int(low or 0), int(high or 2**63 - 1))
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    return st.booleans()


def messages(cls: Any) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{field.name: values(kind, rule) for field, kind, rule in params_of(cls)})


any_message = st.sampled_from(list(MESSAGES.values())).flatmap(messages)


@given(any_message, st.binary(max_size=100))
@settings(max_examples=300, deadline=None)
def test_every_message_survives_the_wire(message: Any, payload: bytes) -> None:
    kind = KINDS[type(message)]
    frames = encode(message, payload if kind.payload else None)
    again, data = decode(frames, sender=kind.sender)
    assert again == message
    assert data == (payload if kind.payload else None)


def hurt(frames: list[bytes], where: int, how: bytes) -> list[bytes]:
    """Some bytes of the header, overwritten."""
    header = frames[1]
    where %= len(header)
    return [frames[0], header[:where] + how + header[where + len(how) :], *frames[2:]]


@given(any_message, st.integers(0, 2**16), st.binary(min_size=1, max_size=6), st.sampled_from(["client", "server"]))
@settings(max_examples=500, deadline=None)
def test_hurt_messages_are_typed_errors_or_messages(message: Any, where: int, how: bytes, sender: str) -> None:
    frames = hurt(encode(message, b"x" if KINDS[type(message)].payload else None), where, how)
    request_of(frames)
    with contextlib.suppress(WireError):  # any other error fails the test
        again, _ = decode(frames, sender=sender)
        assert KINDS[type(again)].sender == sender if again else sender == "server"


@given(st.lists(st.binary(max_size=64), max_size=5))
@settings(max_examples=300, deadline=None)
def test_noise_is_a_typed_error(frames: list[bytes]) -> None:
    request_of(frames)
    with pytest.raises(WireError):
        decode(frames, sender="client")


def header(**fields: Any) -> bytes:
    return bytes(msgpack.packb(fields) or b"")


@pytest.mark.parametrize(
    "frames",
    [
        [PREFIX, header(verb="PING", request=1, extra=2)],
        [PREFIX, header(verb="PING", request="one")],
        [PREFIX, header(verb="PING", request=-1)],
        [PREFIX, header(verb="PING", request=2**64 - 1)],
        [PREFIX, header(verb="PONG", request=1)],
        [PREFIX, header(verb="__class__")],
        [PREFIX, header(verb=["PING"])],
        [PREFIX, header(verb="PING"), b"payload"],
        [PREFIX, header(verb="HELLO")],
        [PREFIX, header(verb="BLOB_PUT", sha256="0" * 64, nbytes=1, offset=0)],
        [PREFIX, header(verb="BLOB_PUT", sha256="0" * 64, nbytes=1, offset=0), bytes(CHUNK + 1)],
        [PREFIX, b"\x81\xa4verb\xa4PING" + bytes(HEADER)],
        [PREFIX, b"\xdf\xff\xff\xff\xff"],
        [PREFIX, b"\x91" * 60_000],
        [PREFIX, msgpack.packb({1: 2})],
        [PREFIX, msgpack.packb(msgpack.ExtType(1, b"x"))],
        [b"WEFT", header(verb="PING")],
        [b"GET / HTTP/1.1", b""],
        [PREFIX],
        [],
    ],
)
def test_each_malformed_message_is_refused(frames: list[bytes]) -> None:
    with pytest.raises(WireError) as caught:
        decode(frames, sender="client")
    assert caught.value.code == "malformed"


def test_another_version_is_named() -> None:
    frames = [b"WEFT" + bytes([PROTOCOL + 1]), header(verb="PING")]
    with pytest.raises(WireError, match=f"speaks protocol {PROTOCOL}, the other end protocol {PROTOCOL + 1}"):
        decode(frames, sender="client")
    greeting = encode(Hello(PROTOCOL + 1, PROTOCOL + 1))
    again, _ = decode([frames[0], greeting[1]], sender="client")
    assert again.newest == PROTOCOL + 1  # so that the greeting can be answered


def test_unknown_fields_of_the_server_are_ignored() -> None:
    frames = [PREFIX, header(verb="PONG", request=3, invented_later=True)]
    assert decode(frames, sender="server")[0].request == 3
    assert decode([PREFIX, header(verb="INVENTED_LATER")], sender="server") == (None, None)


def test_a_misspelt_field_gets_a_hint() -> None:
    with pytest.raises(WireError, match="did you mean request"):
        decode([PREFIX, header(verb="PING", reqest=1)], sender="client")


def test_what_cannot_be_sent_is_refused_before_it_is_sent() -> None:
    ref = ArrayRef("data", "f4", (1,), "0" * 64)
    with pytest.raises(WireError, match="fewer objects"):
        encode(Submit("j", "t", {"x": "y" * HEADER}, (ref,)))
    with pytest.raises(WireError, match="cannot be sent"):
        encode(Submit("j", "t", {"x": object()}, ()))


def test_payloads_are_not_copied() -> None:
    data = memoryview(bytearray(CHUNK))
    assert encode(BlobPut("0" * 64, CHUNK, 0), data)[2] is data
    assert len(encode(Ping())) == 2


def test_small_headers_stay_small_objects() -> None:
    """64 KiB of the most expensive msgpack there is, bounded by the limits on counts."""
    with pytest.raises(WireError):
        unpack(b"\xdc\xff\xff" + b"\x80" * 65_000)
