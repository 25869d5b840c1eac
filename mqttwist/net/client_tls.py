"""TLS of the client: whom it trusts, who it is, and whether the host's name counts. Needs the extra `tls`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from OpenSSL.crypto import FILETYPE_PEM
from OpenSSL.SSL import Connection
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

PEM_CERTIFICATE: Final = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

File = str | PathLike[str]


def with_tls(
    endpoint: IStreamClientEndpoint,
    host: str,
    *,
    trusted: Iterable[File] = (),
    certfile: File | None = None,
    keyfile: File | None = None,
    checks_host: bool = True,
    protocols: list[bytes] | None = None,
    **details: Any,
) -> IStreamClientEndpoint:
    """`endpoint` with TLS on it, whose Server has to prove that it is `host`; SNI asks for that, too.

    `trusted` are files with certificates of those who may say so, in PEM; without one the system's are taken.
    `certfile` and `keyfile` prove who we are: see `tls_endpoint`. Without `checks_host` a certificate of any
    other host will do. `protocols` are those of ALPN; `details` are more arguments of Twisted's
    `CertificateOptions`. Raises `ValueError` for files that can't be read, or have not what they should.
    """
    files = list(trusted)
    trust = _trust_of(files) if files else platformTrust()
    if certfile is not None:
        details |= _own_certificate(certfile, keyfile)
    elif keyfile is not None:
        raise ValueError("a private key needs its certificate")
    creator: Any
    if checks_host:
        creator = optionsForClientTLS(
            host, trustRoot=trust, acceptableProtocols=protocols, extraCertificateOptions=details
        )
    else:
        creator = AnyHost(CertificateOptions(trustRoot=trust, acceptableProtocols=protocols, **details), host)
    wrapped: IStreamClientEndpoint = wrapClientTLS(creator, endpoint)
    return wrapped


@implementer(IOpenSSLClientConnectionCreator)
class AnyHost:
    """Takes any certificate that somebody whom we trust has signed, whatever host it is for."""

    def __init__(self, certificates: CertificateOptions, host: str) -> None:
        self._certificates = certificates
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        connection = Connection(self._certificates.getContext(), None)
        if not isIPAddress(self._host) and not isIPv6Address(self._host):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


def _trust_of(files: list[File]) -> Any:
    found = [certificate for file in files for certificate in _certificates(file)]
    if not found:
        raise ValueError(f"{files[0]} has no certificate in PEM")
    return trustRootFromCertificates(found)


def _certificates(file: File) -> list[Any]:
    found = PEM_CERTIFICATE.findall(_content(file))
    try:
        return [Certificate.loadPEM(one) for one in found]
    except Exception as error:  # of OpenSSL, or of cryptography
        raise ValueError(f"{file} has a certificate that can't be read") from error


def _content(file: File) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"{file} can't be read: {error.strerror}") from error


def _own_certificate(certfile: File, keyfile: File | None) -> dict[str, Any]:
    chain = _certificates(certfile)
    if not chain:
        raise ValueError(f"{certfile} has no certificate in PEM")
    key = _content(keyfile or certfile)
    try:
        own = PrivateCertificate.fromCertificateAndKeyPair(chain[0], KeyPair.load(key, FILETYPE_PEM))
    except Exception as error:  # of OpenSSL, or of cryptography
        raise ValueError(f"{keyfile or certfile} has no private key that fits {certfile}") from error
    return {
        "privateKey": own.privateKey.original,
        "certificate": own.original,
        "extraCertChain": [one.original for one in chain[1:]],
    }
