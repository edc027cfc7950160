"""A whole server: opens its home, starts its threads and its worker, proves its own lock, serves until told to stop."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shutil
import threading
import time
from pathlib import Path

import zmq

from weft_server.blobs import Blobs
from weft_server.crew import Crew
from weft_server.desk import Desk
from weft_server.disk import Disk
from weft_server.front import Front
from weft_server.gate import Gate
from weft_server.options import ServerOptions
from weft_server.store import JobStore
from weft_wire.address import Endpoint, is_loopback
from weft_wire.channel import Channel
from weft_wire.errors import WireError
from weft_wire.keys import KeyPair, Pairing, authorized_keys, key_pair, public_hex, write_pairing
from weft_wire.messages import PROTOCOL, Welcome

__all__ = ["Server", "version"]

KEPT_UNUSED = 3600.0  # seconds that an uploaded array waits for a job
log = logging.getLogger("weft.server")


def version() -> str:
    """Of the installed package; where its folders are merely on the path, "uninstalled"."""
    try:
        return importlib.metadata.version("weft")
    except importlib.metadata.PackageNotFoundError:
        return "uninstalled"


class Server:
    """`start`, then `stop`; or use it in a `with` statement. `address` is where it listens."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        keys = options.home / "keys"
        _check_reach(options, keys)
        self._keys = key_pair("server", keys)
        self._gate = Gate(keys)
        store = self._store = JobStore(options.home / "jobs.db")
        self.epoch = store.epoch
        try:
            shutil.rmtree(options.home / "scratch", ignore_errors=True)
            store.recover()
            self._blobs = Blobs(
                options.home / "blobs", min_free_bytes=options.min_free_bytes, largest=options.limits.job_bytes
            )
            crew = Crew(options, store, self._blobs)
            welcome = Welcome(PROTOCOL, version(), store.epoch, options.limits, False, crew.capabilities)
            self._front = Front(options, self._keys, self._gate, welcome)
        except BaseException:
            store.close()
            raise
        self.address = self._front.address
        self._disk = Disk(self._blobs, self._front, options.limits, options.tasks)
        self._desk = Desk(store, self._front, crew, options.limits, self._sweep)
        self._front.to_disk, self._front.to_desk = self._disk.call, self._desk.call
        self._front.gone = self._desk.gone
        self._disk.accept = self._desk.call

    def start(self) -> None:
        """Listen, prove that strangers are refused, and tell local clients where to come."""
        self._front.start()
        try:
            stranger = KeyPair(*zmq.curve_keypair())
            self._gate.tester = public_hex(stranger.public)
            prove_lock(Endpoint(self.address, self._keys.public), stranger)
        except BaseException:
            self._front.stop()
            self._store.close()
            raise
        self._disk.start()
        self._desk.start()
        pairing = Pairing(self.address, self._keys.public, os.getpid(), self.epoch, version())
        write_pairing(pairing, self.options.home)

    def stop(self) -> None:
        """End everything in order; a job at hand goes back to the queue."""
        (self.options.home / "server.json").unlink(missing_ok=True)
        self._desk.stop()
        self._disk.stop()
        self._front.stop()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def serve(self, until: threading.Event) -> None:
        """Run until the event is set."""
        with self:
            while not until.wait(0.5):
                pass

    def _sweep(self, needed: list[tuple[str, str]]) -> None:
        in_use = {self._blobs.path(owner, sha256) for owner, sha256 in needed}
        self._disk.post(lambda: _note(self._blobs.sweep(in_use, KEPT_UNUSED)))


def prove_lock(end: Endpoint, keys: KeyPair) -> None:
    """Try the door with a key that nobody authorised; it must not open."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger = Channel(context, end, keys)
    deadline = time.monotonic() + 10
    try:
        while time.monotonic() < deadline and not stranger.connected:
            stranger.monitor.poll(100)
            stranger.check()
    except WireError as error:
        if error.code == "unauthorized":
            return
        raise
    finally:
        stranger.close()
        context.destroy(0)
    raise WireError(
        "internal", "a stranger's key was not refused; the server will not run like this", "reinstall pyzmq"
    )


def _check_reach(options: ServerOptions, keys: Path) -> None:
    """Beyond loopback only for somebody: without an authorised client nobody could use it anyway."""
    if not is_loopback(options.bind) and not authorized_keys(keys)[0]:
        message = f"{options.bind} can be reached from elsewhere, but no client is authorised"
        raise WireError("unauthorized", message, "first: weft keys authorize NAME KEY; KEY: weft keys new, there")


def _note(count: int) -> None:
    if count:
        log.info("freed %d arrays that nobody needs", count)
