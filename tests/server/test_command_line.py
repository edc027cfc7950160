"""The command `weft`, as people run it: what works, and one line with the remedy for what does not.

What a command says is looked at in this process; how a process ends, and what signals and pipes do to it, in real ones.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import practice_commands
import pytest
import zmq
from practice_servers import PATIENCE, practice_options, server_process, wait_until

from weft_server import doctor_command
from weft_server.bench_command import BENCHMARKS
from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.codec import encode
from weft_wire.errors import WireError
from weft_wire.keys import Pairing, key_pair, public_hex, read_pairing, write_pairing
from weft_wire.messages import PROTOCOL, Error, Limits, Welcome

WEFT = [sys.executable, "-m", "weft_server.cli"]
CUBE = """
v -1 -1 -1\nv 1 -1 -1\nv 1 1 -1\nv -1 1 -1\nv -1 -1 1\nv 1 -1 1\nv 1 1 1\nv -1 1 1
f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8
"""
SMALL = ["--size", "64", "--steps", "4", "--views", "4", "--texture-size", "128"]


def weft(home: Path, *arguments: str, ok: bool = False) -> str:
    """Run the command here; returns what it said, in one line if it failed."""
    with patch.dict(os.environ, WEFT_HOME=str(home)):
        status, said, complained = practice_commands.weft(*arguments)
    return judged(status, said, complained, ok)


def process(home: Path, *arguments: str, ok: bool = False) -> str:
    """The same as a process of its own."""
    environment = {**os.environ, "WEFT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*WEFT, *arguments], capture_output=True, text=True, env=environment, timeout=250, check=False
    )
    return judged(done.returncode, done.stdout, done.stderr, ok)


def judged(status: int, said: str, complained: str, ok: bool) -> str:
    assert "Traceback" not in complained, complained
    assert (status == 0) == ok, complained + said
    if not ok:
        assert len(complained.splitlines()) == 1, complained
        assert complained.startswith("weft: ")
    return said if ok else complained.strip()


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    path = tmp_path / "cube.obj"
    path.write_text(CUBE)
    return path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--size", "100000"],
            "size must be 0 or between 64 and 1024 px, not 100000 (0 is what the model likes, 256 px without weights)",
        ),
        (["--size", "big"], "invalid int value: 'big'"),
        (["--cameras", "moon"], "unrecognized arguments: --cameras moon"),
        (["--sise", "3"], "unrecognized arguments: --sise 3"),
        (["-o", "out.stl"], "cannot write 'out.stl' (end it in .glb, .obj or .png)"),
        (["-o", "nowhere/out.glb"], "there is no folder nowhere"),
        ([], "there is neither a prompt nor a reference image (write a prompt or choose an image)"),
        (["--prompt", "moss", "--server", "http://127.0.0.1:9/"], "no Weft server answers at tcp://127.0.0.1:9"),
        (["--prompt", "moss", "--server", "my server"], "'my server' is no server address"),
        (["--exemplar", "photo.png"], "photo.png"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, cube: Path, arguments: list[str], says: str) -> None:
    assert says in weft(tmp_path, "texture", str(cube), "-o", str(tmp_path / "out.glb"), *arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size", "100000"], "size must be 0 or between 64 and 1024 px, not 100000"),
        (["--prompt", "moss", "--server", "http://127.0.0.1:9/"], "no Weft server answers at tcp://127.0.0.1:9"),
    ],
)
def test_a_process_that_refuses_says_no_more(tmp_path: Path, cube: Path, arguments: list[str], says: str) -> None:
    assert says in process(tmp_path, "texture", str(cube), "-o", str(tmp_path / "out.glb"), *arguments)


def test_a_mesh_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.obj").write_text("# nothing\n")
    for name in ("absent.obj", "empty.obj", "mesh.xyz"):
        assert name.removesuffix(".obj") in weft(
            tmp_path, "texture", str(tmp_path / name), "-o", str(tmp_path / "out.glb")
        )


def test_a_client_without_a_key_is_told_how_to_get_in(tmp_path: Path, cube: Path) -> None:
    with Server(practice_options(tmp_path / "server")) as server:
        key = public_hex(key_pair("server", tmp_path / "server" / "keys").public)
        address = f"{server.address}#{key}"
        texture = ["texture", str(cube), "-o", str(tmp_path / "out.glb"), "--prompt", "moss", "--server", address]
        assert "weft keys authorize" in weft(tmp_path / "far", *texture)
        mine = weft(tmp_path / "far", "keys", "new", ok=True).strip()
        assert key in weft(tmp_path / "server", "keys", "authorize", "far", mine, ok=True)
        assert "there is no task 'texture'" in weft(tmp_path / "far", *texture)  # it got in
        assert mine in weft(tmp_path / "server", "keys", "list", ok=True)
        weft(tmp_path / "server", "keys", "revoke", "far", ok=True)
        assert "weft keys authorize" in weft(tmp_path / "far", *texture)


@pytest.mark.parametrize("polite", [True, False])
def test_a_server_of_another_version_is_named(tmp_path: Path, polite: bool) -> None:
    """One that refuses the greeting, and one that answers it in its own version."""
    answers = encode(
        Error(
            "protocol_version", f"this end speaks protocol {PROTOCOL + 1}, the other end protocol {PROTOCOL}", "update"
        )
        if polite
        else Welcome(PROTOCOL + 1, "9.9", "e", Limits(), True, {})
    )
    with stranger(tmp_path, [answers[0][:4] + bytes([PROTOCOL + 1]), answers[1]]):
        said = refusal(tmp_path)
    assert f"protocol {PROTOCOL + 1}" in said
    assert f"protocol {PROTOCOL}" in said


def refusal(home: Path) -> str:
    pairing = read_pairing(home)
    assert pairing is not None
    address = f"{pairing.address}#{public_hex(pairing.server_key)}"
    with pytest.raises(WireError) as caught:
        Client(address, key_dir=home / "keys", timeout=PATIENCE)
    assert caught.value.code == "protocol_version"
    return str(caught.value)


@contextmanager
def stranger(home: Path, answer: list[bytes]) -> Iterator[None]:
    """Something that speaks ZeroMQ and CURVE, but answers as it likes."""
    context: zmq.Context[Any] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    keys = key_pair("server", home / "keys")
    router.curve_server, router.curve_secretkey = True, keys.secret
    port = router.bind_to_random_port("tcp://127.0.0.1")
    write_pairing(Pairing(f"tcp://127.0.0.1:{port}", keys.public, os.getpid(), "e", "9.9"), home)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            if router.poll(50):
                router.send_multipart([router.recv_multipart()[0], *answer])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        context.destroy(0)


def test_serve_says_what_stands_in_its_way(tmp_path: Path) -> None:
    with server_process(tmp_path / "one"):
        pairing = read_pairing(tmp_path / "one")
        assert pairing is not None
        port = pairing.address.rpartition(":")[2]
        assert "another Weft server uses this home" in process(tmp_path / "one", "serve", "--port", "0")
        assert "choose one with --port" in process(tmp_path / "two", "serve", "--port", port)
    assert "weft keys authorize" in process(tmp_path / "two", "serve", "--bind", "0.0.0.0")
    assert "between 0 and 65535" in weft(tmp_path / "two", "serve", "--port", "70000")


def test_serve_stops_on_a_signal_and_clears_its_pairing(tmp_path: Path) -> None:
    for how in (signal.SIGTERM, signal.SIGINT, None):
        with serving(tmp_path) as process:
            if how is None:
                assert process.stdin is not None
                process.stdin.close()
            else:
                process.send_signal(how)
            assert process.wait(PATIENCE) == 0
        assert read_pairing(tmp_path) is None


@contextmanager
def serving(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`weft serve` on any free port."""
    environment = {**os.environ, "WEFT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [*WEFT, "serve", "--port", "0", "--stop-with-stdin"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=environment)
    assert process.stdin is not None
    try:
        wait_until(lambda: (pairing := read_pairing(home)) and pairing.pid == process.pid)
        yield process
    finally:
        process.stdin.close()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def texture_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of one real server for the tests that texture."""
    home = tmp_path_factory.mktemp("home")
    with serving(home):
        yield home


def test_a_mesh_file_becomes_a_textured_file(texture_home: Path, tmp_path: Path, cube: Path) -> None:
    out = tmp_path / "cube.glb"
    said = process(texture_home, "texture", str(cube), "-o", str(out), "--prompt", "bricks", *SMALL, ok=True)
    assert out.read_bytes()[:4] == b"glTF"
    assert "material: bricks" in said
    assert str(out) in said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_the_command_cancels_the_job(texture_home: Path, tmp_path: Path, cube: Path, how: int) -> None:
    environment = {**os.environ, "WEFT_HOME": str(texture_home), "PYTHONUNBUFFERED": "1"}
    command = [*WEFT, "texture", str(cube), "-o", str(tmp_path / "x.glb"), "--prompt", "ice", *SMALL, "--steps", "200"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if re.match("prepare|views", line):
            break
    process.send_signal(how)
    _, complaint = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaint) == (130, "weft: stopped\n")
    assert not (tmp_path / "x.glb").exists()


def test_doctor_and_models_tell_what_is_there(texture_home: Path, tmp_path: Path) -> None:
    said = process(texture_home, "doctor", ok=True)
    assert re.search(r"ok +torch +\d", said)
    assert re.search(r"ok +server +Weft .* answers", said)
    assert "everything needed is there" in said
    assert "mossy stone" in weft(tmp_path, "models", ok=True)


def test_doctor_finds_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WEFT_HOME", str(tmp_path / "file" / "home"))
    for imports_much in ("_back_ends", "_networks"):  # the test above runs them
        monkeypatch.setattr(doctor_command, imports_much, lambda: iter(()))
    status, said, complained = practice_commands.weft("doctor")
    assert status == 1
    assert re.search(r"MISSING +home .*→ export WEFT_HOME=", said), said + complained


def test_output_that_nobody_reads_is_no_complaint(tmp_path: Path) -> None:
    process = subprocess.Popen([*WEFT, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(PATIENCE) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_benchmark_says_what_it_measures(tmp_path: Path, benchmark: Any) -> None:
    name = benchmark.__name__.partition(".bench_")[2].replace("_", "-")
    assert name in weft(tmp_path, "bench", "--help", ok=True)
    assert f"`weft bench {name}" in weft(tmp_path, "bench", name, "--help", ok=True)


def test_a_benchmark_refuses_in_one_line(tmp_path: Path) -> None:
    assert "there is no file 'absent.ply'" in weft(tmp_path, "bench", "splat-colors", "absent.ply", "--up", "-y")
    assert "no synchronisation case is called ''" in weft(tmp_path, "bench", "synctweedies", "--cases", "2,,3")
    assert "--up: expected one argument" in weft(tmp_path, "bench", "splat-colors", "absent.ply", "--up", "-x")


def test_help_has_every_parameter(tmp_path: Path) -> None:
    said = weft(tmp_path, "texture", "--help", ok=True)
    assert {"--prompt", "--texture-size", "--no-decals", "--pattern-scale"} <= set(re.findall(r"--[a-z-]+", said))
    assert re.match(r"weft \d", process(tmp_path, "--version", ok=True))
