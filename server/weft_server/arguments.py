"""Options of the command line, generated from declared parameters."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Container
from typing import Any, NoReturn

from weft_wire.jobs.networks import NETWORK
from weft_wire.jobs.variants import GALLERY
from weft_wire.parameters import from_mapping, params_of

__all__ = ["Parser", "add_options", "options_of"]

SECTIONS = {  # titles of the sections of parameters
    NETWORK: "with a model that has trained weights",
    GALLERY: "as one of several variants (`weft gallery` makes all of them)",
}


class Parser(argparse.ArgumentParser):
    """Complains in one line that ends with the remedy; takes `--up -y`, where -y is one of the choices of --up."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dashed: dict[str, tuple[str, ...]] = {}  # options with choices that begin with a dash

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        for i in range(len(given) - 1, 0, -1):
            if given[i] in self.dashed.get(given[i - 1], ()):
                given[i - 1 : i + 1] = [f"{given[i - 1]}={given[i]}"]
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"weft: {message} (`{self.prog} --help` lists the options)\n")
        raise SystemExit(2)


def add_options(parser: Parser, declaration: type[Any], *, but: Container[str] = ()) -> None:
    """One option per field: --texture-size for texture_size, --decals / --no-decals for a switch. `but`: fields that
    the command asks for in its own way."""
    groups: dict[str, Any] = {"": parser}
    for field, kind, rule in params_of(declaration):
        if field.name in but:
            continue
        if rule.section not in groups:
            groups[rule.section] = parser.add_argument_group(SECTIONS[rule.section])
        group = groups[rule.section]
        option = f"--{field.name.replace('_', '-')}"
        details = [f"{_number(rule.minimum)} to {_number(rule.maximum)}"] if kind in (int, float) else []
        details += [rule.unit] if rule.unit else []
        details += [f"0: {rule.zero}"] if rule.zero else []
        if field.default not in ("", dataclasses.MISSING):
            details.append(f"default {field.default}")
        text = f"{rule.help} ({', '.join(details)})" if details else rule.help
        if kind is bool:
            group.add_argument(option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            if any(choice.startswith("-") for choice in rule.choices):
                parser.dashed[option] = rule.choices
            group.add_argument(
                option,
                type=kind,
                choices=rule.choices or None,
                default=argparse.SUPPRESS,
                metavar=None if rule.choices else {str: "TEXT", int: "N", float: "X"}[kind],
                help=text,
            )


def options_of(namespace: argparse.Namespace, declaration: type[Any], **more: Any) -> Any:
    """The declared dataclass from the parsed options and `more`; values out of range raise."""
    given = vars(namespace) | more
    names = [field.name for field, _, _ in params_of(declaration) if field.name in given]
    return from_mapping(declaration, {name: given[name] for name in names})


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
