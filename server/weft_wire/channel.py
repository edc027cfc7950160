"""One connection of a client: two encrypted sockets, so that a cancel never queues behind chunks. One thread only."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from weft_wire.address import Endpoint
from weft_wire.codec import decode, encode
from weft_wire.errors import WireError
from weft_wire.keys import KeyPair
from weft_wire.messages import CHUNK, HEARTBEAT, PROTOCOL, SILENCE, Hello, Ping

__all__ = ["Channel", "Link"]


class Channel:
    """A DEALER with CURVE and an ear on its handshake."""

    def __init__(self, context: zmq.Context[Any], end: Endpoint, keys: KeyPair) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        self._address = end.address
        self.connected = False
        self.heard = time.monotonic()
        self._spoke = self.heard
        options = self.socket
        options.curve_serverkey, options.curve_publickey, options.curve_secretkey = (
            end.server_key, keys.public, keys.secret,
        )  # fmt: skip
        options.sndhwm = options.rcvhwm = 0  # the credit bounds both directions
        options.linger = 0
        options.maxmsgsize = CHUNK + 4096
        options.heartbeat_ivl, options.heartbeat_timeout = int(HEARTBEAT * 1000), int(SILENCE * 1000)
        options.ipv6 = True
        self.monitor = self.socket.get_monitor_socket()
        try:
            self.socket.connect(end.address)
        except zmq.ZMQError as error:
            self.close()
            raise WireError("bad_address", f"{end.address} cannot be reached: {error}", "check the address") from error

    def send(self, message: Any, payload: Any = None) -> None:
        """Never blocks: the queue has no limit of its own. Large payloads are not copied."""
        frames = encode(message, payload)
        self._spoke = time.monotonic()
        self.socket.send_multipart(frames[:2], zmq.SNDMORE if payload is not None else 0)
        if payload is not None:
            self.socket.send(payload, copy=len(payload) < 65536)

    def received(self) -> Iterator[tuple[Any, Any]]:
        """Every message that has arrived, with its payload."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self.heard = time.monotonic()
            message, payload = decode(frames, sender="server")
            if message is not None:
                yield message, payload

    def check(self) -> None:
        """Raise when the handshake failed, the connection broke, or the server has been silent for too long."""
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)
            self._judge(event["event"])
        now = time.monotonic()
        if now - self.heard > SILENCE:
            raise WireError("not_connected", f"the server at {self._address} has been silent for {SILENCE:.0f} s")
        if now - self._spoke > HEARTBEAT:  # a client that only listens, to a long job say, must speak too
            self.send(Ping())

    def _judge(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.connected = True
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            message = f"the server at {self._address} does not know this client's key"
            raise WireError("unauthorized", message, "on the server: weft keys authorize NAME KEY; KEY: weft keys new")
        elif event == zmq.EVENT_CLOSED and not self.connected:
            message = f"no Weft server answers at {self._address}"
            port = self._address.rpartition(":")[2]
            raise WireError("server_absent", message, f"start one with `weft serve --port {port}`")
        elif event == zmq.EVENT_DISCONNECTED and self.connected:
            message = f"the connection to {self._address} was lost"
            raise WireError("not_connected", message, "it is taken up again as soon as the server answers")
        elif event in (zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL):
            message = f"what answers at {self._address} is no Weft server, or one with another key"
            raise WireError("handshake_failed", message, "check the port; a restarted server may have new keys")

    def close(self, linger: int = 0) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger)


class Link:
    """Both channels of one connection, greeted and watched together."""

    def __init__(self, context: zmq.Context[Any], end: Endpoint, keys: KeyPair, program: str, wake: int) -> None:
        self.control = Channel(context, end, keys)
        self.bulk = Channel(context, end, keys)
        self._poller = zmq.Poller()
        for channel in (self.control, self.bulk):
            self._poller.register(channel.socket, zmq.POLLIN)
            self._poller.register(channel.monitor, zmq.POLLIN)
            channel.send(Hello(PROTOCOL, PROTOCOL, program))
        self._poller.register(wake, zmq.POLLIN)

    def wait(self, seconds: float) -> None:
        """Until something can be read or done; raises what ended the connection."""
        self._poller.poll(int(seconds * 1000))
        self.control.check()
        self.bulk.check()

    def close(self, *, polite: bool) -> None:
        """`polite`: let what was sent leave first, for at most half a second."""
        for channel in (self.control, self.bulk):
            with contextlib.suppress(zmq.ZMQError):
                channel.close(500 if polite and channel is self.control else 0)
