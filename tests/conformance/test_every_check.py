"""What holds for all checks: they can fail, and they leave nothing behind."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.connection import ServerConnection
from mqttwist.conform.client import Client
from mqttwist.conform.known import KNOWN
from mqttwist.conform.registry import checks
from mqttwist.conform.rig import Rig
from mqttwist.conform.runner import Verdict, run
from mqttwist.conform.statements import VERSION_NAMES
from mqttwist.conform.virtual import VirtualBroker, VirtualRig
from mqttwist.wire.connect import Connect


class DeadLine:
    """A Network Connection to a Server that never says anything; it may close at once."""

    def __init__(self, is_closed: bool) -> None:
        self.is_closed = is_closed

    def send(self, data: bytes) -> None:
        pass

    def receive(self, seconds: float) -> bytes:
        return b""

    def close(self) -> None:
        self.is_closed = True


class DeadRig(Rig):
    """Speaks to a Server that does nothing at all."""

    patience = quiet = 0.0
    closes = False

    def wait(self, seconds: float) -> None:
        pass

    def settle(self, client: Client) -> None:
        client.take_in()

    def _dial(self) -> DeadLine:
        return DeadLine(self.closes)


class ClosingRig(DeadRig):
    """Speaks to a Server that closes each connection at once."""

    closes = True


USER = ("conform", b"pass\xff word")


def only_the_user(connection: ServerConnection, connect: Connect) -> None:
    """The login of a broker that knows one user."""
    if (connect.username, connect.password) == USER:
        connection.accept(None, identity="conform")
    else:
        connection.refuse(0x86, "")


class EveryCheckTests(SynchronousTestCase):
    def test_nothing_is_proven_by_silence(self) -> None:
        """Each check fails on a Server that says nothing, and on one that closes every connection."""
        for version in VERSION_NAMES:
            for check in checks(version):
                for kind in (DeadRig, ClosingRig):
                    with self.subTest(check.name, server=kind.__name__):
                        self.assertIs(run(check, kind(version, "dead")).verdict, Verdict.FAILED)

    def test_one_broker_for_all(self) -> None:
        """The checks of both versions run one after the other on one broker, and leave nothing there."""
        virtual = VirtualBroker()
        numbered = enumerate(check for version in VERSION_NAMES for check in checks(version))
        for number, check in numbered:
            if check.settings:
                continue
            with self.subTest(check.name):
                outcome = run(check, VirtualRig(check.version, virtual, f"v{number}"))
                wanted = Verdict.FAILED if check.name in KNOWN else Verdict.PASSED
                self.assertIs(outcome.verdict, wanted, outcome.detail)
                self.assertEqual(len(virtual.broker.sessions), 0)
                self.assertEqual(virtual.broker.connection_count, 0)
                self.assertEqual(len(virtual.broker.router.retained), 0)

    def test_who_logs_in(self) -> None:
        """Each check passes on a broker that lets nobody in without a user name and a password."""
        for version in VERSION_NAMES:
            for check in checks(version):
                virtual = VirtualBroker(check.settings)
                virtual.broker.login = only_the_user
                with self.subTest(check.name):
                    outcome = run(check, VirtualRig(version, virtual, credentials=USER))
                    self.assertIs(outcome.verdict, Verdict.PASSED, outcome.detail)
