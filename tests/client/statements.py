"""Which normative statements the tests of the client prove: what stands in brackets in their sentences.

[MQTT-4.6.0-2] is a statement of MQTT 5.0, [3.1.1: MQTT-4.6.0-2] one of MQTT 3.1.1. After a change of them:

    python -m tests.client.statements > mqttwist/conform/client.tsv
    python -m mqttwist.conform --page > docs/conformance.md
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
MARK = re.compile(r"\s*\[(3\.1\.1: )?(MQTT-[0-9.]+-[0-9]+)\]")


def rows() -> Iterator[tuple[int, str, str, str]]:
    """Protocol version, statement, test and its sentence."""
    for path in sorted(HERE.glob("test_*.py")):
        for case in ast.parse(path.read_text("utf-8")).body:
            if isinstance(case, ast.ClassDef):
                for test in case.body:
                    if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                        yield from _of(f"{path.stem}.{case.name}.{test.name}", ast.get_docstring(test) or "")


def _of(name: str, text: str) -> Iterator[tuple[int, str, str, str]]:
    sentence = " ".join(MARK.sub("", text).split())
    for old, statement in MARK.findall(text):
        yield (4 if old else 5), statement, name, sentence


def table() -> str:
    """The file, as it should be."""
    lines = ["\t".join([str(field) for field in row]) for row in sorted(rows())]
    return "version\tstatement\ttest\tsentence\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
