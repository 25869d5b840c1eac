"""What a client says first, and in which protocol version (3.1)."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

from mqttwist.client.doors import Authenticator
from mqttwist.client.errors import ClientError, ConnectRefused
from mqttwist.wire.connect import Connect
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.properties import Properties

if TYPE_CHECKING:
    from mqttwist.client.settings import ClientSettings


def new_client_id() -> str:
    """For MQTT 3.1, which wants 1 to 23 characters; later versions leave it to the Server."""
    return f"mqttwist{token_hex(7)}"


def connect_packet(
    settings: ClientSettings,
    version: int,
    client_id: str,
    clean_start: bool,
    authenticator: Authenticator | None,
) -> Connect:
    """CONNECT, but for User Name and Password."""
    return Connect(
        client_id,
        version,
        clean_start or (not client_id and version != MQTT_5),  # 3.1.1: [MQTT-3.1.3-7]
        settings.keep_alive,
        settings.will,
        properties=_properties(settings, authenticator) if version == MQTT_5 else None,
    )


def _properties(settings: ClientSettings, authenticator: Authenticator | None) -> Properties:
    more = settings.properties or Properties()
    properties = Properties(
        session_expiry_interval=settings.session_expiry_interval or None,
        receive_maximum=settings.receive_maximum,
        maximum_packet_size=settings.maximum_packet_size,
        topic_alias_maximum=settings.topic_alias_maximum or None,
        request_response_information=more.request_response_information,
        request_problem_information=more.request_problem_information,
        user_properties=more.user_properties,
    )
    if authenticator is not None:
        properties.authentication_method = authenticator.method
        properties.authentication_data = authenticator.start()
    return properties


def left_out_of_connect(settings: ClientSettings) -> list[str]:
    """What CONNECT can't say before MQTT 5.0, though it was asked for."""
    kinds: list[str] = []
    if settings.properties is not None and settings.properties != Properties():
        kinds.append("properties of CONNECT")
    if settings.will is not None and settings.will.properties != Properties():
        kinds.append("properties of the Will")
    return kinds


def next_version(versions: tuple[int, ...], version: int, error: ClientError, is_unanswered: bool) -> int:
    """The version to try when a connection in `version` has ended with `error`.

    The next one of `versions` where the Server does not know this one. Some old Servers say nothing to
    CONNECT and close (`is_unanswered`). Whether that was it can't be known, so after the oldest version the
    newest one has its turn again.
    """
    following = versions.index(version) + 1
    if is_unanswered:
        return versions[following % len(versions)]
    if isinstance(error, ConnectRefused) and error.reason_code == 0x84 and following < len(versions):
        return versions[following]
    return version
