"""The normative statements of both specifications: identifier, section, and whom it binds.

The words of the specifications stand in them only; what a check proves it says in its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5

VERSION_NAMES: Final[dict[int, str]] = {MQTT_5: "MQTT 5.0", MQTT_3_1_1: "MQTT 3.1.1"}
_TABLES: Final[dict[int, str]] = {MQTT_5: "mqtt5.tsv", MQTT_3_1_1: "mqtt311.tsv"}


@dataclass(frozen=True, slots=True)
class Statement:
    """`binds` is ``server``, ``client`` or ``both``."""

    identifier: str
    section: str
    binds: str


@cache
def statements(version: int) -> tuple[Statement, ...]:
    """All statements of protocol `version` (4 for 3.1.1, or 5), in the order of the specification."""
    lines = files("mqttwist.conform").joinpath(_TABLES[version]).read_text("utf-8").splitlines()
    return tuple([Statement(*line.split("\t")) for line in lines[1:]])


@cache
def identifiers(version: int) -> frozenset[str]:
    return frozenset(statement.identifier for statement in statements(version))
