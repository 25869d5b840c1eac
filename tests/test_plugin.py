"""The plugin by which twistd learns the command ``mqtt``."""

from __future__ import annotations

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase


def find_mqtt() -> list[IServiceMaker]:
    """Return every service maker in Twisted's plugin folders whose command is ``mqtt``."""
    return [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "mqtt"]


class PluginTests(SynchronousTestCase):
    def test_twisted_finds_the_command(self) -> None:
        """Twisted's plugin search finds a service maker of the name ``mqtt``."""
        self.assertTrue(find_mqtt())

    def test_every_find_is_the_broker(self) -> None:
        """Whatever answers to ``mqtt`` is ours: an installed copy and a checkout may both be seen."""
        for maker in find_mqtt():
            with self.subTest(maker=maker):
                self.assertEqual(maker.description, "an MQTT 5.0, 3.1.1 and 3.1 broker")
                self.assertEqual(getattr(maker, "module", None), "mqttwist.tap")
