"""How user names and passwords are written before they are hashed: SASLprep (RFC 4013), of Unicode 3.2."""

from __future__ import annotations

import stringprep
from typing import Final
from unicodedata import ucd_3_2_0

_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """`text` as a stored string: code points that Unicode 3.2 did not know are none. Raises `ValueError`."""
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(one) else one for one in text if not stringprep.in_table_b1(one)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    for one in prepared:
        if stringprep.in_table_a1(one) or any(table(one) for table in _PROHIBITED):
            raise ValueError(f"U+{ord(one):04X} must not be in a user name or a password (RFC 4013)")
    _check_directions(prepared)
    return prepared


def _check_directions(text: str) -> None:
    """What is written from right to left begins and ends so, and has nothing else in it (RFC 3454, 6)."""
    if not any(stringprep.in_table_d1(one) for one in text):
        return
    if any(stringprep.in_table_d2(one) for one in text):
        raise ValueError("a user name or a password must not be written in both directions (RFC 4013)")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("what is written from right to left must begin and end so (RFC 4013)")
