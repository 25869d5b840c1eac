"""What must work between the broker and any client; the test modules name the clients and versions."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from tests.interop.broker import CHECKOUT, LOCAL_TCP, PATIENCE, BrokerTestCase
from tests.interop.certificates import make_certificate
from tests.interop.clients import (
    CONNECTION_LOST,
    MQTT_3_1,
    MQTT_5,
    Client,
    Connected,
    Connecting,
    MessageProperties,
    Received,
    WillMessage,
)

MEBIBYTE = bytes(range(256)) * 4096
HOUR = 3600


def add_user(file: Path, user: str, password: str) -> None:
    """Put a user into a password file, with the command an operator uses."""
    subprocess.run(
        [sys.executable, "-m", "mqttwist.passwd", file, user, "--password-stdin"],
        input=password.encode(),
        cwd=CHECKOUT,
        check=True,
        timeout=PATIENCE,
    )


class ClientCase(BrokerTestCase):
    """Makes clients of `kind` that speak `version`."""

    kind: ClassVar[type[Client]]
    version: ClassVar[int]

    def make(self, client_id: str, **connecting: Any) -> Client:
        """A client that is not connected yet; it is closed when the test is over."""
        port = connecting.pop("port", None) or self.port
        client = self.kind(Connecting(port, self.version, client_id, **connecting))
        self.addCleanup(client.close)
        return client

    def connect(self, client_id: str, **connecting: Any) -> Client:
        """A client that is connected."""
        client = self.make(client_id, **connecting)
        connected = client.connect()
        self.assertEqual(connected.reason_code, 0)
        return client

    def assert_ended(self, client: Client, reason_code: int) -> None:
        """The broker has ended the connection of `client`; only MQTT 5.0 is told why."""
        expected = reason_code if self.version == MQTT_5 else CONNECTION_LOST
        self.assertEqual(client.ended(), expected)


class ClientTests(ClientCase):
    """For every protocol version."""

    many: ClassVar[int] = 500

    def test_quality_of_service(self) -> None:
        """A message arrives at the lower of the two QoS, from 0 to 2, with its payload unaltered."""
        subscriber, publisher = self.connect("subscriber"), self.connect("publisher")
        for granted in (0, 1, 2):
            self.assertEqual(subscriber.subscribe(f"to/{granted}/+", granted), granted)
            for qos in (0, 1, 2):
                topic, payload = f"to/{granted}/{qos}", bytes((granted, qos, 0, 255))
                publisher.publish(topic, payload, qos)
                self.assertEqual(subscriber.next(), Received(topic, payload, min(qos, granted), False))

    def test_wildcards_and_unsubscribe(self) -> None:
        """`#` and `+` match as they should, and nothing comes after UNSUBSCRIBE."""
        client = self.connect("client")
        for topic_filter in ("all/#", "one/+/end", "gone/#"):
            client.subscribe(topic_filter, 1)
        client.unsubscribe("gone/#")
        for topic in ("all", "all/a/b", "one/x/end", "one/x/y/end", "gone/a", "one//end"):
            client.publish(topic, topic.encode(), 1)
        topics = [message.topic for message in client.next_all(4)]
        self.assertEqual(topics, ["all", "all/a/b", "one/x/end", "one//end"])

    def test_retained(self) -> None:
        """A retained message goes to who is there and, marked, to who comes later, until it is cleared."""
        publisher, early = self.connect("publisher"), self.connect("early")
        early.subscribe("state/#", 2)
        for qos in (0, 1, 2):
            publisher.publish(f"state/{qos}", b"old", qos, retain=True)
            publisher.publish(f"state/{qos}", b"on", qos, retain=True)
            self.assertEqual(early.next(), Received(f"state/{qos}", b"old", qos, False))
            self.assertEqual(early.next(), Received(f"state/{qos}", b"on", qos, False))
        late = self.connect("late")
        late.subscribe("state/+", 2)
        received = sorted(late.next_all(3), key=lambda message: message.topic)
        self.assertEqual(received, [Received(f"state/{qos}", b"on", qos, True) for qos in (0, 1, 2)])
        publisher.publish("state/1", b"", 1, retain=True)
        self.assertEqual(late.next(), Received("state/1", b"", 1, False))
        latest = self.connect("latest")
        latest.subscribe("state/#", 2)
        self.assertEqual(sorted(message.topic for message in latest.next_all(2)), ["state/0", "state/2"])

    def test_will(self) -> None:
        """A Will is published when the connection breaks and not after a DISCONNECT."""
        watcher = self.connect("watcher")
        watcher.subscribe("will/#", 2)
        leaving = self.connect("leaving", will=WillMessage("will/leaving", b"gone", 1))
        leaving.disconnect()
        breaking = self.connect("breaking", will=WillMessage("will/breaking", b"gone", 2, retain=True))
        breaking.cut()
        self.assertEqual(watcher.next(), Received("will/breaking", b"gone", 2, False))
        late = self.connect("late")
        late.subscribe("will/#", 1)
        self.assertEqual(late.next(), Received("will/breaking", b"gone", 1, True))
        self.assertTrue(watcher.messages.empty())

    def test_persistent_session(self) -> None:
        """Messages wait in order for a client that is away, and it learns of its session."""
        away = self.connect("away", clean=False, session_expiry=HOUR)
        away.subscribe("to/away", 2)
        away.disconnect()
        publisher = self.connect("publisher")
        for number in range(3):
            publisher.publish("to/away", b"message %d" % number, 1)
            publisher.publish("to/away", b"message %d" % number, 2)
        back = self.make("away", clean=False, session_expiry=HOUR)
        self.assertEqual(back.connect(), Connected(0, self.version != MQTT_3_1))
        received = [(message.qos, message.payload) for message in back.next_all(6)]
        for qos in (1, 2):  # which of both is first, some clients decide
            payloads = [payload for its_qos, payload in received if its_qos == qos]
            self.assertEqual(payloads, [b"message %d" % number for number in range(3)])
        publisher.publish("to/away", b"live", 2)
        self.assertEqual(back.next().payload, b"live")

    def test_clean_start_ends_the_session(self) -> None:
        """A client that wants a clean start finds neither its subscriptions nor its messages."""
        self.connect("client", clean=False, session_expiry=HOUR).disconnect()
        once = self.connect("client", clean=False, session_expiry=HOUR)
        once.subscribe("topic", 1)
        once.disconnect()
        publisher = self.connect("publisher")
        publisher.publish("topic", b"lost", 1)
        anew = self.make("client", clean=True)
        self.assertEqual(anew.connect(), Connected(0, False))
        anew.subscribe("other", 1)
        publisher.publish("topic", b"lost", 1)
        publisher.publish("other", b"first", 1)
        self.assertEqual(anew.next().payload, b"first")

    def test_shared_subscription(self) -> None:
        """Of the members of a group one gets each message, and all have a share."""
        members = [self.connect(f"member {number}") for number in range(3)]
        for member in members:
            member.subscribe("$share/group/work/#", 1)
        outsider = self.connect("outsider")
        outsider.subscribe("work/#", 1)
        payloads = [b"%d" % number for number in range(60)]
        self.connect("publisher").publish_all("work/a", payloads, 1)
        self.assertEqual([message.payload for message in outsider.next_all(60)], payloads)
        shares = [[member.next().payload for _ in range(20)] for member in members]
        self.assertEqual(sorted(payload for share in shares for payload in share), sorted(payloads))
        for share in shares:
            self.assertEqual(share, sorted(share, key=int))

    def test_a_mebibyte_both_ways(self) -> None:
        """A payload of 1 MiB comes back as it went."""
        client = self.connect("client")
        client.subscribe("big", 2)
        for qos in (0, 1, 2):
            client.publish("big", MEBIBYTE, qos)
            received = client.next()
            self.assertEqual(received.qos, qos)
            self.assertTrue(received.payload == MEBIBYTE)

    def test_many_at_qos_1(self) -> None:
        """Messages at QoS 1 in quick succession arrive once each and in order."""
        self._send_many(1)

    def test_many_at_qos_2(self) -> None:
        """Messages at QoS 2 in quick succession arrive once each and in order."""
        self._send_many(2)

    def _send_many(self, qos: int) -> None:
        subscriber, publisher = self.connect("subscriber"), self.connect("publisher")
        subscriber.subscribe("many", qos)
        payloads = [b"message %d" % number for number in range(self.many)]
        publisher.publish_all("many", payloads, qos)
        self.assertEqual([message.payload for message in subscriber.next_all(self.many)], payloads)
        publisher.publish("many", b"the end", qos)
        self.assertEqual(subscriber.next().payload, b"the end")

    def test_take_over(self) -> None:
        """The second client of a name takes the place of the first, which is told why in MQTT 5.0 (0x8E)."""
        first = self.connect("name", clean=False, session_expiry=HOUR)
        first.subscribe("topic", 1)
        second = self.make("name", clean=False, session_expiry=HOUR)
        self.assertEqual(second.connect(), Connected(0, self.version != MQTT_3_1))
        self.assert_ended(first, 0x8E)
        second.publish("topic", b"to the second", 1)
        self.assertEqual(second.next().payload, b"to the second")

    def test_orderly_stop(self) -> None:
        """When the broker stops, its clients are told so in MQTT 5.0 (0x8B), and cut off before."""
        clients = [self.connect(f"client {number}") for number in range(3)]
        self.broker.ask_to_stop()
        for client in clients:
            self.assert_ended(client, 0x8B)

    def test_password_file(self) -> None:
        """With a file of hashed passwords the right one gets in, a wrong one and no name at all do not."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        add_user(folder / "passwords", "alice", "correct horse")
        broker = self.start_broker("--listen", LOCAL_TCP, "--auth", f"mqtt-passwords:{folder / 'passwords'}")
        refused = (0x86, 0x87) if self.version == MQTT_5 else (4, 5)
        for username, password in (("alice", "wrong"), ("mallory", "correct horse"), (None, None)):
            with self.subTest(username=username):
                client = self.make("client", port=broker.ports[0], username=username, password=password)
                self.assertIn(client.connect().reason_code, refused)
        client = self.connect("client", port=broker.ports[0], username="alice", password="correct horse")
        client.subscribe("a", 1)
        client.publish("a", b"in", 1)
        self.assertEqual(client.next().payload, b"in")
        self.assertNotIn("correct horse", broker.log)

    def test_tls(self) -> None:
        """Over TLS everything works alike, big messages included."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        key, certificate = make_certificate(folder)
        endpoint = f"ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
        broker = self.start_broker("--listen", endpoint)
        client = self.connect("client", port=broker.ports[0], certificate=str(certificate))
        client.subscribe("secret/#", 2)
        for qos in (0, 1, 2):
            client.publish("secret/small", b"small", qos)
            self.assertEqual(client.next(), Received("secret/small", b"small", qos, False))
        client.publish("secret/big", MEBIBYTE, 1)
        self.assertTrue(client.next().payload == MEBIBYTE)
        client.disconnect()


class Version5Tests(ClientTests):
    """What only MQTT 5.0 has, and all the rest."""

    version = MQTT_5
    many = 5_000

    def test_properties_are_forwarded(self) -> None:
        """All properties of a message arrive unaltered, user properties in their order."""
        properties = MessageProperties(
            payload_format_indicator=1,
            message_expiry_interval=HOUR,
            content_type="text/plain; charset=utf-8",
            response_topic="answers/here",
            correlation_data=b"\x00\x01\xff",
            user_properties=(("b", "1"), ("a", "2"), ("b", "0"), ("\N{SNOWMAN}", "")),
        )
        subscriber, publisher = self.connect("subscriber"), self.connect("publisher")
        subscriber.subscribe("topic", 2)
        for qos in (0, 1, 2):
            publisher.publish("topic", b"text", qos, properties=properties)
            received = subscriber.next().properties
            self.assertIn(received.message_expiry_interval, range(HOUR - int(PATIENCE), HOUR + 1))
            self.assertEqual(self._comparable(received), self._comparable(properties))

    def _comparable(self, properties: MessageProperties) -> dict[str, Any]:
        """Without the time that passes, and in the order the client can tell."""
        values = dict(vars(properties))
        del values["message_expiry_interval"]
        if not self.kind.keeps_order_of_user_properties:
            values["user_properties"] = sorted(values["user_properties"], key=lambda pair: pair[0])
        return values

    def test_session_that_ends_with_its_connection(self) -> None:
        """Without a Session Expiry Interval nothing is left of a session, clean start or not."""
        first = self.connect("client", clean=False)
        first.subscribe("topic", 1)
        first.disconnect()
        self.broker.wait_for("'client' disconnected from")
        self.assertEqual(self.make("client", clean=False).connect(), Connected(0, False))
