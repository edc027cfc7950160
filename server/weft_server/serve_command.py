"""`weft serve`: the server in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from weft_server.model_folders import add_models, folders_of
from weft_server.options import ServerOptions
from weft_server.server import Server, version
from weft_server.terminal import say
from weft_wire.address import DEFAULT_PORT
from weft_wire.errors import WireError
from weft_wire.keys import home

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("serve", help="run the server", description="Run the server until Ctrl-C.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"0: any free one (default {DEFAULT_PORT})")
    parser.add_argument("--bind", default="127.0.0.1", metavar="HOST", help="where to listen (default: here only)")
    parser.add_argument("--home", type=Path, help="keys, jobs and results (default $WEFT_HOME, or ~/.weft)")
    add_models(parser)
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input is closed")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.port < 65536:
        raise WireError("bad_address", f"port {arguments.port} must be between 0 and 65535", "0 takes any free one")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder = (arguments.home or home()).resolve()
    server = Server(ServerOptions(home=folder, bind=arguments.bind, port=arguments.port, models=folders_of(arguments)))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if arguments.stop_with_stdin:
        threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    say(f"Weft {version()} serves at {server.address} from {folder}; Ctrl-C stops it")
    server.serve(stop)
    return 0


def _wait_for_end(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
