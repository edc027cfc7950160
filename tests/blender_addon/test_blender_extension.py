"""The zip that users install: as an extension, as a classic add-on, with everything it needs inside."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.blender

ROOT = Path(__file__).resolve().parents[2]


def run(command: list[str], code: str, folder: Path, archive: Path) -> dict[str, object]:
    """Run `code` in a Blender whose user files live in `folder`; it leaves its findings in `found`."""
    script = folder / "script.py"
    ending = "\nimport json, os\nopen(os.environ['WEFT_FOUND'], 'w').write(json.dumps(found))\n"
    script.write_text(textwrap.dedent(code) + ending)
    environment = {
        **os.environ,
        "BLENDER_USER_RESOURCES": str(folder),
        "BLENDER_USER_SCRIPTS": str(folder / "scripts"),
        "BLENDER_USER_CONFIG": str(folder / "config"),
        "BLENDER_USER_DATAFILES": str(folder / "datafiles"),
        "WEFT_ZIP": str(archive),
        "WEFT_FOUND": str(folder / "found.json"),
        "WEFT_NUMPY": str(numpy_alone(folder)),
    }
    done = subprocess.run([*command, str(script)], capture_output=True, text=True, timeout=120, env=environment)
    assert (folder / "found.json").exists(), done.stdout + done.stderr
    return json.loads((folder / "found.json").read_text())


def numpy_alone(folder: Path) -> Path:
    """A folder that offers this environment's NumPy and nothing else, for a Blender built without."""
    place = folder / "numpy_alone"
    place.mkdir(exist_ok=True)
    spec = importlib.util.find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for source in (package, package.with_name("numpy.libs")):
        if source.exists():
            (place / source.name).symlink_to(source)
    return place


def test_installs_as_an_extension(addon: ModuleType, archive: Path, tmp_path: Path) -> None:
    code = """
        import os, bpy, addon_utils
        addon_utils.enable("bl_pkg")
        bpy.ops.extensions.package_install_files(
            filepath=os.environ["WEFT_ZIP"], repo="user_default", enable_on_install=True
        )
        name = "bl_ext.user_default.weft_blender"
        found = {
            "enabled": name in bpy.context.preferences.addons,
            "address": bpy.context.preferences.addons[name].preferences.address,
            "size": bpy.context.scene.weft.size,
            "button": bpy.ops.weft.texture.idname_py(),
        }
    """
    found = run([sys.executable], code, tmp_path, archive)
    assert found == {"enabled": True, "address": "", "size": 0, "button": "weft.texture"}
    site = next((tmp_path / "extensions" / ".local" / "lib").glob("python*/site-packages"))
    assert {"zmq", "msgpack", "weft_wire"} <= {path.name for path in site.iterdir()}


def test_installs_as_a_classic_addon(archive: Path, tmp_path: Path) -> None:
    blender = shutil.which("blender")
    if blender is None:
        pytest.skip("Blender is not installed: apt-get install blender")
    code = """
        import os, sys
        sys.path.append(os.environ["WEFT_NUMPY"])
        import bpy
        bpy.ops.preferences.addon_install(filepath=os.environ["WEFT_ZIP"])
        bpy.ops.preferences.addon_enable(module="weft_blender")
        import weft_wire, zmq
        found = {
            "size": bpy.context.scene.weft.size,
            "address": bpy.context.preferences.addons["weft_blender"].preferences.address,
            "wire": weft_wire.__file__,
            "zmq": zmq.__file__,
        }
        bpy.ops.preferences.addon_disable(module="weft_blender")
        bpy.ops.preferences.addon_enable(module="weft_blender")
    """
    found = run([blender, "-b", "--factory-startup", "-P"], code, tmp_path, archive)
    assert (found["size"], found["address"]) == (0, "")
    for package in ("wire", "zmq"):
        assert Path(str(found[package])).is_relative_to(tmp_path / "datafiles")


def test_holds_wheels_for_every_python(addon: ModuleType, archive: Path) -> None:
    from weft_blender.bundled import wheel_fits

    with zipfile.ZipFile(archive) as opened:
        wheels = [Path(name).name for name in opened.namelist() if name.endswith(".whl")]
        manifest = opened.read("weft_blender/blender_manifest.toml").decode()
    assert all(wheel in manifest for wheel in wheels)
    for version in ((3, 11), (3, 13)):
        fitting = sorted(wheel.split("-")[0] for wheel in wheels if wheel_fits(wheel, version))
        assert fitting == ["msgpack", "pyzmq", "weft"]


@pytest.mark.parametrize(
    ("wheel", "version", "machine", "fits"),
    [
        ("weft-0.1.0-py3-none-any.whl", (3, 11), "linux-x86_64", True),
        ("a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", (3, 11), "linux-x86_64", True),
        ("a-1-cp311-cp311-manylinux2014_x86_64.whl", (3, 13), "linux-x86_64", False),
        ("a-1-cp312-abi3-manylinux_2_28_x86_64.whl", (3, 13), "linux-x86_64", True),
        ("a-1-cp312-abi3-manylinux_2_28_x86_64.whl", (3, 11), "linux-x86_64", False),
        ("a-1-cp311-cp311-win_amd64.whl", (3, 11), "win32-amd64", True),
        ("a-1-cp311-cp311-win_amd64.whl", (3, 11), "linux-x86_64", False),
        ("a-1-cp311-cp311-macosx_10_15_universal2.whl", (3, 11), "darwin-arm64", True),
        ("a-1-cp311-cp311-macosx_11_0_arm64.whl", (3, 11), "darwin-x86_64", False),
        ("a-1-cp311-cp311-manylinux2014_x86_64.whl", (3, 11), "freebsd-x86_64", False),
    ],
)
def test_wheels_are_chosen_by_their_tags(
    addon: ModuleType, wheel: str, version: tuple[int, int], machine: str, fits: bool
) -> None:
    from weft_blender.bundled import wheel_fits

    assert wheel_fits(wheel, version, machine) is fits
