"""The rig with real sockets, and the command, against a broker of this package on loopback."""

from __future__ import annotations

import atexit
import io
import socket
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from unittest import TestCase
from unittest.mock import call, patch

from mqttwist.conform.__main__ import main
from mqttwist.conform.client import Client
from mqttwist.conform.registry import checks
from mqttwist.conform.runner import Verdict, run
from mqttwist.conform.sockets import SocketRig
from mqttwist.conform.statements import VERSION_NAMES
from mqttwist.conform.verdict import CheckFailed
from mqttwist.wire.control import PingResp
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.publish import Publish
from tests.interop.broker import LOCAL_TCP, STARTED, BrokerProcess


@cache
def shared_broker() -> BrokerProcess:
    """One broker for all tests, as the checks leave nothing behind."""
    broker = BrokerProcess("--listen", LOCAL_TCP, "--store", "memory:")
    atexit.register(broker.stop)
    broker.wait_for(STARTED)
    return broker


class SocketTestCase(TestCase):
    def setUp(self) -> None:
        self.broker = shared_broker()

    def tearDown(self) -> None:
        self.assertEqual(self.broker.faults, [], self.broker.log)


class CheckTests(SocketTestCase):
    def test_checks(self) -> None:
        """Every check that waits for nothing passes over sockets too."""
        for version in VERSION_NAMES:
            for check in checks(version):
                if check.slow or check.settings:
                    continue
                with self.subTest(check.name):
                    outcome = run(check, SocketRig(version, "127.0.0.1", self.broker.ports[0]))
                    self.assertIs(outcome.verdict, Verdict.PASSED, outcome.detail)


class SocketRigTests(SocketTestCase):
    def rig(self) -> SocketRig:
        rig = SocketRig(MQTT_5, "127.0.0.1", self.broker.ports[0])
        rig.patience = 0.3
        self.addCleanup(rig.clean_up)
        return rig

    def test_nothing_came(self) -> None:
        """That nothing came is known once the clients that publish have been answered."""
        rig = self.rig()
        subscriber, publisher = rig.connect(), rig.connect()
        subscriber.subscribe(rig.topic())
        subscriber.expect_nothing()
        publisher.send(Publish(rig.topic()))
        self.assertRaises(CheckFailed, subscriber.expect_nothing)
        self.assertRaises(CheckFailed, subscriber.expect, PingResp)
        subscriber.expect(Publish)
        rig.open().expect_nothing()

    def test_lag(self) -> None:
        """What comes later than the answer to a PINGREQ is waited for, if the broker is known for it."""
        rig = self.rig()
        client = rig.connect()
        for lag in (0.0, 0.05):
            rig.lag = lag
            with patch.object(client, "take_in") as take_in:
                rig.settle(client)
            self.assertEqual(take_in.call_args_list, [call(0.05)] if lag else [])

    def test_closed(self) -> None:
        """A connection that the broker closes is closed, with its last words; another one is open."""
        rig = self.rig()
        client = rig.connect()
        self.assertRaises(CheckFailed, client.expect_closed)
        client.send(b"\x00\x00")
        goodbye = client.expect_closed()
        self.assertEqual(goodbye and goodbye.reason_code, 0x81)
        client.send(b"\x00\x00")
        client.drop()

    def test_a_server_that_never_stops(self) -> None:
        """Who goes on sending where the connection should be closed is not waited for for ever."""
        rig = self.rig()
        client = rig.connect()
        self.patch_receive(client, lambda seconds: b"\xd0\x00")
        with self.assertRaisesRegex(CheckFailed, "goes on and on"):
            client.expect_closed()

    def patch_receive(self, client: Client, receive: Callable[[float], bytes]) -> None:
        patcher = patch.object(client._line, "receive", receive)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_drop(self) -> None:
        """A client that was dropped is gone when `drop` returns."""
        rig = self.rig()
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(), qos=1)
        client.drop()
        rig.connect().publish(rig.topic(), qos=1)
        again = rig.connect(client.client_id, persistent=True, clean_start=False)
        self.assertFalse(again.message().dup)


class CommandTests(SocketTestCase):
    def test_a_broker_that_runs(self) -> None:
        """The command checks a broker over sockets, and logs in there."""
        broker = BrokerProcess("--listen", LOCAL_TCP, "--store", "memory:", "--auth", "memory:user:secret")
        self.addCleanup(broker.stop)
        broker.wait_for(STARTED)
        for password, status in (("secret", 0), ("wrong", 2)):
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                login = ["--username", "user", "--password", password]
                found = main([f"127.0.0.1:{broker.ports[0]}", "--only", "MQTT-1.5.7-1", *login])
            self.assertEqual(found, status)

    def test_no_broker(self) -> None:
        """One line and status 2 when nobody listens."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        output = io.StringIO()
        with redirect_stderr(output):
            self.assertEqual(main([f"127.0.0.1:{port}"]), 2)
        self.assertRegex(output.getvalue(), rf"\A127\.0\.0\.1:{port} can't be checked for MQTT 5\.0: .*\n\Z")
