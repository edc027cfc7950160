"""server/PROTOCOL.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from weft_server.protocol_page import up_to_date
from weft_wire.messages import MESSAGES, PROTOCOL

PAGE = Path(__file__).parents[2] / "server" / "PROTOCOL.md"


def test_the_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == up_to_date(page), "run: python -m weft_server.protocol_page server/PROTOCOL.md"


def test_the_prose_names_the_version_and_only_verbs_that_exist() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"protocol {PROTOCOL}\n" in page.splitlines(keepends=True)[0]
    prose = page.partition("<!-- generated")[0]
    said = set(re.findall(r"`([A-Z_]{4,})[`(]", prose)) - {"ROUTER", "DEALER"}
    assert said <= set(MESSAGES)
    assert {verb for verb in MESSAGES if f"### {verb}\n" in page} == set(MESSAGES)
