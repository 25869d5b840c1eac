"""Where a client is, in words for the log; and whether that is this very machine."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress


def peer_name(address: IAddress) -> str:
    """`127.0.0.1:50123`, `[::1]:50123`, `unix:/run/mqtt.sock`, or how the address shows itself."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, UNIXAddress):
        name = address.name or "(unnamed)"
        return f"unix:{name.decode(errors='replace') if isinstance(name, bytes) else name}"
    return str(address)


def is_local(address: IAddress) -> bool:
    """Whether a client at `address` runs on this machine: a loopback address or a UNIX socket."""
    if isinstance(address, UNIXAddress):
        return True
    if isinstance(address, IPv4Address | IPv6Address):
        if address.host == "127.0.0.1":  # nearly always, and quicker than to parse it
            return True
        host = ip_address(address.host.partition("%")[0])
        mapped = getattr(host, "ipv4_mapped", None)
        return (mapped or host).is_loopback
    return False
