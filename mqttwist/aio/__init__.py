"""The client for plain asyncio programs: neither Twisted nor a reactor is needed, or imported."""

from __future__ import annotations

from mqttwist.aio.client import Client

__all__ = ["Client"]
