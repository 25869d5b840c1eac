"""The password file: who may log in, with hashed secrets, checked without holding up the reactor.

A line is `user:hash`; the forms of a hash are told in `mqttwist.net.hashes`. Lines that begin with `#`
and blank lines say nothing. A user name is UTF-8 and may hold anything but `:` and the end of a line.

A verification is slow and memory hungry by design. So it runs in a thread; only a few run at once, since
each takes its memory; and only so many wait, since whoever connects can make one wait. All of that is
`VerificationQueue`. `PasswordFile` knows who is in the file, and notices when the file changes.
"""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, DeferredSemaphore, fail, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mqttwist.net.auth import AvatarId, ServerBusy
from mqttwist.net.hashes import PasswordHash, hash_password, parse_hash, unusable_hash, verify_password

__all__ = [
    "PasswordFile",
    "VerificationQueue",
    "hash_password",
    "parse_passwords",
    "user_of",
    "verify_password",
]

DeferToThread: TypeAlias = Callable[..., Deferred[Any]]
"""Calls a function with arguments in a thread: `twisted.internet.threads.deferToThread` or the like."""

Stamp: TypeAlias = tuple[int, ...]
"""What tells one version of a file from another."""


def user_of(line: bytes) -> bytes | None:
    """The user a line of a password file is about; None for a comment or a blank line."""
    if line.startswith(b"#") or not line.strip():
        return None
    return line.partition(b":")[0]


def parse_passwords(content: bytes, file_name: str) -> dict[bytes, PasswordHash]:
    """Read a password file's content: user name to hash.

    Raises `ValueError`, which tells the file's name and the line's number (from 1), for a line that is
    damaged, that asks for absurd costs, or whose user had a line before.
    """
    users: dict[bytes, PasswordHash] = {}
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        user = user_of(line)
        if user is None:
            continue
        try:
            if user in users:
                raise ValueError("this user has a line already")
            users[user] = _parse_line(line)
        except ValueError as error:
            raise ValueError(f"{file_name}:{number}: {error}") from error
    return users


def _parse_line(line: bytes) -> PasswordHash:
    user, colon, hashed = line.decode("utf-8").partition(":")
    if not colon:
        raise ValueError("no ':' after the user name")
    if not user:
        raise ValueError("no user name before the ':'")
    return parse_hash(hashed.strip())


def _stamp_of(path: str) -> Stamp | None:
    """The stamp of the file's present version; None when there is no such file.

    The change time is in it for what the modification time does not tell: a file made readable, a file
    copied with its times.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _defer_to_thread(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    from twisted.internet.threads import deferToThread  # its caller has a reactor, our importer need not

    return deferToThread(function, *arguments)


class VerificationQueue:
    """Runs at most `running` verifications at a time in threads, and lets at most `waiting` wait."""

    def __init__(self, defer_to_thread: DeferToThread, running: int, waiting: int) -> None:
        """Raises `ValueError` when `running` is below 1 or `waiting` below 0."""
        if waiting < 0:
            raise ValueError("waiting must be 0 or more")
        self._defer_to_thread = defer_to_thread
        self._turns = DeferredSemaphore(running)
        self._places = running + waiting

    def verify(self, hashed: PasswordHash, password: bytes) -> Deferred[bool]:
        """Whether `password` is right. Fails with `ServerBusy` when too many wait already.

        The caller may cancel the answer. A verification that has not begun is left out then, and its place
        is free at once; one that runs keeps its turn until its thread is done, or clients that come and go
        could have any number of them run at once.
        """
        if not self._places:
            return fail(ServerBusy("too many logins wait for their verification"))
        self._places -= 1
        turn = self._turns.acquire()

        def leave_out(answer: Deferred[bool]) -> None:
            if not turn.called:
                turn.cancel()

        def begin(turns: DeferredSemaphore) -> Deferred[bool]:
            return maybeDeferred(self._defer_to_thread, hashed.verify, password).addBoth(self._end_turn)

        def leave(result: Any) -> None:
            self._places += 1
            if not answer.called:  # else it was cancelled
                answer.callback(result)

        answer: Deferred[bool] = Deferred(leave_out)
        turn.addCallback(begin).addBoth(leave)
        return answer

    def _end_turn(self, result: Any) -> Any:
        self._turns.release()
        return result


@implementer(ICredentialsChecker)
class PasswordFile:
    """Lets in who is in the password file at `path`; the avatar id is the user name.

    The file is read at once: raises `OSError` or `ValueError` when that can't be done. Each login looks
    whether there is a new version (one `stat`). A version that can't be read is logged once, and the
    users of the last good one stay.

    `running`: verifications at a time, 1 or more; each may take up to 256 MiB, 19 MiB for the hashes made
    by default. `waiting`: how many more logins may wait, 0 or more; the next fail with `ServerBusy`.
    An unknown user takes as long as most known ones: a decoy with the file's commonest costs is verified.
    """

    credentialInterfaces = (IUsernamePassword,)
    _log = Logger()

    def __init__(
        self,
        path: str | os.PathLike[str],
        defer_to_thread: DeferToThread = _defer_to_thread,
        *,
        running: int = 4,
        waiting: int = 500,
    ) -> None:
        self._path = os.fspath(path)
        self._queue = VerificationQueue(defer_to_thread, running, waiting)
        self._stamp = _stamp_of(self._path)
        self._users: dict[bytes, PasswordHash] = {}
        self._decoy = unusable_hash()
        self._read()

    def requestAvatarId(self, credentials: IUsernamePassword) -> Deferred[AvatarId]:
        """The user name; fails with `UnauthorizedLogin`, or `ServerBusy` when too many wait."""
        self._read_if_changed()
        known = self._users.get(credentials.username)
        verified = self._queue.verify(known or self._decoy, credentials.password)
        return verified.addCallback(self._avatar_id, known is not None, credentials.username)

    def _avatar_id(self, right: bool, known: bool, username: bytes) -> AvatarId:
        if not (right and known):
            raise UnauthorizedLogin()
        return username

    def _read_if_changed(self) -> None:
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp  # before the reading: a change during it shows at the next login
        try:
            self._read()
        except (OSError, ValueError) as error:
            self._log.error("password file not read, the users stay as they were: {error}", error=error)
        else:
            self._log.info(
                "password file {path} read again: {count} users", path=self._path, count=len(self._users)
            )

    def _read(self) -> None:
        with open(self._path, "rb") as file:
            users = parse_passwords(file.read(), self._path)
        decoys = {hashed.costs: hashed for hashed in users.values()}
        commonest = Counter(hashed.costs for hashed in users.values()).most_common(1)
        self._decoy = decoys[commonest[0][0]].decoy() if commonest else unusable_hash()
        self._users = users
