"""`weft models unload`: free the memory that loaded models hold in the running server, after the job at hand."""

from __future__ import annotations

import argparse
from typing import Any

from weft_server.one_job import follow
from weft_server.terminal import display, say
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.jobs import UnloadParams
from weft_wire.sizes import size_of

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("unload", help="free the memory of loaded models", description=__doc__)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of a model; all without it")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        client = Client(arguments.server) if arguments.server else Client()
    except WireError as error:
        if arguments.server or error.code != "server_absent":
            raise
        say("no server runs, so no model is loaded")
        return 0
    with client:
        job_id = client.submit("unload", UnloadParams(name=arguments.name), {}, [])
        with display() as shown:
            follow(client, job_id, shown, lambda: client.release(job_id))
        info = client.fetch(job_id).info
        client.release(job_id)
    if freed := info["unloaded"]:
        say(f"unloaded {', '.join(freed)} ({size_of(info['bytes'])})")
    else:
        say("no such model was loaded" if arguments.name else "none was loaded")
    return 0
