"""End-to-end tests: the broker as a process of its own on loopback, driven by clients that others wrote."""

from __future__ import annotations
