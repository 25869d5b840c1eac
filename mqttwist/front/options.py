"""The arguments that make a client, for both shells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from mqttwist.client.settings import VERSIONS
from mqttwist.wire.connect import Will
from mqttwist.wire.properties import Properties

Credential = str | bytes | None
AskedCredential = Credential | Callable[[], Any]


class PlainOptions(TypedDict, total=False):
    """The keywords that are settings, but for the properties of CONNECT: see `ClientSettings`."""

    client_id: str
    clean_start: bool
    keep_alive: int
    session_expiry_interval: int
    will: Will | None
    receive_maximum: int
    maximum_packet_size: int
    topic_alias_maximum: int
    queue_messages: int
    queue_bytes: int
    when_full: str
    hold_bytes: int
    on_session_loss: str
    retry_interval: float
    connect_timeout: float
    ping_timeout: float


class ClientOptions(PlainOptions, total=False):
    """The keywords that are settings: see `ClientSettings`."""

    properties: Properties | None


def versions(version: int | str) -> tuple[int, ...]:
    """The protocol versions that `version` names, the one to try first first. Raises `ValueError`."""
    if version not in VERSIONS:
        raise ValueError(f"the version is {version!r}, not one of 5, '3.1.1', '3.1' and 'auto'")
    return VERSIONS[version]


def as_username(credential: Credential) -> str | None:
    """A User Name as CONNECT takes it."""
    return credential.decode() if isinstance(credential, bytes) else credential


def as_password(credential: Credential) -> bytes | None:
    """A Password as CONNECT takes it."""
    return credential.encode() if isinstance(credential, str) else credential
