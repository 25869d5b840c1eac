"""Checks that fail on the broker of this package, and why that has not been mended: there should be none."""

from __future__ import annotations

from typing import Final

# The name of a check: what the broker does instead, and why.
KNOWN: Final[dict[str, str]] = {
    "v311.subscribe_actions.share_is_a_topic_level_as_others_are": (
        "a Topic Filter with `$share/` is taken for a shared subscription in 3.1.1 as well, and one "
        "that is none by the rules of MQTT 5.0 closes the connection, where SUBACK should say 0x80"
    ),
}
