"""MQTT 5.0, 3.1.1 and 3.1 for Twisted.

The names of the client are here; each is imported when it is first used, Twisted with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mqttwist.client.errors import (
        ClientError,
        ConnectionEnded,
        ConnectRefused,
        NeedsMQTT5,
        NotDelivered,
        NotSupportedByServer,
        PublishRefused,
        QueueFull,
        SubscribeRefused,
    )
    from mqttwist.client.published import Published
    from mqttwist.client.received import Received
    from mqttwist.client.scram import ScramSHA1, ScramSHA256, ScramSHA512
    from mqttwist.front.request import NoResponse
    from mqttwist.front.retry import Reconnecting
    from mqttwist.front.store import FileStore
    from mqttwist.net.client import MQTTClient
    from mqttwist.stores.sqlite.lock import StoreError
    from mqttwist.wire.connect import Will
    from mqttwist.wire.enums import QoS, ReasonCode
    from mqttwist.wire.properties import Properties

__version__ = "0.1.0.dev0"

_WHERE = {
    "client.errors": (
        *("ClientError", "ConnectRefused", "ConnectionEnded", "NeedsMQTT5", "NotDelivered"),
        *("NotSupportedByServer", "PublishRefused", "QueueFull", "SubscribeRefused"),
    ),
    "client.received": ("Received",),
    "client.scram": ("ScramSHA1", "ScramSHA256", "ScramSHA512"),
    "client.published": ("Published",),
    "front.request": ("NoResponse",),
    "front.retry": ("Reconnecting",),
    "front.store": ("FileStore",),
    "net.client": ("MQTTClient",),
    "stores.sqlite.lock": ("StoreError",),
    "wire.connect": ("Will",),
    "wire.enums": ("QoS", "ReasonCode"),
    "wire.properties": ("Properties",),
}
_MODULES = {name: f"mqttwist.{module}" for module, names in _WHERE.items() for name in names}

__all__ = [
    "ClientError",
    "ConnectRefused",
    "ConnectionEnded",
    "FileStore",
    "MQTTClient",
    "NeedsMQTT5",
    "NoResponse",
    "NotDelivered",
    "NotSupportedByServer",
    "Properties",
    "PublishRefused",
    "Published",
    "QoS",
    "QueueFull",
    "ReasonCode",
    "Received",
    "Reconnecting",
    "ScramSHA1",
    "ScramSHA256",
    "ScramSHA512",
    "StoreError",
    "SubscribeRefused",
    "Will",
]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)
