"""The front end: one thread that owns the ROUTER and moves frames. It never computes and never waits; of the disk it
touches nothing but the small files of authorised keys."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import zmq

from weft_server.gate import Gate
from weft_server.links import ClientLink
from weft_server.options import ServerOptions
from weft_server.router import open_router
from weft_wire.codec import decode, encode, request_of, version_error
from weft_wire.errors import WireError
from weft_wire.keys import KeyPair
from weft_wire.messages import (
    PROTOCOL,
    SILENCE,
    BlobHave,
    BlobPut,
    Error,
    Fetch,
    Hello,
    Ping,
    Pong,
    Submit,
    Welcome,
)

__all__ = ["Call", "Front"]

BATCH = 32  # messages taken in before anything is sent again
CHUNKS = (BlobPut, Fetch)  # what the credit counts
MOST_REQUESTS = 1024  # of one connection, that have no answer yet
log = logging.getLogger("weft.server")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client, on its way to the thread that meets it."""

    link: bytes  # routing id: where the answer goes; never who the client is
    owner: str  # the client's public key: who it is
    message: Any
    payload: Any = None


class Front:
    """`to_disk` and `to_desk` take the requests; `gone` hears of connections that ended. None of them may block."""

    def __init__(self, options: ServerOptions, keys: KeyPair, gate: Gate, welcome: Welcome) -> None:
        self._gate = gate
        self._welcome = welcome
        self._links: dict[bytes, ClientLink] = {}
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._stopping = False
        self._context: zmq.Context[Any] = zmq.Context()
        self._zap: zmq.Socket[bytes] = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")  # before the ROUTER, which would admit anybody without it
        try:
            self._router = open_router(self._context, options, keys)
        except BaseException:
            self._context.destroy(0)
            self._wake_in.close()
            self._wake_out.close()
            raise
        self.address = self._router.get_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._run, name="weft-front", daemon=True)
        self.to_disk: Callable[[Call], None] = _nowhere
        self.to_desk: Callable[[Call], None] = _nowhere
        self.gone: Callable[[bytes], None] = lambda _: None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what waits to be sent to clients that do not read is dropped."""
        self._post(self._stop)
        self._thread.join()
        self._wake_in.close()
        self._wake_out.close()

    def send(self, link: bytes, message: Any, payload: Any = None) -> None:
        """Any thread: a durable event."""
        frames = encode(message, payload)
        self._post(lambda: self._put(link, frames))

    def answer(self, call: Call, message: Any, payload: Any = None) -> None:
        """Any thread: the answer to a request, of which every request gets one."""
        frames = encode(message, payload)
        self._post(lambda: self._put(call.link, frames, call.message))

    def send_latest(self, link: bytes, slot: Hashable, messages: list[tuple[Any, Any]]) -> None:
        """Any thread: an ephemeral event of one or more parts, which replaces an unsent one of the same slot."""
        parts = [encode(message, payload) for message, payload in messages]
        self._post(lambda: self._put_latest(link, slot, parts))

    def announce(self, ready: bool, capabilities: dict[str, Any]) -> None:
        """Any thread: tell every client what the server can do now."""
        self._post(lambda: self._announce(replace(self._welcome, ready=ready, capabilities=capabilities)))

    def _post(self, command: Callable[[], None]) -> None:
        self._inbox.append(command)
        with contextlib.suppress(OSError):
            self._wake_out.send(b"!")

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        poller = zmq.Poller()
        for readable in (self._router, self._zap, self._wake_in):
            poller.register(readable, zmq.POLLIN)
        swept = time.monotonic()
        while not self._stopping:
            blocked = any(not link.idle for link in self._links.values())
            poller.poll(2 if blocked else 500)
            with contextlib.suppress(OSError):
                self._wake_in.recv(4096)
            with contextlib.suppress(zmq.Again):
                self._zap.send_multipart(self._gate.answer(self._zap.recv_multipart(zmq.NOBLOCK)))
            self._take_in()
            while self._inbox:
                self._inbox.popleft()()
            for link in list(self._links.values()):
                self._flush(link)
            if time.monotonic() - swept > 1:
                swept = time.monotonic()
                self._sweep(swept)
        self._context.destroy(0)

    def _take_in(self) -> None:
        for _ in range(BATCH):
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            routing_id, user = frames[0].bytes, _user(frames[-1])
            try:
                self._receive(routing_id, user, frames[1:])
            except WireError as error:
                answer = encode(Error.of(error, request_of(frames[1:])))
                if link := self._links.get(routing_id):
                    link.put(answer)
                else:
                    self._send_now(routing_id, answer)

    def _receive(self, routing_id: bytes, user: str, frames: list[Any]) -> None:
        if not self._gate.admits(user):  # on every message: a revoked key may still have a connection
            self._drop(routing_id)
            raise WireError("unauthorized", "this client's key is no longer authorised", "ask the server's owner")
        message, payload = decode(frames, sender="client")
        link = self._links.get(routing_id)
        if link is not None and link.owner != user:  # the id of a connection that ended, taken by another client
            self._drop(routing_id)
            link = None
        if isinstance(message, Hello):
            self._greet(routing_id, user, message)
        elif link is None:
            raise WireError("hello_first", "the first message of a connection is HELLO", "connect anew")
        else:
            link.heard = time.monotonic()
            self._dispatch(link, message, payload)

    def _greet(self, routing_id: bytes, user: str, hello: Hello) -> None:
        if not hello.oldest <= PROTOCOL <= hello.newest:
            error = version_error(hello.newest)
            raise WireError(
                error.code, f"{error.message} (server {self._welcome.server}, client {hello.client})", error.hint
            )
        link = self._links.setdefault(routing_id, ClientLink(routing_id, user))
        link.put(encode(replace(self._welcome, request=hello.request)))

    def _dispatch(self, link: ClientLink, message: Any, payload: Any) -> None:
        if isinstance(message, Ping):
            link.put(encode(Pong(message.request)))
            return
        credit = self._welcome.limits.credit
        if isinstance(message, CHUNKS) and link.chunks >= 2 * credit:
            raise WireError("credit_exceeded", f"more than {credit} chunks are in flight", "wait for their answers")
        if link.requests >= MOST_REQUESTS:
            raise WireError("busy", f"{MOST_REQUESTS} requests wait for their answers", "wait for some", 0.1)
        link.requests += 1
        link.chunks += isinstance(message, CHUNKS)
        to = self.to_disk if isinstance(message, (*CHUNKS, BlobHave, Submit)) else self.to_desk
        to(Call(link.routing_id, link.owner, message, payload))

    def _put(self, routing_id: bytes, frames: list[Any], answered: Any = None) -> None:
        link = self._links.get(routing_id)
        if link is None:
            return
        link.requests -= answered is not None
        link.chunks -= isinstance(answered, CHUNKS)
        link.put(frames)
        if link.overflowing:
            log.warning("cut off a client that does not read")
            self._drop(routing_id)

    def _put_latest(self, routing_id: bytes, slot: Hashable, parts: list[list[Any]]) -> None:
        if link := self._links.get(routing_id):
            link.put_latest(slot, parts)

    def _announce(self, welcome: Welcome) -> None:
        self._welcome = welcome
        for link in self._links.values():
            link.put_latest("welcome", [encode(welcome)])

    def _flush(self, link: ClientLink) -> None:
        """Send until nothing is left or the peer reads no further."""
        while (frames := link.next()) is not None:
            outcome = self._send_now(link.routing_id, frames)
            if outcome == "gone":
                self._drop(link.routing_id)
            if outcome != "sent":
                return
            link.sent()

    def _send_now(self, routing_id: bytes, frames: list[Any]) -> str:
        try:
            self._router.send_multipart([routing_id, *frames[:2]], zmq.DONTWAIT | (zmq.SNDMORE if frames[2:] else 0))
        except zmq.Again:
            return "full"
        except zmq.ZMQError:  # EHOSTUNREACH, because of ROUTER_MANDATORY
            return "gone"
        if frames[2:]:
            self._router.send(frames[2], zmq.DONTWAIT, copy=len(frames[2]) < 65536)
        return "sent"

    def _drop(self, routing_id: bytes) -> None:
        if self._links.pop(routing_id, None):
            self.gone(routing_id)

    def _sweep(self, now: float) -> None:
        for link in list(self._links.values()):
            if now - link.heard > 1.5 * SILENCE or not self._gate.admits(link.owner):
                self._drop(link.routing_id)


def _nowhere(call: Call) -> None:
    raise WireError("busy", "the server is starting", "try again")


def _user(frame: Any) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
