"""What a program reads of the client's errors, compiled and plain."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.client.errors import (
    ConnectionEnded,
    ConnectRefused,
    NotDelivered,
    NotSupportedByServer,
    PublishRefused,
    Refused,
    SubscribeRefused,
)


class ErrorTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Each error can be shown."""
        for error, words in (
            (Refused(0x80), "the request was refused with 0x80, Unspecified error"),
            (PublishRefused(0x9B, "0"), "the message was refused with 0x9B, QoS not supported: 0"),
            (SubscribeRefused(0x87), "the subscription was refused with 0x87, Not authorized"),
            (ConnectRefused(0x86), "the connection was refused with 0x86, Bad user name or password"),
            (ConnectionEnded("gone"), "gone"),
            (ConnectionEnded("gone", 0x8B), "gone (0x8B, Server shutting down)"),
            (Refused(0xFF), "the request was refused with 0xFF"),
            (NotDelivered("late", True), "late; the Server may have it"),
            (NotSupportedByServer("Maximum QoS", "too high"), "too high (Maximum QoS)"),
        ):
            with self.subTest(words=words):
                self.assertEqual(str(error), words)

    def test_no_reference(self) -> None:
        """A refusal sends nowhere unless the Server says so."""
        self.assertIsNone(ConnectRefused(0x9C).server_reference)
