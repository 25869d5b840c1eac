"""Which Server a client tries next, and how soon."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.client.errors import ClientError, ConnectionEnded, ConnectRefused
from mqttwist.client.settings import VERSIONS, ClientSettings
from mqttwist.front.client import FrontClient
from mqttwist.front.places import Address, Places, address_of
from mqttwist.front.retry import AT_ONCE, Reconnecting, Retry
from tests.client.rig import Time


class FakeShell:
    """Tells the time, and does nothing else."""

    def __init__(self) -> None:
        self.seconds = Time()
        self.warnings: list[str] = []

    def info(self, text: str, **facts: object) -> None:
        self.told = text.format(**facts)

    def warn(self, text: str, **facts: object) -> None:
        self.warnings.append(text.format(**facts))


def parse(reference: str, sender: str) -> str:
    if reference == "nowhere":
        raise ValueError("that is nowhere")
    return f"{reference} by {sender}"


class AddressTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """A URL says host and port, or leaves the port to its scheme."""
        for url, address in (
            ("mqtt://a", Address("a", 1883, False)),
            ("mqtts://a", Address("a", 8883, True)),
            ("mqtts://a:1", Address("a", 1, True)),
            ("mqtt://[::1]:2/", Address("::1", 2, False)),
        ):
            with self.subTest(url=url):
                self.assertEqual(address_of(url), address)

    def test_what_is_no_address(self) -> None:
        """Other schemes, paths, queries, bad ports and credentials are refused."""
        for url in ("http://a", "mqtt://", "mqtt://a/b", "mqtt://a?b", "mqtt://a:b", "mqtt://u:p@a"):
            with self.subTest(url=url):
                self.assertRaises(ValueError, address_of, url)


class NextAttemptTests(SynchronousTestCase):
    def make(self, version: int | str = 5, **options: Any) -> None:
        shell: Any = FakeShell()
        self.warnings = shell.warnings
        retry = Retry(Reconnecting(1.0, jitter=0.0, **options), shell.seconds)
        self.front = FrontClient(ClientSettings(versions=VERSIONS[version]), shell, retry)
        self.places = Places(["a", "b"], parse)

    def after(self, error: ClientError, was_accepted: bool = False) -> tuple[float, str]:
        """The pause and the place of the attempt that follows one that has ended with `error`."""
        self.front.last_error = error
        self.front._was_accepted = was_accepted
        return self.front.next_attempt(self.places), self.places.take()

    def test_there_is_a_server(self) -> None:
        """There must be one."""
        self.assertRaises(ValueError, Places, [], parse)

    def test_in_turn(self) -> None:
        """After an attempt that came to nothing the next Server has its turn; the pauses grow."""
        self.make()
        error = ConnectionEnded("down")
        self.assertEqual(self.places.take(), "a")
        self.assertEqual([self.after(error) for _ in range(3)], [(1.0, "b"), (2.0, "a"), (4.0, "b")])

    def test_one_that_had_accepted(self) -> None:
        """A Server whose connection has ended is the first to be tried again."""
        self.make()
        self.assertEqual(self.after(ConnectionEnded("down"), was_accepted=True), (1.0, "a"))

    def test_redirected(self) -> None:
        """Where a Server sends us we go at once, and once, but not for ever (4.11)."""
        self.make(redirects=True)
        refused = ConnectRefused(0x9D)
        refused.server_reference = "c d"
        self.assertFalse(self.front.is_the_end(refused))
        self.assertEqual(self.after(refused), (0.0, "c by a"))
        self.assertEqual(self.places.take(), "a")
        for _ in range(AT_ONCE - 1):
            self.assertEqual(self.after(refused)[0], 0.0)
        self.assertGreater(self.after(refused)[0], 1.0)

    def test_redirected_nowhere(self) -> None:
        """A Server Reference that makes no sense is logged, and the next Server has its turn."""
        self.make(redirects=True)
        refused = ConnectRefused(0x9C)
        refused.server_reference = "nowhere"
        self.assertEqual(self.after(refused), (1.0, "b"))
        self.assertEqual(self.warnings, ["Not going to 'nowhere': ValueError: that is nowhere"])

    def test_another_version(self) -> None:
        """A Server that does not know our version is asked in an older one, at once, and once."""
        self.make("auto")
        refused = ConnectRefused(0x84)
        self.front.core.version = 4
        self.assertFalse(self.front.is_the_end(refused))
        self.assertEqual(self.after(refused), (0.0, "a"))
        self.assertEqual(self.after(ConnectionEnded("down")), (2.0, "b"))
        self.assertTrue(self.front.is_the_end(refused))
