"""Addresses in words, and which of them are this machine."""

from __future__ import annotations

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.net.address import is_local, peer_name

# An address, how the log shows it, and whether it is on this machine.
ADDRESSES: list[tuple[IAddress, str, bool]] = [
    (IPv4Address("TCP", "127.0.0.1", 50123), "127.0.0.1:50123", True),
    (IPv4Address("TCP", "127.9.9.9", 1), "127.9.9.9:1", True),
    (IPv4Address("TCP", "192.0.2.7", 50123), "192.0.2.7:50123", False),
    (IPv4Address("TCP", "0.0.0.0", 1883), "0.0.0.0:1883", False),
    (IPv6Address("TCP", "::1", 50123), "[::1]:50123", True),
    (IPv6Address("TCP", "2001:db8::1", 50123), "[2001:db8::1]:50123", False),
    (IPv6Address("TCP", "::ffff:127.0.0.1", 50123), "[::ffff:127.0.0.1]:50123", True),
    (IPv6Address("TCP", "::ffff:192.0.2.7", 50123), "[::ffff:192.0.2.7]:50123", False),
    (IPv6Address("TCP", "fe80::1%eth0", 50123), "[fe80::1%eth0]:50123", False),
    (UNIXAddress("/run/mqtt.sock"), "unix:/run/mqtt.sock", True),
    (UNIXAddress(b"/run/mqtt.sock"), "unix:/run/mqtt.sock", True),
    (UNIXAddress(b"/run/\xff"), "unix:/run/\N{REPLACEMENT CHARACTER}", True),
    (UNIXAddress(None), "unix:(unnamed)", True),
    (UNIXAddress(b""), "unix:(unnamed)", True),
    (HostnameAddress(b"example.com", 1883), "HostnameAddress(hostname=b'example.com', port=1883)", False),
]


class AddressTests(SynchronousTestCase):
    def test_name(self) -> None:
        """The log shows an address as people write it, and as far as it is known."""
        for address, name, _ in ADDRESSES:
            with self.subTest(address=address):
                self.assertEqual(peer_name(address), name)

    def test_this_machine(self) -> None:
        """Loopback addresses (IPv4 in IPv6 dress too) and UNIX sockets are on this machine, no others."""
        for address, _, local in ADDRESSES:
            with self.subTest(address=address):
                self.assertIs(is_local(address), local)
