"""MQTT 5.0, 3.1.1 and 3.1 for Twisted."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
