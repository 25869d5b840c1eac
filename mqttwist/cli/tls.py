"""TLS as the command line asks for it: whom to trust, who we are, and whether the host's name counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from OpenSSL.SSL import Connection
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    AcceptableCiphers,
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from mqttwist.cli.options import ConnectOptions

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

VERSIONS: Final = {
    "tlsv1.3": TLSVersion.TLSv1_3,
    "tlsv1.2": TLSVersion.TLSv1_2,
    "tlsv1.1": TLSVersion.TLSv1_1,
}

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def with_tls(endpoint: IStreamClientEndpoint, host: str, options: ConnectOptions) -> IStreamClientEndpoint:
    """`endpoint` with TLS on it. Raises `ValueError` and `OSError` for what can't be used."""
    details: dict[str, Any] = _details(options)
    trust = _trust(options)
    protocols = [options.tls_alpn.encode()] if options.tls_alpn else None
    creator: Any
    if options.insecure:
        certificates = CertificateOptions(trustRoot=trust, acceptableProtocols=protocols, **details)
        creator = AnyHost(certificates, host)
    else:
        creator = optionsForClientTLS(
            host, trustRoot=trust, acceptableProtocols=protocols, extraCertificateOptions=details
        )
    wrapped: IStreamClientEndpoint = wrapClientTLS(creator, endpoint)
    return wrapped


@implementer(IOpenSSLClientConnectionCreator)
class AnyHost:
    """Takes any certificate that somebody whom we trust has signed, whatever host it is for: `--insecure`."""

    def __init__(self, certificates: CertificateOptions, host: str) -> None:
        self._certificates = certificates
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        connection = Connection(self._certificates.getContext(), None)
        if not isIPAddress(self._host) and not isIPv6Address(self._host):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


def _trust(options: ConnectOptions) -> Any:
    if not options.cafile and not options.capath:
        return platformTrust()
    if options.tls_use_os_certs:
        raise ValueError("--tls-use-os-certs can't be had together with --cafile or --capath")
    files = [Path(options.cafile)] if options.cafile else []
    if options.capath:
        files += sorted(path for path in Path(options.capath).iterdir() if path.is_file())
    found = [certificate for path in files for certificate in _certificates(path)]
    if not found:
        raise ValueError(f"{options.cafile or options.capath} has no certificate")
    return trustRootFromCertificates(found)


def _certificates(path: Path) -> Iterator[Any]:
    for block in _PEM.findall(path.read_bytes()):
        try:
            yield Certificate.loadPEM(block)
        except Exception as error:  # of OpenSSL or cryptography
            raise ValueError(f"{path} has a certificate that can't be read") from error


def _details(options: ConnectOptions) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if options.cert and options.key:
        chain = list(_certificates(Path(options.cert)))
        if not chain:
            raise ValueError(f"{options.cert} has no certificate")
        try:
            key = KeyPair.load(Path(options.key).read_bytes(), _pem_type())
            own = PrivateCertificate.fromCertificateAndKeyPair(chain[0], key)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{options.key} has no key that fits {options.cert}") from error
        details |= {
            "privateKey": own.privateKey.original,
            "certificate": own.original,
            "extraCertChain": [one.original for one in chain[1:]],
        }
    if options.tls_version:
        version = VERSIONS[options.tls_version]
        details |= {"insecurelyLowerMinimumTo": version, "lowerMaximumSecurityTo": version}
    if options.ciphers:
        details["acceptableCiphers"] = AcceptableCiphers.fromOpenSSLCipherString(options.ciphers)
    return details


def _pem_type() -> int:
    from OpenSSL.crypto import FILETYPE_PEM

    return FILETYPE_PEM
