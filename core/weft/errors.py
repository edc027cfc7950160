"""Every error that the science raises: one tree, each with a code for machines, a message and a remedy.

WeftError
├── InvalidInput        a value outside its range, or inputs that do not fit together
│   ├── InvalidMesh     no faces, NaN, indices out of range
│   ├── InvalidImage    not an image, too small, unreadable
│   └── InvalidCamera   not a rigid pose, no focal length
├── UnknownName         a model, case or material that does not exist
├── MissingDependency   an optional package is not installed
├── ModelError          a model that cannot be used as asked
│   ├── ModelMissing    its files are not on this machine
│   ├── BadCheckpoint   its files are damaged, unsafe to read, or of another class than they should be
│   └── ModelMismatch   parts of different families: a LoRA, ControlNet or partner of another base
└── OutOfMemory         a job or a model is larger than the device
"""

from __future__ import annotations

__all__ = [
    "BadCheckpoint",
    "InvalidCamera",
    "InvalidImage",
    "InvalidInput",
    "InvalidMesh",
    "MissingDependency",
    "ModelError",
    "ModelMismatch",
    "ModelMissing",
    "OutOfMemory",
    "UnknownName",
    "WeftError",
]


class WeftError(Exception):
    """`message` names the value and what was expected, in one line; `hint` is the remedy; `code` is stable."""

    code = "weft_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(WeftError, ValueError):
    code = "invalid_input"


class InvalidMesh(InvalidInput):
    code = "invalid_mesh"


class InvalidImage(InvalidInput):
    code = "invalid_image"


class InvalidCamera(InvalidInput):
    code = "invalid_camera"


class UnknownName(WeftError, LookupError):
    code = "unknown_name"


class MissingDependency(WeftError, ImportError):
    code = "missing_dependency"


class ModelError(WeftError):
    code = "model_error"


class ModelMissing(ModelError):
    code = "model_missing"


class BadCheckpoint(ModelError):
    code = "bad_checkpoint"


class ModelMismatch(ModelError):
    code = "model_mismatch"


class OutOfMemory(WeftError, MemoryError):
    code = "out_of_memory"
