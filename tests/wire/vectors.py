"""The table of vectors: what the tests of decoding, of encoding and of the broker feed from.

`VALID` holds packets that are right, each as bytes and as the object they decode to. `FAULTS` holds bytes
that must be refused, each with the error, its Reason Code and the clause that is broken. `LENGTH_FAULTS` has
very many more of these: all valid packets, cut at each byte or made longer. Every row names the protocol
versions it is for:

    for vector in VALID:
        for version in vector.versions:
            with self.subTest(vector.name, version=version):
                ...

The objects are shared by all tests: look at them, change nothing.
"""

from __future__ import annotations

from tests.wire.building import BEFORE_CONNECT, CLIENT, SERVER, Fault, Valid, framing_version
from tests.wire.combined import FROM_TABLES
from tests.wire.faults import (
    CONNACK_FAULTS,
    CONNECT_FAULTS,
    CONTROL_FAULTS,
    FIRST_PACKET_FAULTS,
    FIXED_HEADER_FAULTS,
    PUBLISH_FAULTS,
    SUBSCRIBE_FAULTS,
    TOO_LARGE,
)
from tests.wire.lengths import LENGTH_FAULTS
from tests.wire.spread import SPREAD_FAULTS
from tests.wire.valid import WRITTEN

__all__ = [
    "BEFORE_CONNECT",
    "CLIENT",
    "FAULTS",
    "LENGTH_FAULTS",
    "SERVER",
    "VALID",
    "Fault",
    "Valid",
    "framing_version",
]

VALID: tuple[Valid, ...] = (*WRITTEN, *FROM_TABLES)

FAULTS: tuple[Fault, ...] = (
    *FIXED_HEADER_FAULTS,
    *TOO_LARGE,
    *FIRST_PACKET_FAULTS,
    *CONNECT_FAULTS,
    *CONNACK_FAULTS,
    *PUBLISH_FAULTS,
    *SUBSCRIBE_FAULTS,
    *CONTROL_FAULTS,
    *SPREAD_FAULTS,
)
