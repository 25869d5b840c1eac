"""TLS as the command line asks for it: Mosquitto's options in the words of `mqttwist.net.client_tls`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import AcceptableCiphers, TLSVersion

from mqttwist.cli.options import ConnectOptions
from mqttwist.net import client_tls

VERSIONS: Final = {
    "tlsv1.3": TLSVersion.TLSv1_3,
    "tlsv1.2": TLSVersion.TLSv1_2,
    "tlsv1.1": TLSVersion.TLSv1_1,
}


def with_tls(endpoint: IStreamClientEndpoint, host: str, options: ConnectOptions) -> IStreamClientEndpoint:
    """`endpoint` with TLS on it. Raises `ValueError` and `OSError` for what can't be used."""
    return client_tls.with_tls(
        endpoint,
        host,
        trusted=_trusted(options),
        certfile=options.cert or None,
        keyfile=options.key or None,
        checks_host=not options.insecure,
        protocols=[options.tls_alpn.encode()] if options.tls_alpn else None,
        **_details(options),
    )


def _trusted(options: ConnectOptions) -> list[Path]:
    if not options.cafile and not options.capath:
        return []
    if options.tls_use_os_certs:
        raise ValueError("--tls-use-os-certs can't be had together with --cafile or --capath")
    files = [Path(options.cafile)] if options.cafile else []
    if options.capath:
        files += sorted(path for path in Path(options.capath).iterdir() if path.is_file())
        if not files:
            raise ValueError(f"{options.capath} has no certificate")
    return files


def _details(options: ConnectOptions) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if options.tls_version:
        version = VERSIONS[options.tls_version]
        details |= {"insecurelyLowerMinimumTo": version, "lowerMaximumSecurityTo": version}
    if options.ciphers:
        details["acceptableCiphers"] = AcceptableCiphers.fromOpenSSLCipherString(options.ciphers)
    return details
