"""What holds for all checks: they can fail on broken Servers, and they leave nothing behind."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.broker.connection import ServerConnection
from mqttwist.conform.client import Client
from mqttwist.conform.registry import Check, checks
from mqttwist.conform.rig import Rig
from mqttwist.conform.runner import Verdict, run
from mqttwist.conform.statements import VERSION_NAMES
from mqttwist.conform.virtual import VirtualBroker, VirtualLine, VirtualRig
from mqttwist.wire.connect import Connect
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.packet import MQTT_5, PUBLISH
from mqttwist.wire.subscribe import SubAck


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


class MuteLine(VirtualLine):
    """A Network Connection to our broker that loses each PUBLISH of the broker, if its `rig` is mute."""

    def __init__(self, rig: MuteRig, broker: Broker) -> None:
        super().__init__(broker, "mute")
        self._rig = rig

    def receive(self, seconds: float) -> bytes:
        decoder = Decoder(MQTT_5)
        decoder.feed(super().receive(seconds))
        kept: list[bytes] = []
        while decoder.advance():
            packet = decoder.data[decoder.start : decoder.end]
            is_message = packet[0] >> 4 == PUBLISH
            self._rig.messages += is_message
            if not (is_message and self._rig.is_mute):
                kept.append(packet)
        return b"".join(kept)


class MuteRig(VirtualRig):
    """Speaks to a Server that does all but deliver messages; counts `messages`, lost ones too.

    If not `is_mute`, it does deliver. `subscribed` says whether a client has subscribed, `looked` whether it
    was looked then if nothing comes.
    """

    def __init__(self, check: Check, is_mute: bool) -> None:
        self._broker = VirtualBroker(check.settings)
        super().__init__(check.version, self._broker)
        self.is_mute = is_mute
        self.messages = 0
        self.subscribed = self.looked = False

    def open(self, version: int = 0) -> Client:
        client = NotingClient(self, self._dial(), version or self.version)
        self._clients.append(client)
        return client

    def clean_up(self) -> None:
        messages = self.messages
        super().clean_up()
        self.messages = messages  # those of the check alone

    def _dial(self) -> MuteLine:
        return MuteLine(self, self._broker.broker)


class NotingClient(Client):
    """A client that tells its rig what it does."""

    _rig: MuteRig

    def subscribe(self, topic_filter: str, qos: int = 0, identifier: int = 0, **options: Any) -> SubAck:
        self._rig.subscribed = True
        return super().subscribe(topic_filter, qos, identifier, **options)

    def expect_nothing(self) -> None:
        self._rig.looked |= self._rig.subscribed
        super().expect_nothing()


# No more answers must come than there are: messages are no matter of theirs.
ANSWERS_ONLY = frozenset(
    {
        "acknowledgements_go_on_after_message_expiry",
        "unsubscribe_is_answered",
        "unsubscribe_from_nothing_is_answered",
        "unsuback_has_listed_reason_codes",
        "unsuback_keeps_to_the_maximum_packet_size",
    }
)

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

    def test_delivery_is_looked_at(self) -> None:
        """Each check in which the broker sends messages fails on a Server that loses them."""
        for version in VERSION_NAMES:
            for check in checks(version):
                healthy, mute = MuteRig(check, is_mute=False), MuteRig(check, is_mute=True)
                with self.subTest(check.name):
                    run(check, healthy)
                    wanted = Verdict.FAILED if healthy.messages else Verdict.PASSED
                    self.assertIs(run(check, mute).verdict, wanted)

    def test_nothing_comes_where_something_could(self) -> None:
        """A check that looks if a subscriber is sent nothing looks if it is sent something, too."""
        silent: set[str] = set()
        for version in VERSION_NAMES:
            for check in checks(version):
                rig = MuteRig(check, is_mute=False)
                run(check, rig)
                if rig.looked and not rig.messages:
                    silent.add(check.function)
        self.assertEqual(silent, ANSWERS_ONLY)

    def test_one_broker_for_all(self) -> None:
        """The checks of both versions run one after the other on one broker, and leave nothing there."""
        virtual = VirtualBroker()
        numbered = enumerate(check for version in VERSION_NAMES for check in checks(version))
        for number, check in numbered:
            if check.settings:
                continue
            with self.subTest(check.name):
                outcome = run(check, VirtualRig(check.version, virtual, f"v{number}"))
                self.assertIs(outcome.verdict, Verdict.PASSED, outcome.detail)
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
