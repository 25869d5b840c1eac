"""Why a transport of the client was lost, in words: OpenSSL and service_identity have words of their own."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure


def why_lost(reason: Failure) -> str:
    """What the log is to say. Nothing of TLS is imported for it, since it may not be there."""
    if reason.check(ConnectionDone) is not None:
        return "closed by the Server without DISCONNECT"
    error: Any = reason.value
    library = type(error).__module__.partition(".")[0]
    if library == "service_identity":
        wanted = ", ".join(sorted({_wanted(one) for one in error.errors}))
        return f"TLS: the Server's certificate is not for {wanted}"
    if library == "OpenSSL":
        return _of_openssl(error)
    return str(reason.getErrorMessage())


def _wanted(error: Any) -> str:
    """The name or address that a certificate was to have."""
    wanted = error.mismatched_id
    name = getattr(wanted, "hostname", None)
    return name.decode() if name is not None else str(getattr(wanted, "ip", wanted))


def _of_openssl(error: Any) -> str:
    """Of an `OpenSSL.SSL.Error`, whose argument is a list of (library, function, reason)."""
    details = error.args[0] if error.args and isinstance(error.args[0], list) else []
    text = ", ".join(one[-1] for one in details) or str(error) or "an error of OpenSSL"
    if "certificate verify failed" in text:
        text += ": the Server's certificate is signed by nobody that we trust, or has expired"
    return f"TLS: {text}"
