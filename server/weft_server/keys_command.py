"""`weft keys new|authorize|list|revoke`: who may use a server from elsewhere."""

from __future__ import annotations

import argparse
from typing import Any

from weft_server.terminal import say
from weft_wire.keys import authorize, authorized_keys, home, key_pair, public_hex, revoke

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("keys", help="let clients on other machines in", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="print this client's public key; it is made at the first call")
    new.set_defaults(run=_new)
    allow = actions.add_parser("authorize", help="let the client with this public key use the server here")
    allow.add_argument("name", metavar="NAME", help="how the key is called from now on")
    allow.add_argument("key", metavar="KEY", help="64 hex digits, from `weft keys new` at the client's")
    allow.set_defaults(run=_authorize)
    show = actions.add_parser("list", help="print the server's public key and the authorised clients'")
    show.set_defaults(run=_list)
    shut = actions.add_parser("revoke", help="shut a client out; a running server does so within a second")
    shut.add_argument("name", metavar="NAME")
    shut.set_defaults(run=_revoke)


def _new(arguments: argparse.Namespace) -> int:
    say(public_hex(key_pair("client", home() / "keys").public))
    return 0


def _authorize(arguments: argparse.Namespace) -> int:
    authorize(arguments.name, arguments.key, home() / "keys")
    say(f"{arguments.name} is authorised; it connects to tcp://HOST:PORT#{_server_key()}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    keys, complaints = authorized_keys(home() / "keys")
    say(f"server      {_server_key()}")
    for name, public in keys.items():
        say(f"{name:11} {public_hex(public)}")
    for complaint in complaints:
        say(complaint)
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    revoke(arguments.name, home() / "keys")
    say(f"{arguments.name} is no longer authorised")
    return 0


def _server_key() -> str:
    return public_hex(key_pair("server", home() / "keys").public)
