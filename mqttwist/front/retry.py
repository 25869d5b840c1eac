"""When a client tries again, where, and when it gives up."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mqttwist.client.errors import ClientError, ConnectionEnded, ConnectRefused

# What trying again does not mend: the version, the client id, the login, a ban.
_FATAL: Final = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
_LOGIN: Final = frozenset({0x86, 0x87})  # which another password may mend
_MOVED: Final = frozenset({0x9C, 0x9D})
_TAKEN_OVER: Final = 0x8E
# The Server has too much to do, or we have done something it does not like.
_LONGER: Final = frozenset({0x80, 0x81, 0x82, 0x83, 0x88, 0x89, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x9F})

LONGER: Final = 5.0  # times the usual pause
AT_ONCE: Final = 4  # attempts in a row without a pause: two Servers may send us to each other for ever


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """When and where a client tries again.

    Pauses between attempts, in seconds: `first`, then `factor` times the one before, up to `longest`.

    `jitter` (0.0..1.0) is how much of a pause is left to chance, so that clients of a Server that was down do
    not come back all at once. A connection that has lasted for `stable` seconds makes the next pause the
    first one again.

    With `redirects` the Server may send us elsewhere (4.11), and with `stays` a client that has taken our
    place (0x8E) is thrown out again. Raises `ValueError` for what makes no sense.
    """

    first: float = 0.5
    longest: float = 60.0
    factor: float = 2.0
    jitter: float = 0.3
    stable: float = 10.0
    redirects: bool = False
    stays: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.first <= self.longest:
            raise ValueError(f"the first pause is {self.first} s, the longest {self.longest} s")
        if self.factor < 1.0 or not 0.0 <= self.jitter <= 1.0 or self.stable < 0.0:
            raise ValueError("factor is at least 1, jitter from 0 to 1, and stable not negative")

    def pause(self, failures: int, chance: float, times: float = 1.0) -> float:
        """The pause after so many failures in a row (1 and above); `chance` is from 0.0 to 1.0."""
        growth: float = self.factor ** min(failures - 1, 100)
        pause = min(self.first * growth, self.longest)
        pause = min(pause * times, max(self.longest, self.first * times))
        return pause * (1.0 - self.jitter * chance)


class Retry:
    """Decides what follows the end of a connection.

    `asks_again` says that user name or password are asked for anew at each attempt, so that a refused login
    is not the end.
    """

    def __init__(
        self,
        reconnecting: Reconnecting,
        seconds: Callable[[], float],
        *,
        asks_again: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._reconnecting = reconnecting
        self._seconds = seconds
        self._asks_again = asks_again
        self._chance = chance
        self._connected_at: float | None = None
        self.failures = 0  # in a row

    def connected(self) -> None:
        """The Server has accepted us."""
        self._connected_at = self._seconds()

    def is_fatal(self, error: BaseException) -> bool:
        """Whether trying again makes no sense."""
        code = _reason_code(error)
        if code in _LOGIN and self._asks_again:
            return False
        if code in _MOVED:
            return self.redirection(error) is None and code == 0x9D
        return code in _FATAL or (code == _TAKEN_OVER and not self._reconnecting.stays)

    def redirection(self, error: BaseException) -> str | None:
        """Where the Server sends us, if we go there: the first of its Server Reference (4.11)."""
        if not self._reconnecting.redirects or not isinstance(error, ConnectRefused | ConnectionEnded):
            return None
        if error.reason_code not in _MOVED or not error.server_reference:
            return None
        return error.server_reference.split()[0]

    def pause(self, error: BaseException, now_again: bool = False) -> float:
        """How long to wait before the next attempt, in seconds; nothing with `now_again`, a few times."""
        lasted = self._connected_at is not None and (
            self._seconds() - self._connected_at >= self._reconnecting.stable
        )
        self._connected_at = None
        if lasted:
            self.failures = 0
        self.failures += 1
        if now_again and self.failures <= AT_ONCE:
            return 0.0
        times = LONGER if _reason_code(error) in _LONGER else 1.0
        return self._reconnecting.pause(self.failures, self._chance(), times)


def _reason_code(error: BaseException) -> int:
    if isinstance(error, ConnectRefused):
        return error.reason_code
    if isinstance(error, ConnectionEnded) and error.from_server:
        return error.reason_code
    return 0


def words(error: BaseException) -> str:
    """An error for the log, in one line."""
    text = str(error) or type(error).__name__
    return text if isinstance(error, ClientError) else f"{type(error).__name__}: {text}"
