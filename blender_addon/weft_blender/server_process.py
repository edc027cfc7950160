"""The server that the button Start Local Server runs: a child process whose output goes to a file, never to a pipe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from weft_wire.address import normalise

from .errors import SceneError
from .preferences import Choice

__all__ = ["find_command", "poll", "running", "start", "stop"]

PATIENCE = 90.0  # seconds from the start to the first answer; loading torch from a cold disk takes a while
HINT = "its path goes into Preferences > Add-ons > Weft > Server command"

_child: subprocess.Popen[bytes] | None = None
_started = 0.0
_log = Path(tempfile.gettempdir()) / f"weft_server_{os.getpid()}.log"


def find_command(wish: str) -> str:
    """The program `weft`: what the user wishes, or the one on PATH, or that of the checkout this add-on lies in."""
    checkout = Path(__file__).resolve().parents[2] / ".venv" / ("Scripts" if sys.platform == "win32" else "bin")
    if wish:
        found = shutil.which(os.path.expanduser(wish))
        if found is None:
            raise SceneError("no_server_command", f"{wish!r} is not a program", HINT)
        return found
    found = shutil.which("weft") or shutil.which("weft", path=str(checkout))
    if found is None:
        raise SceneError("no_server_command", "the program `weft` was not found on this machine", f"install it; {HINT}")
    return found


def arguments(choice: Choice) -> list[str]:
    """What follows `weft serve`, so that the link, opened with the same preferences, finds this server."""
    home = ["--home", str(Path(choice.key_dir).parent)] if choice.key_dir else []
    # Without an address the link reads from the pairing file where the server listens: any free port will do.
    port = normalise(choice.address)[0].rpartition(":")[2] if choice.address else "0"
    # It ends when its input ends, which is when Blender is gone, however that came about.
    return ["serve", "--port", port, "--stop-with-stdin", *home]


def start(choice: Choice) -> None:
    """Start a server unless ours runs already; returns at once. Raises SceneError when that cannot work."""
    global _child, _started
    if running():
        return
    stop()
    command = [find_command(choice.server_command), *arguments(choice)]
    # Blender's own Python settings would mislead the server's interpreter.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with _log.open("wb") as log:
        try:
            _child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            raise SceneError("no_server_command", f"{command[0]} cannot be started: {error.strerror}", HINT) from error
    _started = time.monotonic()


def running() -> bool:
    """Whether the server that we started is alive."""
    return _child is not None and _child.poll() is None


def poll(connected: bool) -> str:
    """`""` if all is well or nothing was started, "starting", or one line that says what went wrong."""
    if _child is None:
        return ""
    if _child.poll() is not None:
        return f"the server stopped (exit status {_child.returncode}): {last_line()}"
    if connected:
        return ""
    if time.monotonic() - _started > PATIENCE:
        return f"the server does not answer after {PATIENCE:.0f} s: {last_line()}"
    return "starting"


def last_line() -> str:
    """The last thing that the server wrote, or where to look."""
    lines = _log.read_text(errors="replace").strip().splitlines() if _log.exists() else []
    return lines[-1].strip()[:300] if lines else f"no output, see {_log}"


def stop() -> None:
    """End our server; it keeps its queue on disk and goes on with it at the next start. Waits 5 s at most."""
    global _child
    if _child is None:
        return
    if _child.stdin is not None:
        _child.stdin.close()
    if _child.poll() is None:
        _child.terminate()
        try:
            _child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            _child.kill()
    _child = None
    _log.unlink(missing_ok=True)
