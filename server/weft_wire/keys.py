"""Keys and the pairing file: who may talk to whom.

Under `~/.weft` (or $WEFT_HOME): `keys/server.json` and `keys/client.json` hold a CURVE key pair each (0600),
`keys/authorized/NAME.json` the public key of one more client each, `server.json` where the local server listens.
Public keys are shown as 64 hex digits, because CURVE's own text form is full of characters that shells interpret.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from weft_wire.errors import WireError

__all__ = ["KeyPair", "Pairing", "authorized_keys", "home", "key_pair", "public_hex", "read_pairing", "write_private"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair in ZeroMQ's text form (40 bytes each)."""

    public: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class Pairing:
    """Where the local server listens and which key it has."""

    address: str
    server_key: bytes
    pid: int
    epoch: str
    version: str


def home() -> Path:
    """Weft's own folder: $WEFT_HOME, or ~/.weft."""
    return Path(os.environ.get("WEFT_HOME") or Path.home() / ".weft")


def public_hex(public: bytes) -> str:
    """A public key for people: 64 hex digits."""
    return z85.decode(public).hex()


def public_from_hex(text: str) -> bytes:
    """The inverse of `public_hex`."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise WireError("key_file", f"a public key is 64 hex digits, not {text[:70]!r}", "`weft keys list` prints them")
    return z85.encode(bytes.fromhex(text))


def write_private(path: Path, text: str) -> None:
    """Replace `path` by a file that only its owner can read; readers see the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def key_pair(name: str, folder: Path) -> KeyPair:
    """The pair in `folder`/`name`.json; made at the first call. Unreadable files raise, and are never overwritten."""
    path = folder / f"{name}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        public, secret = zmq.curve_keypair()
        _create_once(path, json.dumps({"public": public_hex(public), "secret": public_hex(secret)}))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise WireError("key_file", f"{path} can be read by other users", f"chmod 600 {path}")
    values = _read(path)
    pair = KeyPair(public_from_hex(str(values.get("public"))), public_from_hex(str(values.get("secret"))))
    if zmq.curve_public(pair.secret) != pair.public:
        raise WireError("key_file", f"the two halves of {path} do not belong together", "delete it; a new pair is made")
    return pair


def authorized_keys(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """({name: public key}, complaints) of `folder`/authorized; a bad file costs its own client only."""
    keys, complaints = {}, []
    for path in sorted((folder / "authorized").glob("*.json")):
        try:
            keys[path.stem] = public_from_hex(str(_read(path).get("public")))
        except WireError as error:
            complaints.append(f"skipped {path}: {error}")
    return keys, complaints


def authorize(name: str, public: str, folder: Path) -> None:
    """Let the client with this public key (hex) in."""
    if not NAME.fullmatch(name):
        raise WireError("key_file", f"{name!r} cannot name a key", "letters, digits, dots, dashes and underscores")
    write_private(folder / "authorized" / f"{name}.json", json.dumps({"public": public_hex(public_from_hex(public))}))


def revoke(name: str, folder: Path) -> None:
    """Shut the named client out again."""
    path = folder / "authorized" / f"{name}.json"
    if not NAME.fullmatch(name) or not path.exists():
        raise WireError("key_file", f"no authorised key is called {name!r}", "`weft keys list` shows them")
    path.unlink()


def write_pairing(pairing: Pairing, folder: Path) -> None:
    values = {**{k: getattr(pairing, k) for k in pairing.__slots__}, "server_key": public_hex(pairing.server_key)}
    write_private(folder / "server.json", json.dumps(values, indent=1))


def read_pairing(folder: Path) -> Pairing | None:
    """What the local server left in `folder`/server.json; None where there is none."""
    path = folder / "server.json"
    if not path.exists():
        return None
    values = _read(path)
    try:
        return Pairing(
            str(values["address"]), public_from_hex(values["server_key"]), int(values["pid"]), str(values["epoch"]),
            str(values["version"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise WireError("key_file", f"{path} is damaged", "delete it and start `weft serve` again") from error


def _create_once(path: Path, text: str) -> None:
    """Like `write_private`, but the first of two racing processes wins."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    write_private(draft, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError:  # no hard links on this file system
        draft.replace(path)
    draft.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WireError("key_file", f"{path} cannot be read ({error})", "restore it, or delete it") from error
    if not isinstance(values, dict):
        raise WireError("key_file", f"{path} must hold a JSON object", "restore it, or delete it")
    return values
