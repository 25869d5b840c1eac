"""Checks that fail on the broker of this package, and why that has not been mended: there should be none."""

from __future__ import annotations

from typing import Final

# The name of a check: what the broker does instead, and why.
KNOWN: Final[dict[str, str]] = {}
