"""Messages between the server and its worker: [header bytes, payload bytes: 2 x u4][msgpack header][payload]."""

from __future__ import annotations

import struct
import threading
from typing import Any, BinaryIO

from weft_wire.codec import pack, unpack

__all__ = ["Pipe", "PipeClosed"]

LENGTHS = struct.Struct(">II")
LARGEST_HEADER = 1 << 20
LARGEST_PAYLOAD = 1 << 28


class PipeClosed(Exception):
    """The other end is gone."""


class Pipe:
    """One end; any thread may send, one thread receives."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._sending = threading.Lock()

    def send(self, header: dict[str, Any], payload: Any = b"") -> None:
        data = pack(header)
        with self._sending:
            try:
                self._writer.write(LENGTHS.pack(len(data), len(payload)) + data)
                self._writer.write(payload)
                self._writer.flush()
            except (OSError, ValueError) as error:
                raise PipeClosed from error

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next message; waits for it."""
        header_size, payload_size = LENGTHS.unpack(self._exactly(LENGTHS.size))
        if header_size > LARGEST_HEADER or payload_size > LARGEST_PAYLOAD:
            raise PipeClosed(f"a message of {header_size} + {payload_size} bytes")
        header = unpack(self._exactly(header_size), largest=LARGEST_HEADER)
        return header, self._exactly(payload_size)

    def close(self) -> None:
        for stream in (self._writer, self._reader):
            try:
                stream.close()
            except OSError:  # what was buffered has no reader any more
                continue

    def _exactly(self, count: int) -> bytes:
        try:
            data = self._reader.read(count)
        except (OSError, ValueError) as error:
            raise PipeClosed from error
        if len(data) < count:
            raise PipeClosed
        return data
