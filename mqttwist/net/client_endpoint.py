"""Where Servers are: endpoint descriptions of Twisted's, and what MQTT people write instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

from mqttwist.front.places import address_of

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
    host, port, is_tls = address_of(url)
    endpoint = HostnameEndpoint(reactor, host, port, timeout=TIMEOUT)
    return _with_tls(endpoint, host) if is_tls else endpoint


def _with_tls(endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
    try:
        from twisted.internet.ssl import optionsForClientTLS
    except ImportError as error:
        raise ValueError("TLS needs the extra: pip install 'mqttwist[tls]'") from error
    wrapped: IStreamClientEndpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
    return wrapped


def as_list(where: Where | Iterable[Where]) -> list[Where]:
    """One place or several, in the order in which they are tried."""
    if isinstance(where, str) or not isinstance(where, Iterable):
        return [where]
    return list(where)
