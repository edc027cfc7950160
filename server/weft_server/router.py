"""The server's one socket, with every option that its safety and patience rest on."""

from __future__ import annotations

from typing import Any

import zmq

from weft_server.gate import DOMAIN
from weft_server.options import ServerOptions
from weft_wire.address import is_loopback
from weft_wire.errors import WireError
from weft_wire.keys import KeyPair
from weft_wire.messages import CHUNK, HEARTBEAT, SILENCE

__all__ = ["open_router"]


def open_router(context: zmq.Context[Any], options: ServerOptions, keys: KeyPair) -> zmq.Socket[bytes]:
    """Bind a ROUTER that speaks CURVE only. The ZAP endpoint of the context must be bound before."""
    router: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    router.curve_server = True
    router.curve_secretkey, router.curve_publickey = keys.secret, keys.public
    router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
    router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it and the domain, no handler would mean no lock
    router.router_mandatory = 1  # with DONTWAIT: a stalled peer is an error, not a silent loss or a frozen thread
    router.router_handover = 0  # who copies a routing id must not receive its owner's messages
    router.sndhwm, router.rcvhwm = 8, 64
    router.linger = 0
    router.maxmsgsize = CHUNK + 4096
    router.heartbeat_ivl, router.heartbeat_timeout = int(HEARTBEAT * 1000), int(SILENCE * 1000)
    router.handshake_ivl = 10_000
    router.ipv6 = not is_loopback(options.bind)
    try:
        router.bind(f"tcp://{options.bind}:{options.port or '*'}")
    except zmq.ZMQError as error:
        message = f"port {options.port} of {options.bind} cannot be opened: {error.strerror}"
        raise WireError("bad_address", message, "another server may run; choose one with --port, or 0") from error
    return router
