"""Where Servers are: endpoint descriptions of Twisted's, and what MQTT people write instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

PORTS = {"mqtt": 1883, "mqtts": 8883}
TIMEOUT = 30.0  # seconds that it may take to make a transport

Where = str | IStreamClientEndpoint


def client_endpoint(reactor: Any, where: Where, tls: bool = False) -> IStreamClientEndpoint:
    """The endpoint that `where` describes.

    That is an endpoint already, a description in Twisted's way (``"tls:broker.example:8883"``,
    ``"unix:/run/mqtt.sock"``), a URL (``"mqtts://broker.example"``), or a host with or without a port, which
    is reached by TLS if `tls` says so. TLS checks that the certificate is the host's. Raises `ValueError`.
    """
    if not isinstance(where, str):
        return where
    if "://" in where:
        return _from_url(reactor, where)
    kind = where.partition(":")[0]
    if ":" in where and not _is_host(where, kind):
        described: IStreamClientEndpoint = clientFromString(reactor, where)
        return described
    return _from_url(reactor, f"{'mqtts' if tls else 'mqtt'}://{where}")


def _is_host(where: str, kind: str) -> bool:
    """Whether this is a host and a port, rather than a description of Twisted's."""
    if where.startswith("["):
        return True
    rest = where[len(kind) + 1 :]
    return rest.isdigit() and where.count(":") == 1


def _from_url(reactor: Any, url: str) -> IStreamClientEndpoint:
    parts = urlsplit(url)
    port = PORTS.get(parts.scheme)
    if port is None or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(
            f"{url!r} is no address of an MQTT Server: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"
        )
    if parts.username is not None:
        raise ValueError(
            "user name and password do not belong into the address: there are arguments for them"
        )
    endpoint = HostnameEndpoint(reactor, parts.hostname, parts.port or port, timeout=TIMEOUT)
    return _with_tls(endpoint, parts.hostname) if parts.scheme == "mqtts" else endpoint


def _with_tls(endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
    try:
        from twisted.internet.ssl import optionsForClientTLS
    except ImportError as error:
        raise ValueError("TLS needs the extra: pip install 'mqttwist[tls]'") from error
    wrapped: IStreamClientEndpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
    return wrapped


def as_list(where: Where | Iterable[Where]) -> list[Where]:
    """One place or several, in the order in which they are tried. Raises `ValueError` for none."""
    if isinstance(where, str) or not isinstance(where, Iterable):
        return [where]
    places = list(where)
    if not places:
        raise ValueError("there is no Server to connect to")
    return places
