"""Password hashes as text: read them, check them, make them. Nothing here needs Twisted.

Four forms are read. The first two are PHC strings (base64 without padding) and are what
`hash_password` makes; the last two are what `mosquitto_passwd` writes (base64 with padding):

    $argon2id$v=19$m=19456,t=2,p=1$salt$digest      needs argon2-cffi (the extra `argon2`)
    $scrypt$ln=15,r=8,p=3$salt$digest
    $7$iterations$salt$digest                       PBKDF2-HMAC-SHA512
    $6$salt$digest                                  SHA-512 of password + salt, once

`parse_hash` turns such a text into a `PasswordHash`. Its costs come from a file, so they are checked
when the object is made: a hash that asks for more than `MAX_MEMORY` or for an absurd time is a
`ValueError` when the file is read, not a dead broker at the next login. No text of an error quotes the
hash: what stands in its place by mistake may be the plain password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

Kind = Literal["argon2id", "scrypt"]

MAX_MEMORY: Final = 256 * 1024 * 1024
"""The most memory one verification may ask for, in bytes."""

MAX_ITERATIONS: Final = 5_000_000
"""The most rounds of PBKDF2: some seconds of work."""

MAX_PASSES: Final = 16
"""The most passes over the memory (argon2id's t, scrypt's p) and lanes (argon2id's p)."""

_SHA512_LENGTH: Final = 64
_SALT_LENGTH: Final = 16
_DIGEST_LENGTH: Final = 32


def argon2_low_level() -> Any:
    """The module `argon2.low_level`. Raises `ValueError` when argon2-cffi is not installed."""
    try:
        return importlib.import_module("argon2.low_level")
    except ImportError as error:
        raise ValueError("argon2id needs argon2-cffi: pip install mqttwist[argon2]") from error


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ValueError(text)


@dataclass(frozen=True, slots=True)
class PasswordHash(ABC):
    """One stored secret. Raises `ValueError` when it is made with costs or lengths out of range.

    `salt` has 8 to 128 bytes, `digest` 16 to 128.
    """

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require(8 <= len(self.salt) <= 128, "the salt must have 8 to 128 bytes")
        _require(16 <= len(self.digest) <= 128, "the digest must have 16 to 128 bytes")
        self._check_costs()

    @property
    @abstractmethod
    def costs(self) -> str:
        """The text before the salt: the form and what one verification costs, such as `$7$101`."""

    @abstractmethod
    def _check_costs(self) -> None:
        """Raise `ValueError` when a verification would cost too much, or can't be done here."""

    @abstractmethod
    def derive(self, password: bytes) -> bytes:
        """What `digest` would be if `password` were right. Slow by design: call it in a thread."""

    def verify(self, password: bytes) -> bool:
        """Whether `password` is the one this was made from. As slow as `derive`."""
        return hmac.compare_digest(self.derive(password), self.digest)

    def decoy(self) -> Self:
        """A hash that costs the same to verify, and that no password belongs to."""
        return replace(
            self,
            salt=secrets.token_bytes(len(self.salt)),
            digest=secrets.token_bytes(len(self.digest)),
        )


@dataclass(frozen=True, slots=True)
class Argon2id(PasswordHash):
    """`memory` in KiB, `passes` over it, `lanes` that may run side by side."""

    memory: int
    passes: int
    lanes: int

    @property
    def costs(self) -> str:
        return f"$argon2id$v=19$m={self.memory},t={self.passes},p={self.lanes}"

    def _check_costs(self) -> None:
        _require(1 <= self.passes <= MAX_PASSES, f"argon2id's t must be 1 to {MAX_PASSES}")
        _require(1 <= self.lanes <= MAX_PASSES, f"argon2id's p must be 1 to {MAX_PASSES}")
        _require(
            8 * self.lanes <= self.memory <= MAX_MEMORY // 1024,
            f"argon2id's m must be 8 * p to {MAX_MEMORY // 1024}",
        )
        argon2_low_level()

    def derive(self, password: bytes) -> bytes:
        argon2 = argon2_low_level()
        digest: bytes = argon2.hash_secret_raw(
            password,
            self.salt,
            time_cost=self.passes,
            memory_cost=self.memory,
            parallelism=self.lanes,
            hash_len=len(self.digest),
            type=argon2.Type.ID,
            version=19,
        )
        return digest


@dataclass(frozen=True, slots=True)
class Scrypt(PasswordHash):
    """`log_n`: binary logarithm of scrypt's N; `r` and `p` as in RFC 7914. Memory: 128 * r * N bytes."""

    log_n: int
    r: int
    p: int

    @property
    def costs(self) -> str:
        return f"$scrypt$ln={self.log_n},r={self.r},p={self.p}"

    def _check_costs(self) -> None:
        _require(1 <= self.p <= MAX_PASSES, f"scrypt's p must be 1 to {MAX_PASSES}")
        _require(1 <= self.r <= 32, "scrypt's r must be 1 to 32")
        _require(1 <= self.log_n <= min(24, 16 * self.r - 1), "scrypt's ln must be 1 to 24, below 16 * r")
        _require(128 * self.r * 2**self.log_n <= MAX_MEMORY, f"scrypt would need over {MAX_MEMORY} bytes")

    def derive(self, password: bytes) -> bytes:
        n = 2**self.log_n
        return hashlib.scrypt(
            password,
            salt=self.salt,
            n=n,
            r=self.r,
            p=self.p,
            maxmem=128 * self.r * (n + self.p + 2) + 1024,
            dklen=len(self.digest),
        )


@dataclass(frozen=True, slots=True)
class MosquittoPbkdf2(PasswordHash):
    """What `mosquitto_passwd` makes since version 2.0 (there with 101 iterations unless told)."""

    iterations: int

    @property
    def costs(self) -> str:
        return f"$7${self.iterations}"

    def _check_costs(self) -> None:
        _require(len(self.digest) == _SHA512_LENGTH, f"the digest must have {_SHA512_LENGTH} bytes")
        _require(1 <= self.iterations <= MAX_ITERATIONS, f"the iterations must be 1 to {MAX_ITERATIONS}")

    def derive(self, password: bytes) -> bytes:
        return hashlib.pbkdf2_hmac("sha512", password, self.salt, self.iterations)


@dataclass(frozen=True, slots=True)
class MosquittoSha512(PasswordHash):
    """What `mosquitto_passwd` made before version 2.0, and makes with `-H sha512`. Quick to guess."""

    @property
    def costs(self) -> str:
        return "$6"

    def _check_costs(self) -> None:
        _require(len(self.digest) == _SHA512_LENGTH, f"the digest must have {_SHA512_LENGTH} bytes")

    def derive(self, password: bytes) -> bytes:
        return hashlib.sha512(password + self.salt).digest()


_NUMBER: Final = "([0-9]{1,10})"
_SALT_AND_DIGEST: Final = r"\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)"
_FORMS: Final[dict[str, tuple[re.Pattern[str], Callable[..., PasswordHash]]]] = {
    identifier: (re.compile(rf"\${identifier}{costs}{_SALT_AND_DIGEST}"), form)
    for identifier, costs, form in (
        ("argon2id", rf"\$v=19\$m={_NUMBER},t={_NUMBER},p={_NUMBER}", Argon2id),
        ("scrypt", rf"\$ln={_NUMBER},r={_NUMBER},p={_NUMBER}", Scrypt),
        ("7", rf"\${_NUMBER}", MosquittoPbkdf2),
        ("6", "", MosquittoSha512),
    )
}


def parse_hash(text: str) -> PasswordHash:
    """Read one hash. Raises `ValueError` for an unknown form, damage, or costs out of range."""
    identifier = text[1:].partition("$")[0] if text.startswith("$") else ""
    if identifier not in _FORMS:
        raise ValueError("not a password hash of the form $argon2id$, $scrypt$, $7$ or $6$")
    pattern, form = _FORMS[identifier]
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"damaged ${identifier}$ hash")
    *costs, salt, digest = match.groups()
    return form(_decode(salt), _decode(digest), *map(int, costs))


