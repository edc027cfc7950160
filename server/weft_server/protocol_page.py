"""The tables of PROTOCOL.md, generated from the declarations, so that the page cannot disagree with the code.

`python -m weft_server.protocol_page server/PROTOCOL.md` rewrites the part between the page's two marks.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from weft_wire.arrays import ArrayRef
from weft_wire.errors import CODES
from weft_wire.jobs import TASKS, Task
from weft_wire.messages import KINDS, MESSAGES, JobState, Limits
from weft_wire.parameters import schema

__all__ = ["tables", "up_to_date"]

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def tables() -> str:
    """Every message, nested structure, task and error code as Markdown."""
    parts = ["## Messages", *map(_message, MESSAGES.values())]
    parts += ["## Structures inside messages", *map(_structure, (ArrayRef, JobState, Limits))]
    parts += ["## Tasks", *map(_task, TASKS.values())]
    parts += ["## Error codes", "\n".join(f"- `{code}`: {meaning}" for code, meaning in CODES.items())]
    return "\n\n".join(parts)


def up_to_date(page: str) -> str:
    """The page with its generated part made anew."""
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def _message(cls: type[Any]) -> str:
    kind = KINDS[cls]
    arrow = "client → server" if kind.sender == "client" else "server → client"
    payload = ", with a payload" if kind.payload else ""
    return f"### {kind.verb}\n\n*{arrow}{payload}.* {_summary(cls)}\n\n{_fields(schema(cls))}"


def _structure(cls: type[Any]) -> str:
    return f"### {cls.__name__}\n\n{_summary(cls)}\n\n{_fields(schema(cls))}"


def _task(task: Task) -> str:
    def arrays(title: str, specs: Any) -> str:
        rows = [f"| {title} | type | shape | meaning |", "|---|---|---|---|"]
        for spec in specs:
            shape = ", ".join(map(str, spec.shape))
            rows.append(f"| `{spec.name}`{' (required)' * spec.required} | {spec.dtype} | [{shape}] | {spec.help} |")
        return "\n".join(rows)

    sizes = ", ".join(f"{name} {low} to {high}" for name, (low, high) in task.dimensions.items())
    parts = [f"### {task.name}: {task.help}", _fields(schema(task.params)), arrays("input", task.inputs)]
    return "\n\n".join([*parts, f"Dimensions: {sizes}.", arrays("result", task.results)])


def _fields(rows: list[dict[str, Any]]) -> str:
    if all(row["name"] == "request" for row in rows):
        return "No fields but `request`."
    lines = ["| field | type | values | default | meaning |", "|---|---|---|---|---|"]
    for row in (row for row in rows if row["name"] != "request"):
        default = "required" if "default" not in row else f"`{json.dumps(row['default'])}`"
        lines.append(f"| `{row['name']}` | {row['type']} | {_values(row)} | {default} | {_help(row)} |")
    return "\n".join(lines)


def _values(row: dict[str, Any]) -> str:
    if "choices" in row:
        return ", ".join(row["choices"])
    low, high = row.get("minimum"), row.get("maximum")
    bounds = str(low) if low == high else f"{low} to {high}"
    bounds = bounds if low is not None and high is not None else ""
    bounds = bounds or (f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else "")
    bounds = f"0 or {bounds}" if "zero" in row and low else bounds
    length = "length " if bounds and row["type"].startswith(("text", "list")) else ""
    return f"{length}{bounds} {row.get('unit', '')}".strip()


def _help(row: dict[str, Any]) -> str:
    return f"{row.get('help', '')}; 0: {row['zero']}" if "zero" in row else row.get("help", "")


def _summary(cls: type[Any]) -> str:
    return " ".join(inspect.getdoc(cls).split()) if cls.__doc__ else ""  # pyright: ignore[reportOptionalMemberAccess]


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(up_to_date(page.read_text(encoding="utf-8")), encoding="utf-8")
