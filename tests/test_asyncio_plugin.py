"""What Twisted finds: the endpoint string `asyncio:` and the reactor `uvloop`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from twisted.application.reactors import getReactorTypes
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mqttwist.net.asyncio_endpoint import AsyncioServerEndpoint
from tests.net.loops import LoopReactor


class PluginTests(SynchronousTestCase):
    def test_endpoint(self) -> None:
        """An endpoint string makes the endpoint, with colons escaped as Twisted wants them."""
        loop = asyncio.SelectorEventLoop()
        self.addCleanup(loop.close)
        endpoint: Any = serverFromString(LoopReactor(loop), r"asyncio:1883:interface=\:\:1")
        self.assertIsInstance(endpoint, AsyncioServerEndpoint)
        self.assertEqual((endpoint.loop, endpoint.port, endpoint.interface), (loop, 1883, "::1"))

    def test_parser(self) -> None:
        """Whatever answers to `asyncio` parses endpoint strings: an install may be seen beside a checkout."""
        found = [
            parser for parser in getPlugins(IStreamServerEndpointStringParser) if parser.prefix == "asyncio"
        ]
        self.assertTrue(found)
        for parser in found:
            verifyObject(IStreamServerEndpointStringParser, parser)

    def test_reactor(self) -> None:
        """`--reactor=uvloop` is among the reactors."""
        found: list[Any] = [reactor for reactor in getReactorTypes() if reactor.shortName == "uvloop"]
        modules = {reactor.moduleName for reactor in found}
        self.assertEqual(modules, {"mqttwist.net.uvloop_reactor"})

    def test_light(self) -> None:
        """To look at the plugins loads neither asyncio, nor a reactor, nor anything of ours."""
        code = (
            "import sys; import twisted.plugins.mqttwist_asyncio_plugin; "
            "heavy = ['asyncio', 'twisted.internet.reactor', 'uvloop', 'mqttwist']; "
            "print([name for name in heavy if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path = {sys.path!r}; {code}"],
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=20,
        )
        self.assertEqual(done.stdout, "[]\n")
