"""mqtt.tac: an application file that twistd can load."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.application.service import IService, loadApplication
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.net.login import accept_local
from mqttwist.net.service import BrokerService
from tests.net.logins import temporary_folder
from tests.net.spawning import SpawningReactor

TAC = Path(__file__).parents[1] / "mqtt.tac"


class TacTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = SpawningReactor()

    def test_twistd_loads_it(self) -> None:
        """`twistd -y` finds an application, and in it a broker."""
        with patch("twisted.internet.reactor", self.reactor, create=True):
            application: Any = loadApplication(str(TAC), "python")
        services: Any = IService(application)
        (service,) = services
        self.assertIsInstance(service, BrokerService)

    def test_safe(self) -> None:
        """As it is, it serves this machine only, on MQTT's port, keeps a store, and stops when it is told."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(temporary_folder(self))
        with patch("twisted.internet.reactor", self.reactor, create=True):
            broker = runpy.run_path(str(TAC))["broker"]
        broker.startService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (1883, "127.0.0.1"))
        self.assertIs(broker.broker.login, accept_local)
        self.assertTrue(Path("mqttwist.db").exists())
        self.successResultOf(broker.stopService())
