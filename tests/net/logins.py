"""What the tests of logins share: cheap hashes, threads that aren't, checkers as told, a contract."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import IRealm
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

import mqttwist
from mqttwist.net.auth import AvatarId, FullAuthority, IAuthority, MQTTCredentials

PEER = IPv4Address("TCP", "192.0.2.7", 50123)

# Made by mosquitto_passwd of Mosquitto 2.0.11; the second password is "ünï:x" in UTF-8, the third is empty.
MOSQUITTO_7 = (
    "$7$101$Sr51bOhw7IXjx+bS$"
    "wdANEXFh7uimaPNFCiQy1td6H8uGavl/zG0CjpO5DWMAKAuzIY69ztldQ4wPD5PSh93rToPRuzmxvwd3dMDLKg=="
)
MOSQUITTO_7_UTF_8 = (
    "$7$101$EjOh5WGv7W+23lUP$"
    "E2pBIYwJOJlWUPCmcYDVM6985BX4cNQMoMbcqDXLc5uqaXX3++GAW+k3X9LiaZ4ELaLRU3oGlRGg4F7fc9CaxA=="
)
MOSQUITTO_7_EMPTY = (
    "$7$101$pr2CegGXYffdzlFG$"
    "LRhLoHauH7DOp2OD3WQRh8zpV+EAV9qK8HcD40/xQp5IYnpehO+3NAZv1dr3MhGar6/R8AWEBy0Pe50+2HwsIw=="
)
MOSQUITTO_6 = (
    "$6$bhfo7xunATECmiMy$"
    "m94g5wZg7MmtAoYP9+DZB+GLaCXvf2E9pFo6hBJ423oIOwjTpPZWD8J0jcWQZ0T8pg6V1UuQLRC7CQoXLEvvCA=="
)


def bare_base64(data: bytes) -> str:
    """Base64 without padding, as PHC strings have it."""
    return base64.b64encode(data).decode("ascii").rstrip("=")


def cheap_hash(password: bytes, log_n: int = 1) -> str:
    """An scrypt hash that takes no time to speak of, made without the code under test."""
    salt = b"a salt of 16 byt"
    digest = hashlib.scrypt(password, salt=salt, n=2**log_n, r=8, p=1, dklen=32)
    return f"$scrypt$ln={log_n},r=8,p=1${bare_base64(salt)}${bare_base64(digest)}"


def credentials(username: str, password: str, client_id: str = "a-client") -> MQTTCredentials:
    """The credentials of a CONNECT with this user name and password."""
    return MQTTCredentials(username.encode(), password.encode(), client_id, PEER)


def at_once(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """In the place of `deferToThread`: calls the function here and now."""
    return execute(function, *arguments)


def temporary_folder(case: SynchronousTestCase) -> Path:
    """A folder that goes when the test ends. (trial's `mktemp` leaves its own where pytest was started.)"""
    folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
    case.addCleanup(folder.cleanup)
    return Path(folder.name).resolve()


def run_python(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a fresh Python that can import this checkout; captures what it writes."""
    checkout = Path(mqttwist.__file__).parents[1]
    return subprocess.run(
        [sys.executable, *arguments], cwd=checkout, input=stdin, capture_output=True, check=False
    )


class HeldThreads:
    """In the place of `deferToThread`: nothing runs until the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.begun.append((done, function, arguments))
        return done

    def finish_first(self) -> None:
        """Let the thread that began first run to its end."""
        done, function, arguments = self.begun.pop(0)
        execute(function, *arguments).chainDeferred(done)


def check_authority(case: SynchronousTestCase, authority: object) -> None:
    """What any `IAuthority` must hold: the interface's methods, and a plain yes or no at once."""
    verifyObject(IAuthority, authority)
    checked = IAuthority(authority)
    for topic in ("a", "a/b/c", "/", "$SYS/broker/uptime", "ü/☃", "a" * 1000):
        case.assertIsInstance(checked.may_receive(topic), bool)
        for qos in (0, 1, 2):
            case.assertIsInstance(checked.may_publish(topic, qos, False), bool)
            case.assertIsInstance(checked.may_publish(topic, qos, True), bool)
    for topic_filter in ("#", "+/+", "a/#", "$share/group/a/+", "$SYS/#"):
        for qos in (0, 1, 2):
            case.assertIsInstance(checked.may_subscribe(topic_filter, qos), bool)


@implementer(ICredentialsChecker)
class ScriptedChecker:
    """Answers what the test gave it, and keeps what it was asked."""

    def __init__(self, answer: Any, *interfaces: type[Interface]) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.credentialInterfaces = interfaces or (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append(credentials)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@implementer(IRealm)
class ScriptedRealm:
    """A realm that answers what the test gave it, and keeps the minds it was shown."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.minds: list[object] = []

    def requestAvatar(self, avatar_id: AvatarId, mind: object, *interfaces: type[Interface]) -> Any:
        self.minds.append(mind)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def noting(asked: list[AvatarId]) -> Callable[[AvatarId], IAuthority]:
    """An `authority_for` that allows everything and keeps whom it was asked for."""

    def authority_for(avatar_id: AvatarId) -> FullAuthority:
        asked.append(avatar_id)
        return FullAuthority()

    return authority_for
