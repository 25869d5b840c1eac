"""What must work between the broker and Mosquitto's command line clients, in each protocol version."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from tests.interop.broker import LOCAL_TCP, BrokerTestCase
from tests.interop.certificates import make_certificate
from tests.interop.clients import MQTT_5
from tests.interop.contract import MEBIBYTE, add_user
from tests.interop.mosquitto import Mosquitto

TIMED_OUT = 27  # the exit status of mosquitto_sub -W


class MosquittoTests(BrokerTestCase):
    """Makes its clients speak `version`."""

    version: ClassVar[int]

    @property
    def mosquitto(self) -> Mosquitto:
        return Mosquitto(self, self.broker, self.version)

    def test_quality_of_service(self) -> None:
        """What mosquitto_pub sends mosquitto_sub receives at the lower of the two QoS."""
        for granted in (0, 1, 2):
            subscriber = self.mosquitto.start_sub(
                f"sub {granted}", "-q", str(granted), "-t", "a/+", "-C", "3", "-F", "%j"
            )
            for qos in (0, 1, 2):
                self.mosquitto.pub("-q", str(qos), "-t", f"a/{qos}", "-m", f"text {qos}")
            received = [(each["topic"], each["qos"], each["payload"]) for each in subscriber.messages()]
            self.assertEqual(received, [(f"a/{qos}", min(qos, granted), f"text {qos}") for qos in (0, 1, 2)])

    def test_lines(self) -> None:
        """1,000 lines of standard input arrive in their order, at each QoS."""
        lines = b"".join(b"line %d\n" % number for number in range(1000))
        for qos in ("0", "1", "2"):
            subscriber = self.mosquitto.start_sub(f"sub {qos}", "-q", qos, "-t", "lines", "-C", "1000")
            self.mosquitto.pub("-q", qos, "-t", "lines", "-l", stdin=lines)
            self.assertEqual(subscriber.output(), lines)

    def test_a_mebibyte(self) -> None:
        """A payload of 1 MiB arrives whole."""
        subscriber = self.mosquitto.start_sub("sub", "-q", "2", "-t", "big", "-C", "1", "-N")
        self.mosquitto.pub("-q", "2", "-t", "big", "-s", stdin=MEBIBYTE)
        self.assertTrue(subscriber.output() == MEBIBYTE)

    def test_retained(self) -> None:
        """A retained message is found by --retained-only, until it is cleared."""
        self.mosquitto.pub("-q", "1", "-r", "-t", "state/a", "-m", "on")
        self.mosquitto.pub("-q", "1", "-r", "-t", "state/b", "-m", "off")
        arguments = ("-q", "1", "--retained-only", "-t", "state/#", "-v")
        found = self.mosquitto.sub(*arguments, "-C", "2")
        self.assertEqual(sorted(found.splitlines()), ["state/a on", "state/b off"])
        self.mosquitto.pub("-q", "1", "-r", "-t", "state/a", "-n")
        found = self.mosquitto.sub(*arguments, "-C", "1")
        self.assertEqual(found.splitlines(), ["state/b off"])
        self.mosquitto.pub("-q", "1", "-r", "-t", "state/b", "-n")
        found = self.mosquitto.sub(*arguments, "-W", "1", status=TIMED_OUT)
        self.assertNotIn("state", found)

    def test_persistent_session(self) -> None:
        """mosquitto_sub -c finds what was published while it was away."""
        session = ["-i", "keeper", "-c", "-q", "2", "-t", "kept"]
        if self.version == MQTT_5:
            session += ["-x", "3600"]
        self.mosquitto.sub(*session, "-E")
        for number in range(3):
            self.mosquitto.pub("-q", "2", "-t", "kept", "-m", f"number {number}")
        found = self.mosquitto.sub(*session, "-C", "3")
        self.assertEqual(found.splitlines(), ["number 0", "number 1", "number 2"])

    def test_will(self) -> None:
        """The Will of a mosquitto_sub that is killed is published."""
        watcher = self.mosquitto.start_sub("watcher", "-q", "1", "-t", "will", "-C", "1", "-F", "%j")
        will = ("--will-topic", "will", "--will-payload", "gone", "--will-qos", "1")
        victim = self.mosquitto.start_sub("victim", "-t", "other", *will)
        victim.close()
        (received,) = watcher.messages()
        self.assertEqual((received["payload"], received["qos"], received["retain"]), ("gone", 1, 0))

    def test_shared_subscription(self) -> None:
        """Two members of a group share 10 messages."""
        members = [
            self.mosquitto.start_sub(f"member {number}", "-q", "1", "-t", "$share/group/work", "-C", "5")
            for number in range(2)
        ]
        lines = [b"%d" % number for number in range(10)]
        self.mosquitto.pub("-q", "1", "-t", "work", "-l", stdin=b"\n".join(lines) + b"\n")
        self.assertEqual(sorted(members[0].output().split() + members[1].output().split()), lines)

    def test_password_file(self) -> None:
        """A right password gets in, a wrong one and none at all do not."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        add_user(folder / "passwords", "alice", "correct horse")
        broker = self.start_broker("--listen", LOCAL_TCP, "--auth", f"mqtt-passwords:{folder / 'passwords'}")
        mosquitto = Mosquitto(self, broker, self.version)
        message = ("-q", "1", "-t", "a", "-m", "x")
        mosquitto.pub(*message, "-u", "alice", "-P", "correct horse")
        wrong, anonymous = (134, 135) if self.version == MQTT_5 else (4, 5)
        mosquitto.pub(*message, "-u", "alice", "-P", "wrong", status=wrong)
        mosquitto.pub(*message, status=anonymous)

    def test_tls(self) -> None:
        """mosquitto_pub and mosquitto_sub meet over TLS."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        key, certificate = make_certificate(folder)
        endpoint = f"ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
        broker = self.start_broker("--listen", endpoint)
        mosquitto = Mosquitto(self, broker, self.version)
        tls = ("--cafile", str(certificate), "-q", "2", "-t", "secret")
        subscriber = mosquitto.start_sub("sub", *tls, "-C", "1", "-N")
        mosquitto.pub(*tls, "-s", stdin=MEBIBYTE)
        self.assertTrue(subscriber.output() == MEBIBYTE)
