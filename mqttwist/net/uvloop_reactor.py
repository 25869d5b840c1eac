"""Twisted's asyncio reactor on uvloop, for ``twistd --reactor=uvloop``."""

from __future__ import annotations


def install() -> None:
    """Install the reactor. Where there is no uvloop, `SystemExit` ends the command with one line."""
    try:
        import uvloop
    except ImportError as error:
        # Of an Exception, twistd would make a page of help, and twist a traceback.
        raise SystemExit(f"--reactor=uvloop: {error}; pip install mqttwist[uvloop]") from error
    from twisted.internet import asyncioreactor

    asyncioreactor.install(uvloop.new_event_loop())