def usual_kind() -> Kind:
    """What new hashes are made with: argon2id where argon2-cffi is installed, scrypt else."""
    try:
        argon2_low_level()
    except ValueError:
        return "scrypt"
    return "argon2id"


def unusable_hash(kind: Kind | None = None) -> PasswordHash:
    """A hash that no password belongs to, with the costs a new one gets.

    The costs are the least that is held to be safe now (argon2id: 19 MiB, 2 passes, some 40 ms of one
    core; scrypt: 32 MiB, 3 passes, some 300 ms), not more: a broker verifies one per CONNECT, and after a
    restart all its clients come back at once.
    """
    salt, digest = secrets.token_bytes(_SALT_LENGTH), secrets.token_bytes(_DIGEST_LENGTH)
    if (kind or usual_kind()) == "argon2id":
        return Argon2id(salt, digest, memory=19456, passes=2, lanes=1)
    return Scrypt(salt, digest, log_n=15, r=8, p=3)


def hash_password(password: bytes, kind: Kind | None = None) -> str:
    """Hash `password` with a fresh salt, as one line of text. Slow by design.

    `kind` None takes argon2id where argon2-cffi is installed and scrypt else. Raises `ValueError` when
    argon2id is asked for and argon2-cffi is missing.
    """
    new = unusable_hash(kind)
    return f"{new.costs}${_encode(new.salt)}${_encode(new.derive(password))}"


def verify_password(hashed: str, password: bytes) -> bool:
    """Whether `hashed` was made from `password`. Slow by design. Raises `ValueError` like `parse_hash`."""
    return parse_hash(hashed).verify(password)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    """Base64, padded or not. `binascii.Error`, which is a `ValueError`, when it is damaged."""
    bare = text.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
