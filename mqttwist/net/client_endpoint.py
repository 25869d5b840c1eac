"""Where Servers are: endpoint descriptions of Twisted's, and what MQTT people write instead."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

from twisted.internet.endpoints import (
    HostnameEndpoint,
    SSL4ClientEndpoint,
    _WrapperEndpoint,  # what `wrapClientTLS` answers
    clientFromString,
)
from twisted.internet.interfaces import IStreamClientEndpoint

from mqttwist.front.places import address_of

TIMEOUT = 30.0  # seconds that it may take to make a transport

Where = str | IStreamClientEndpoint
File = str | PathLike[str]


def client_endpoint(reactor: Any, where: Where, tls: bool = False) -> IStreamClientEndpoint:
    """The endpoint that `where` describes.

    That is an endpoint already, a description in Twisted's way (``"tls:broker.example:8883"``,
    ``"unix:/run/mqtt.sock"``), a URL (``"mqtts://broker.example"``), or a host with or without a port, which
    is reached by TLS if `tls` says so. TLS checks that the certificate is the host's: that ``"ssl:"`` of
    Twisted does not, so it is refused. Raises `ValueError`.
    """
    if not isinstance(where, str):
        return where
    if "://" in where:
        return _from_url(reactor, where)
    kind = where.partition(":")[0]
    if ":" in where and not _is_host(where, kind):
        if kind == "ssl":
            raise ValueError('"ssl:" does not check whose certificate it is: write "tls:HOST:PORT"')
        described: IStreamClientEndpoint = clientFromString(reactor, where)
        return described
    return _from_url(reactor, f"{'mqtts' if tls else 'mqtt'}://{where}")


def redirected_endpoint(reactor: Any, reference: str, sender: IStreamClientEndpoint) -> IStreamClientEndpoint:
    """Where the Server at `sender` sends us: a host, with or without a port, or a URL (4.11).

    Nothing else is taken from a Server, and from one that is reached by TLS no other that is not. Raises
    `ValueError`.
    """
    had_tls = is_tls(sender)
    if "://" not in reference:
        reference = f"{'mqtts' if had_tls else 'mqtt'}://{reference}"
    endpoint = _from_url(reactor, reference)
    if had_tls and not is_tls(endpoint):
        raise ValueError("that is not reached by TLS, as the Server is that says so")
    return endpoint


def is_tls(endpoint: IStreamClientEndpoint) -> bool:
    """Whether an endpoint of Twisted's is reached by TLS."""
    return isinstance(endpoint, SSL4ClientEndpoint) or type(endpoint) is _WrapperEndpoint


def _is_host(where: str, kind: str) -> bool:
    """Whether this is a host and a port, rather than a description of Twisted's."""
    if where.startswith("["):
        return True
    rest = where[len(kind) + 1 :]
    return rest.isdigit() and where.count(":") == 1


def _from_url(reactor: Any, url: str) -> IStreamClientEndpoint:
    host, port, has_tls = address_of(url)
    if has_tls:
        return tls_endpoint(reactor, host, port)
    return HostnameEndpoint(reactor, host, port, timeout=TIMEOUT)


def tls_endpoint(
    reactor: Any,
    host: str,
    port: int = 8883,
    *,
    cafile: File | None = None,
    certfile: File | None = None,
    keyfile: File | None = None,
    checks_host: bool = True,
) -> IStreamClientEndpoint:
    """A Server that is reached by TLS, and has to prove that it is `host`.

    `cafile` has the certificates of those who may say so, in PEM; without it the system's are taken.
    `certfile` and `keyfile` prove who we are: our certificate, with those between it and its authority after
    it, and its private key, which may be in the same file. Without `checks_host` a certificate of any other
    host will do. Raises `ValueError` for files that can't be read, or have not what they should.
    """
    try:
        from mqttwist.net.client_tls import with_tls
    except ImportError as error:
        raise ValueError("TLS needs the extra: pip install 'mqttwist[tls]'") from error
    return with_tls(
        HostnameEndpoint(reactor, host, port, timeout=TIMEOUT),
        host,
        trusted=() if cafile is None else (cafile,),
        certfile=certfile,
        keyfile=keyfile,
        checks_host=checks_host,
    )


def as_list(where: Where | Iterable[Where]) -> list[Where]:
    """One place or several, in the order in which they are tried."""
    if isinstance(where, str) or not isinstance(where, Iterable):
        return [where]
    return list(where)
