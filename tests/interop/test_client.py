"""The same program of our client on our broker and on brokers of others."""

from __future__ import annotations

from typing import Any
from unittest import skipIf

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mqttwist import MQTTClient, Received, Will
from mqttwist.net.service import BrokerService
from tests.interop.foreign_brokers import ForeignBroker, why_missing

PATIENCE = 20.0  # seconds

Messages = list[tuple[str, bytes, int]]


class ProgramTests(TestCase):
    """What a program does with a client, on a broker at `self.port`: here on ours, in MQTT 5.0."""

    version: int | str = 5
    delivered_qos = (0, 1, 2)  # of messages published at 0, 1 and 2, to a subscription at 2
    timeout = 60  # for trial

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.port = self.start_broker()

    def start_broker(self) -> int:
        broker = BrokerService(["tcp:0:interface=127.0.0.1"], reactor=self.reactor)
        broker.startService()
        self.addCleanup(broker.stopService)
        host: Any = broker.ports[0].getHost()
        port: int = host.port
        return port

    def client(self, client_id: str, **options: Any) -> MQTTClient:
        return MQTTClient(
            f"127.0.0.1:{self.port}",
            client_id=client_id,
            username="interop",
            version=self.version,
            reactor=self.reactor,
            **options,
        )

    def listening(
        self, client: MQTTClient, topic_filter: str, number: int
    ) -> tuple[Messages, Deferred[None]]:
        """What comes, and a Deferred that fires with the last of so many."""
        got: Messages = []
        all_here: Deferred[None] = Deferred()

        def received(message: Received) -> None:
            got.append((message.topic_name, message.payload, message.qos))
            if len(got) == number:
                all_here.callback(None)

        client.call_for(topic_filter, received)
        return got, all_here.addTimeout(PATIENCE, self.reactor)

    def run_program(self, program: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(program).addTimeout(2 * PATIENCE, self.reactor)

    def test_every_qos(self) -> Any:
        """What is published at each QoS is confirmed, and arrives at that QoS [MQTT-3.8.4-8]."""

        async def program() -> None:
            async with self.client("subscriber") as subscriber, self.client("publisher") as publisher:
                got, all_here = self.listening(subscriber, "every/#", 3)
                await subscriber.ready()
                await deferLater(self.reactor, 0.2)
                for qos in (0, 1, 2):
                    await publisher.publish(f"every/{qos}", b"%d" % qos, qos=qos)
                await all_here
                expected = [(f"every/{n}", b"%d" % n, qos) for n, qos in enumerate(self.delivered_qos)]
                self.assertEqual(sorted(got), expected)

        return self.run_program(program())

    def test_session(self) -> Any:
        """What comes while the client is away is there when it comes back, in its order."""

        async def program() -> None:
            kept = {"session_expiry_interval": 3600}
            async with self.client("away", **kept) as first:
                await first.call_for("session/#", lambda message: None)
            async with self.client("publisher") as publisher:
                for number in range(10):
                    await publisher.publish("session/a", b"%d" % number, qos=1)
            second = self.client("away", **kept)
            got, all_here = self.listening(second, "session/#", 10)
            async with second:
                await all_here
            self.assertEqual([payload for _, payload, _ in got], [b"%d" % number for number in range(10)])

        return self.run_program(program())

    def test_retained_and_will(self) -> Any:
        """A retained message comes to whoever subscribes, and the will of a client that was lost."""

        async def program() -> None:
            will = Will("state/pump", b"gone", 1)
            lost = self.client("pump", will=will)
            async with self.client("watcher") as watcher, self.client("publisher") as publisher:
                await publisher.publish("state/valve", b"open", qos=1, retain=True)
                kept, is_here = self.listening(watcher, "state/valve", 1)
                await is_here
                told, is_told = self.listening(watcher, "state/pump", 1)
                await watcher.ready()
                lost.startService()
                await lost.ready()
                await deferLater(self.reactor, 0.2)
                connection: Any = lost.core.connection
                connection.transport.transport.abortConnection()
                await is_told
                await lost.stopService()
                await publisher.publish("state/valve", b"", qos=1, retain=True)
            self.assertEqual((kept[0][1], told[0][1]), (b"open", b"gone"))

        return self.run_program(program())


class Ours311Tests(ProgramTests):
    version = "3.1.1"


class ForeignTests(ProgramTests):
    """The same on a broker of others."""

    name = "mosquitto"

    def start_broker(self) -> int:
        reason = why_missing(self.name)
        if reason is not None:
            self.skipTest(reason)
        broker = ForeignBroker(self.name)
        self.addCleanup(broker.stop)
        return broker.port


class Mosquitto311Tests(ForeignTests):
    version = "3.1.1"


class Mosquitto31Tests(ForeignTests):
    version = "3.1"


@skipIf(why_missing("amqtt") is not None, str(why_missing("amqtt")))
class AmqttTests(ForeignTests):
    name = "amqtt"
    version = "3.1.1"
    delivered_qos = (2, 2, 2)  # it takes the subscription's, also where the message's is lower


@skipIf(why_missing("aedes") is not None, str(why_missing("aedes")))
class AedesTests(ForeignTests):
    name = "aedes"
    version = "3.1.1"
