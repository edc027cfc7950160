"""Scene files: what goes in comes out, the same bytes every time; what is damaged or not one is told in one line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, orbit, packed
from weft.io.scene_files import SceneInfo, load_scene, read_scene, save_scene, scene_bytes

FRAME = np.diag([2.0, 2, 2, 1]) + np.eye(4, k=3) / 3
CAMERAS = tuple(Camera(orbit(angle, 20, 3), 40, 30, 50.5, 51, 20, 15.25) for angle in (0, 70))
INFO = SceneInfo(FRAME, 30, 100, 7, (40, 30), CAMERAS)
ARRAYS = {
    "means": np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32),
    "logits": np.array([np.inf, -np.inf, 0], np.float32),
    "settings": np.array(3, np.int64),
    "occupied": np.zeros((2, 3, 4), bool),
    "adam.first": np.arange(6.0).reshape(2, 3).T,
}


def file() -> bytes:
    return scene_bytes("splats", ARRAYS, INFO)


def rewritten(change: dict[str, bytes | None], method: int = zipfile.ZIP_STORED) -> bytes:
    """The file with entries replaced, added or (None) left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file())) as old, zipfile.ZipFile(out, "w", method) as new:
        for name, data in ({name: old.read(name) for name in old.namelist()} | change).items():
            if data is not None:
                new.writestr(name, data)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def told(**facts: Any) -> bytes:
    """The file with other facts in its info.npy."""
    with zipfile.ZipFile(io.BytesIO(file())) as old:
        known = json.loads(np.load(io.BytesIO(old.read("info.npy"))).tobytes())
    return rewritten({"info.npy": npy(np.frombuffer(json.dumps(known | facts).encode(), np.uint8))})


def test_a_scene_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_scene(tmp_path / "deep/a.weft", file())
    scene = load_scene(tmp_path / "deep/a.weft", kind="splats")
    assert scene.kind == "splats"
    assert scene.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert scene.arrays[name].dtype == array.dtype
        assert np.array_equal(scene.arrays[name], array)
    assert np.array_equal(scene.info.frame, FRAME)
    assert (scene.info.step, scene.info.steps, scene.info.seed, scene.info.size) == (30, 100, 7, (40, 30))
    for found, given in zip(packed(scene.info.cameras), packed(CAMERAS), strict=True):
        assert np.array_equal(found, given)


def test_the_same_scene_gives_the_same_bytes_whatever_the_order() -> None:
    assert file() == scene_bytes("splats", dict(reversed(ARRAYS.items())), INFO)
    again = read_scene(file())
    assert scene_bytes(again.kind, again.arrays, again.info) == file()


