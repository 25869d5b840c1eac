"""SCRAM (RFC 5802, RFC 7677): client and Server prove to each other that they know the password.

Nobody who listens learns it, and the Server need not have it. Its four messages go out and come in as the
Authentication Data of CONNECT, AUTH, AUTH and CONNACK (4.12). Without channel binding.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable
from secrets import token_bytes
from typing import Final

from mqttwist.client.doors import AuthenticationFailed
from mqttwist.client.saslprep import saslprep

HEADER: Final = "n,,"  # no channel binding, and we act for ourselves
FEWEST_ITERATIONS: Final = 4096  # RFC 7677, 4
MOST_ITERATIONS: Final = 1_000_000  # about half a second, in which nothing else happens
NONCE_SIZE: Final = 24  # bytes

# What is waited for.
NOTHING: Final = 0
CHALLENGE: Final = 1
SIGNATURE: Final = 2


def new_nonce() -> str:
    """Printable, without a comma, and never the same."""
    return b64encode(token_bytes(NONCE_SIZE)).decode()


class Scram:
    """An `Authenticator`. `hash_name` is the hash function's in `hashlib`.

    A Server that asks for fewer than `FEWEST_ITERATIONS` rounds of hashing is refused: what we answer would
    tell it, or whoever plays it, too much of a password. So is one that asks for more than `MOST_ITERATIONS`.

    Raises `ValueError` for a user name or a password that SASLprep (RFC 4013) does not allow, and for an
    empty user name.
    """

    __slots__ = (
        "_auth_message", "_awaited", "_first", "_hash_name", "_nonce", "_password", "_salted", "_salted_with",
        "_server_key", "_username", "method", "nonce",
    )  # fmt: skip

    method: str
    nonce: Callable[[], str]
    _hash_name: str
    _username: str
    _password: bytes
    _awaited: int
    _nonce: str
    _first: str  # client-first-message-bare
    _auth_message: bytes
    _server_key: bytes
    _salted: bytes  # the password, hashed many times; kept for the next connection (RFC 5802, 5.1)
    _salted_with: tuple[bytes, int]  # salt and rounds

    def __init__(self, method: str, hash_name: str, username: str, password: str) -> None:
        self.method = method
        self.nonce = new_nonce
        self._hash_name = hash_name
        self._username = saslprep(username).replace("=", "=3D").replace(",", "=2C")
        self._password = saslprep(password).encode()
        if not self._username:
            raise ValueError("the user name is empty")
        self._awaited = NOTHING
        self._nonce = self._first = ""
        self._auth_message = self._server_key = self._salted = b""
        self._salted_with = (b"", 0)

    def start(self) -> bytes | None:
        """The client-first-message."""
        self._nonce = self.nonce()
        self._first = f"n={self._username},r={self._nonce}"
        self._awaited = CHALLENGE
        return (HEADER + self._first).encode()

    def step(self, data: bytes | None) -> bytes | None:
        """Take the server-first-message; the client-final-message. Raises `AuthenticationFailed`."""
        if self._awaited != CHALLENGE:
            raise AuthenticationFailed("the Server asks once more")
        self._awaited = NOTHING
        text = _text(data)
        nonce, salt, iterations = self._read_challenge(text)
        without_proof = f"c={b64encode(HEADER.encode()).decode()},r={nonce}"
        self._auth_message = f"{self._first},{text},{without_proof}".encode()
        salted = self._salt(salt, iterations)
        client_key = self._hmac(salted, b"Client Key")
        stored_key = hashlib.new(self._hash_name, client_key).digest()
        signature = self._hmac(stored_key, self._auth_message)
        proof = bytes([one ^ other for one, other in zip(client_key, signature, strict=True)])
        self._server_key = self._hmac(salted, b"Server Key")
        self._awaited = SIGNATURE
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def finish(self, data: bytes | None) -> object:
        """Check the server-final-message. Raises `AuthenticationFailed` if it is not the Server's."""
        if self._awaited != SIGNATURE:
            raise AuthenticationFailed("the Server has accepted us without a proof")
        self._awaited = NOTHING
        first = _text(data).split(",")[0]
        if first.startswith("e="):
            raise AuthenticationFailed(f"the Server says {first[2:]!r}")
        signature = _base64(_value(first, "v"))
        if not hmac.compare_digest(signature, self._hmac(self._server_key, self._auth_message)):
            raise AuthenticationFailed("the Server does not know the password")
        return None

    def _read_challenge(self, text: str) -> tuple[str, bytes, int]:
        """Nonce, salt and number of rounds."""
        parts = text.split(",")
        if parts[0].startswith("m="):
            raise AuthenticationFailed("the Server demands an extension of SCRAM")
        if len(parts) < 3:
            raise AuthenticationFailed("the Server's challenge is incomplete")
        nonce, salt, rounds = _value(parts[0], "r"), _base64(_value(parts[1], "s")), _value(parts[2], "i")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise AuthenticationFailed("the Server has not added to our nonce")
        if not salt or not rounds.isascii() or not rounds.isdigit() or len(rounds) > 9:
            raise AuthenticationFailed("the Server's challenge makes no sense")
        iterations = int(rounds)
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise AuthenticationFailed(
                f"{iterations:,} iterations, not {FEWEST_ITERATIONS:,} to {MOST_ITERATIONS:,}"
            )
        return nonce, salt, iterations

    def _salt(self, salt: bytes, iterations: int) -> bytes:
        if self._salted_with != (salt, iterations):
            self._salted = hashlib.pbkdf2_hmac(self._hash_name, self._password, salt, iterations)
            self._salted_with = (salt, iterations)
        return self._salted

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash_name)


class ScramSHA256(Scram):
    """SCRAM-SHA-256 (RFC 7677), the one to use: see `Scram`."""

    __slots__ = ()

    def __init__(self, username: str, password: str) -> None:
        super().__init__("SCRAM-SHA-256", "sha256", username, password)


class ScramSHA512(Scram):
    """SCRAM-SHA-512: see `Scram`."""

    __slots__ = ()

    def __init__(self, username: str, password: str) -> None:
        super().__init__("SCRAM-SHA-512", "sha512", username, password)


class ScramSHA1(Scram):
    """SCRAM-SHA-1 (RFC 5802), for Servers that know no better: see `Scram`."""

    __slots__ = ()

    def __init__(self, username: str, password: str) -> None:
        super().__init__("SCRAM-SHA-1", "sha1", username, password)


def _text(data: bytes | None) -> str:
    try:
        return (data or b"").decode()
    except UnicodeDecodeError:
        raise AuthenticationFailed("what the Server says is not UTF-8") from None


def _value(part: str, name: str) -> str:
    if not part.startswith(f"{name}="):
        raise AuthenticationFailed(f"the Server has left out {name!r}")
    return part[2:]


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise AuthenticationFailed("what the Server says is not base64") from None
