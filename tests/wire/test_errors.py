"""The errors: what they carry, how they read, and that they survive being copied."""

from __future__ import annotations

import pickle

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.connect import UnsupportedProtocolVersion
from mqttwist.wire.errors import MalformedPacket, MQTTError, ProtocolError


class ErrorTests(SynchronousTestCase):
    def test_malformed_packet(self) -> None:
        """A Malformed Packet has Reason Code 0x81 (4.13.1)."""
        error = MalformedPacket("the packet ends", "1.5.1")
        self.assertIsInstance(error, MQTTError)
        self.assertEqual((error.reason_code, error.text, error.clause), (0x81, "the packet ends", "1.5.1"))
        self.assertIs(type(error.reason_code), int)

    def test_protocol_error(self) -> None:
        """A Protocol Error has the Reason Code it was given (4.13.1)."""
        error = ProtocolError(0x94, "the alias is 0", "MQTT-3.3.2-8")
        self.assertIsInstance(error, MQTTError)
        self.assertNotIsInstance(error, MalformedPacket)
        self.assertEqual(
            (error.reason_code, error.text, error.clause), (0x94, "the alias is 0", "MQTT-3.3.2-8")
        )

    def test_unsupported_protocol_version(self) -> None:
        """A version we do not speak has Reason Code 0x84; its number says how to answer (3.1.2.2)."""
        error = UnsupportedProtocolVersion("MQTT", 6)
        self.assertIsInstance(error, ProtocolError)
        self.assertEqual((error.reason_code, error.clause, error.version), (0x84, "MQTT-3.1.2-2", 6))
        self.assertEqual(UnsupportedProtocolVersion("MQIsdp", 4).version, 4)

    def test_another_protocol(self) -> None:
        """A protocol that is not MQTT has no version; of its name little is repeated (3.1.2.1)."""
        error = UnsupportedProtocolVersion("AMQP" * 10_000, 4)
        self.assertEqual((error.reason_code, error.clause, error.version), (0x84, "MQTT-3.1.2-1", -1))
        self.assertLess(len(error.text), 80)

    def test_text(self) -> None:
        """As text an error has all that a log needs: what, the Reason Code, the clause."""
        self.assertEqual(str(MalformedPacket("no", "1.5.1")), "no (0x81) [1.5.1]")
        self.assertEqual(str(ProtocolError(0x82, "no", "2.1.4")), "no (0x82) [2.1.4]")

    def test_copies(self) -> None:
        """An error can be pickled, as a test run in several processes does."""
        errors = (
            MalformedPacket("no", "1.5.1"),
            ProtocolError(0x9B, "no", "2.1.4"),
            UnsupportedProtocolVersion("MQTT", 6),
        )
        for error in errors:
            with self.subTest(type(error).__name__):
                copy = pickle.loads(pickle.dumps(error))
                self.assertIs(type(copy), type(error))
                self.assertEqual(str(copy), str(error))
                self.assertEqual(copy.reason_code, error.reason_code)
