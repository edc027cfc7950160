"""Messages to frames and back: `[magic + major version][msgpack header ≤ 64 KiB][payload ≤ 1 MiB, for some verbs]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

from weft_wire.errors import WireError
from weft_wire.messages import CHUNK, HEADER, KINDS, MESSAGES, PROTOCOL
from weft_wire.parameters import from_mapping, to_mapping

__all__ = ["MAGIC", "decode", "encode", "pack", "unpack"]

MAGIC = b"WEFT"
PREFIX = MAGIC + bytes([PROTOCOL])


def pack(value: Any) -> bytes:
    """Plain values as msgpack; what msgpack does not know raises."""
    try:
        return bytes(msgpack.packb(value, use_bin_type=True) or b"")
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError) as error:
        raise WireError("malformed", f"this cannot be sent: {error}", "send numbers, texts, lists and maps") from error


def unpack(data: Any, *, largest: int = HEADER) -> Any:
    """The inverse, strict: no extension types, text keys only, at most `largest` bytes."""
    if len(data) > largest:
        raise WireError("malformed", f"a header of {len(data)} bytes came; at most {largest} are allowed")
    try:
        return msgpack.unpackb(
            data, raw=False, strict_map_key=True, max_str_len=HEADER, max_bin_len=HEADER,
            max_array_len=8192, max_map_len=2048, max_ext_len=0,
        )  # fmt: skip
    except Exception as error:  # msgpack raises a dozen kinds; RecursionError and MemoryError derive from none of them
        raise WireError("malformed", f"the header is not valid msgpack ({type(error).__name__})") from error


def encode(message: Any, payload: Any = None) -> list[Any]:
    """The frames of one message; `payload` is any contiguous buffer of bytes."""
    kind = KINDS[type(message)]
    header = pack({"verb": kind.verb, **to_mapping(message)})
    if len(header) > HEADER:
        message_text = f"the {kind.verb} message has {len(header)} bytes; at most {HEADER} are allowed"
        raise WireError("too_large", message_text, "fewer objects in one job")
    return [PREFIX, header] if payload is None else [PREFIX, header, payload]


def decode(frames: Sequence[Any], *, sender: str) -> tuple[Any, Any]:
    """(message, payload or None) from the frames that `sender` ("client" | "server") sent.

    What is unknown of a client's is refused with a hint; of a server's, fields are ignored and verbs give (None, None),
    so that newer servers may say more.
    """
    buffers = [getattr(frame, "buffer", frame) for frame in frames]
    if len(buffers) not in (2, 3):
        raise WireError("malformed", f"a message has 2 or 3 frames, not {len(buffers)}")
    header = _header(buffers)
    cls = MESSAGES.get(header.pop("verb"))
    if cls is None and sender == "server":
        return None, None
    kind = KINDS.get(cls) if cls else None
    if cls is None or kind is None or kind.sender != sender:
        raise WireError("malformed", "the verb is unknown", f"verbs: {', '.join(MESSAGES)}")
    payload = buffers[2] if len(buffers) == 3 else None
    if kind.payload is not (payload is not None):
        raise WireError("malformed", f"{kind.verb} comes {'with' if kind.payload else 'without'} a payload")
    if payload is not None and len(payload) > CHUNK:
        raise WireError("malformed", f"a payload of {len(payload)} bytes came; at most {CHUNK} are allowed")
    return from_mapping(cls, header, code="malformed", extra="refuse" if sender == "client" else "ignore"), payload


def request_of(frames: Sequence[Any]) -> int:
    """The request number of a message that may be malformed otherwise, so that its error finds its way; else 0."""
    try:
        number = _header([getattr(frame, "buffer", frame) for frame in frames]).get("request", 0)
    except (WireError, IndexError):
        return 0
    return number if isinstance(number, int) and 0 <= number < 2**63 else 0


def _header(buffers: Sequence[Any]) -> dict[str, Any]:
    prefix = bytes(buffers[0][:6])
    if prefix[:4] != MAGIC or len(prefix) != 5:
        raise WireError("malformed", "this is no Weft message", "is another program using this port?")
    if prefix[4] != PROTOCOL and _verb(buffers[1]) not in ("HELLO", "ERROR"):
        raise version_error(prefix[4])
    header = unpack(buffers[1])
    if not isinstance(header, dict) or not isinstance(header.get("verb"), str):
        raise WireError("malformed", "the header must be a map with a verb")
    return header


def _verb(data: Any) -> str:
    try:
        header = unpack(data)
    except WireError:
        return ""
    return str(header.get("verb", "")) if isinstance(header, dict) else ""


def version_error(theirs: int | str) -> WireError:
    message = f"this end speaks protocol {PROTOCOL}, the other end protocol {theirs}"
    return WireError("protocol_version", message, "install the same version of Weft on both sides")
