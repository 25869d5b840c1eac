"""Teach Twisted the reactor ``uvloop`` and the server endpoint ``asyncio:``."""

from __future__ import annotations

from typing import Any

from twisted.application.reactors import Reactor
from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class AsyncioEndpointParser:
    """Makes endpoints from ``asyncio:PORT:interface=ADDRESS:privateKey=FILE:certKey=FILE``."""

    prefix = "asyncio"

    def parseStreamServer(self, reactor: Any, *words: Any, **options: Any) -> IStreamServerEndpoint:
        """Raises `ValueError` and `RuntimeError` with one clear line."""
        # Twisted imports this module for every twistd command; what it needs waits until it is asked for.
        from mqttwist.net.asyncio_endpoint import endpoint_from_words

        return endpoint_from_words(reactor, *words, **options)


asyncio_endpoint = AsyncioEndpointParser()
uvloop = Reactor("uvloop", "mqttwist.net.uvloop_reactor", "asyncio based reactor on uvloop, the quickest")
