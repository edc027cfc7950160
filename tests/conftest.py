"""What tests of several folders share: the modules practice_* of practice_networks, and tiny models."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent / "practice_networks")
sys.path.insert(0, FOLDER)  # in this process …
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, os.environ.get("PYTHONPATH")]))  # … and in workers


if importlib.util.find_spec("hypothesis") is not None:  # it is absent where only the client is installed
    from hypothesis import settings

    settings.register_profile("any machine", deadline=None)  # a busy one takes longer, and is no fault
    settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """What was imported stays. The garbage collector need not look through a million objects of it every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models as users keep them, `<owner>/<name>/…`: every network that Weft can load, very small."""
    from practice_checkpoints import build_all  # only here: diffusers takes seconds to import

    folder = tmp_path_factory.mktemp("models")
    build_all(folder)
    return folder