def test_others_can_read_it_too() -> None:
    with np.load(io.BytesIO(file()), allow_pickle=False) as arrays:
        assert np.array_equal(arrays["scene.means"], ARRAYS["means"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "of version 2, expected 1 .*update Weft"),
        ({"version": "0"}, "of version 0, expected 1"),
        ({"format": "other"}, "does not tell of a scene"),
        ({"kind": "meshes"}, "no scene is made of 'meshes'"),
        ({"frame": [[1, 2], [3]]}, "frame is not made of numbers"),
        ({"frame": np.zeros((4, 4)).tolist()}, "no similarity"),
        ({"step": 101}, "at step 101 of 100"),
        ({"step": 1.5}, "no whole number"),
        ({"size": 4}, "no whole number"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_facts_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_scene(told(**change))


def test_another_kind_than_expected_is_refused() -> None:
    with pytest.raises(InvalidInput, match="made of splats, expected voxels"):
        read_scene(file(), kind="voxels")


def lying(shape: str) -> bytes:
    """An array whose header says that it is of another shape."""
    return npy(np.zeros((2, 3), np.float32)).replace(b"(2, 3), }" + b" " * (len(shape) - 6), f"{shape}, }}".encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged, or is none"),
        (b"PK\x03\x04" + bytes(200), "damaged, or is none"),
        (npy(np.zeros(3)), "damaged, or is none"),
        (rewritten({"info.npy": None}), "without info.npy"),
        (rewritten({"views.npy": None}), "without views.npy"),
        (rewritten({"views.npy": npy(np.zeros((2, 21)))}), r"cameras are float64 \[2, 21\]"),
        (rewritten({"views.npy": npy(np.zeros((2, 22)))}), "no size up to"),
        (rewritten({"views.npy": npy(np.ones((2, 22)))}), "not a rotation and a translation"),
        (rewritten({}, zipfile.ZIP_DEFLATED), "compressed"),
        (rewritten({"scene.bomb.npy": bytes(1 << 22)}, zipfile.ZIP_DEFLATED), "compressed"),
        (rewritten({"../x.npy": npy(np.zeros(3))}), "holds '../x.npy'"),
        (rewritten({"scene.a.npy": npy(np.array(["text"]))}), "which it is not"),
        (rewritten({"scene.a.npy": npy(np.array([{}], object))}), "which it is not"),
        (rewritten({"scene.a.npy": lying("(99999999, 99999999)")}), "which it is not"),
        (rewritten({"scene.a.npy": lying("(-2, -3)")}), "which it is not"),
        (rewritten({"scene.a.npy": npy(np.zeros(9))[:-8]}), "which it is not"),
        (rewritten({"scene.a.npy": b"no array"}), "damaged, or is none"),
        (rewritten({"info.npy": npy(np.frombuffer(b"[" * 60_000, np.uint8))}), "damaged, or is none"),
        (rewritten({"info.npy": npy(np.zeros(1 << 17, np.uint8))}), "info.npy is too long"),
        (rewritten({"scene.a.npy": npy(np.array([1, np.nan, np.nan]))}), "a of the scene holds NaN, 2 of 3"),
    ],
)
def test_damaged_and_hostile_files_are_told_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        read_scene(data)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_every_cut_and_many_flipped_bytes_are_refused_or_harmless() -> None:
    data = file()
    for end in range(0, len(data), 37):
        with pytest.raises(InvalidInput):
            read_scene(data[:end])
    for at in range(0, len(data), 53):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        try:  # dates and gaps of a zip file say nothing
            again = read_scene(bytes(damaged))
        except InvalidInput:
            continue
        assert all(np.array_equal(again.arrays[name], array) for name, array in ARRAYS.items() if name in again.arrays)


def test_what_diverged_is_not_saved_and_what_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds NaN"):
        scene_bytes("splats", {"means": np.array([np.nan])}, INFO)
    with pytest.raises(InvalidInput, match=r"does not name a scene file \(end it in \.weft\)"):
        save_scene(tmp_path / "a.npz", file())
    save_scene(tmp_path / "a.weft", file())
    (tmp_path / "a.weft").rename(tmp_path / "b.weft")
    (tmp_path / "a.weft").mkdir()  # nothing can take its place
    with pytest.raises(InvalidInput, match="cannot write"):
        save_scene(tmp_path / "a.weft", file())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.weft", "b.weft"]
    (tmp_path / "b.weft").write_bytes(file()[:-9])
    with pytest.raises(InvalidInput, match=r"^'b\.weft': the scene file is damaged"):
        load_scene(tmp_path / "b.weft")


def test_a_kill_in_the_middle_of_saving_leaves_a_whole_file(tmp_path: Path) -> None:
    """A process that does nothing but save is killed while it does."""
    code = """
import sys
import numpy as np
from weft.io.scene_files import SceneInfo, save_scene, scene_bytes
files = [scene_bytes("splats", {"a": np.full(2_000_000, k, np.float32)}, SceneInfo(np.eye(4))) for k in (1, 2)]
while True:
    for data in files:
        save_scene(sys.argv[1], data)
        print("saved", flush=True)
"""
    path = tmp_path / "a.weft"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.kill()
    values = load_scene(path).arrays["a"]
    assert len(values) == 2_000_000
    assert np.ptp(values) == 0
