"""Addresses as people type them, made into what ZeroMQ connects to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from weft_wire.errors import WireError
from weft_wire.keys import public_from_hex, read_pairing

__all__ = ["DEFAULT_PORT", "Endpoint", "endpoint", "is_loopback", "normalise"]

DEFAULT_PORT = 7720
HINT = "write HOST:PORT, for instance 127.0.0.1:7720; add #KEY for a server elsewhere"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server to connect to: `tcp://host:port` and its public key."""

    address: str
    server_key: bytes


def normalise(text: str) -> tuple[str, str]:
    """("tcp://host:port", key in hex or "") from host, host:port, tcp://…, http://host:port/, [::1]:port, …#KEY."""
    rest, _, key = text.strip().partition("#")
    rest = re.sub(r"^[a-z]+://", "", rest, flags=re.IGNORECASE).rstrip("/")
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", rest)
    if not match:
        raise WireError("bad_address", f"{text!r} is no server address", HINT)
    port = int(match[2]) if match[2] else DEFAULT_PORT
    if not 0 < port < 65536:
        raise WireError("bad_address", f"port {port} of {text!r} must be between 1 and 65535", HINT)
    return f"tcp://{match[1]}:{port}", key


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def endpoint(address: str | None, folder: Path) -> Endpoint:
    """Where to connect: the given address, or the paired local server's; the key from the address or the pairing."""
    pairing = read_pairing(folder)
    if address is None:
        if pairing is None:
            raise WireError("server_absent", "no Weft server runs here", "start one with `weft serve`")
        return Endpoint(pairing.address, pairing.server_key)
    url, key = normalise(address)
    if key:
        return Endpoint(url, public_from_hex(key))
    if pairing is not None and (_same(url, pairing.address) or is_loopback(_host(url))):
        return Endpoint(url, pairing.server_key)
    if is_loopback(_host(url)):
        message = f"no Weft server answers at {url}"
        raise WireError("server_absent", message, f"start one with `weft serve --port {url.rpartition(':')[2]}`")
    message = f"the public key of the server at {url} is not known here"
    raise WireError("unauthorized", message, f"write {url}#KEY; `weft keys list` on the server prints KEY")


def _host(url: str) -> str:
    return url.removeprefix("tcp://").rpartition(":")[0]


def _same(one: str, other: str) -> bool:
    def loop(url: str) -> str:
        return "127.0.0.1" if is_loopback(_host(url)) else _host(url)

    return (loop(one), one.rpartition(":")[2]) == (loop(other), other.rpartition(":")[2])
