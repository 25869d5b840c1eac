"""What proves that the client keeps to the statements that bind it: tests of its core, in `tests/client`.

`client.tsv` is made from the sentences of the tests: see `tests/client/statements.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Proof:
    """`test` is the name of a test in `tests/client`, `sentence` what it proves of `statement`."""

    version: int
    statement: str
    test: str
    sentence: str


@cache
def proofs() -> tuple[Proof, ...]:
    """All of them."""
    lines = files("mqttwist.conform").joinpath("client.tsv").read_text("utf-8").splitlines()
    found = [line.split("\t") for line in lines[1:]]
    return tuple([Proof(int(version), *rest) for version, *rest in found])


def proofs_of(version: int, statement: str) -> tuple[Proof, ...]:
    """Those of one statement of protocol `version` (4 for 3.1.1, or 5)."""
    return tuple([one for one in proofs() if (one.version, one.statement) == (version, statement)])
