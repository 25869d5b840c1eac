"""MQTT clients that never forget: a client's session as the specification wants it, over any number of kills.

A client connects again as soon as the broker serves, sends again what was not acknowledged, with DUP and the
same Packet Identifiers (4.4), and finishes each QoS 2 handshake it has begun (4.3.3). What it sees goes into
the history. At each step of a handshake it calls `at_step`, so that a run can kill the broker there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mqttwist.wire.acknowledge import acknowledge
from mqttwist.wire.codec import decode_packet
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.packet import MQTT_5, Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.torture.history import (
    Disconnected,
    History,
    Identity,
    SessionLost,
    Subscribed,
    Subscribing,
    Unsubscribed,
    Unsubscribing,
)

NEVER = 4_294_967_295  # a session that does not expire
PATIENCE = 30.0  # seconds that an answer may take on a busy machine
RETRY = 0.03  # seconds between two tries to connect

# The steps of the two QoS 2 handshakes, and of the shorter ones, as the clients see them.
STEPS = (
    "publisher: PUBLISH sent",
    "publisher: PUBREC received",
    "publisher: PUBREL sent",
    "publisher: PUBCOMP received",
    "subscriber: PUBLISH received",
    "subscriber: PUBREC sent",
    "subscriber: PUBREL received",
    "subscriber: PUBCOMP sent",
)


class Site:
    """Where a run takes place: what its clients share.

    `complaints` is what the broker did that the protocol does not allow; `acknowledged` what it is to keep;
    `is_down` is true from before the broker is killed until it serves again.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.history = History()
        self.complaints: list[str] = []
        self.acknowledged: set[Identity] = set()
        self.is_down = False
        self.serves = asyncio.Event()
        self.at_step: Callable[[str], None] = _ignore


def _ignore(step: str) -> None:
    """Nobody waits for a step."""


class Refused(Exception):
    """CONNACK said no."""


class _Link(asyncio.Protocol):
    """One Network Connection of a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.decoder = Decoder(client.version)

    def data_received(self, data: bytes) -> None:
        """Hand on the packets; nothing of a connection that the client has given up."""
        client, decoder, version = self.client, self.decoder, self.client.version
        try:
            decoder.feed(data)
            while client.link is self and decoder.advance():
                packet = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, version)
                client.received(packet)
        except MQTTError as error:
            client.complain(f"the broker sent what is no MQTT: {error}")
            client.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client.link is self:
            self.client.lost()


T = TypeVar("T")


def _answer(question: asyncio.Future[T] | None, answer: T) -> None:
    if question is not None and not question.done():
        question.set_result(answer)


def _fail(question: asyncio.Future[Any] | None) -> None:
    if question is not None and not question.done():
        question.set_exception(ConnectionError("the connection is gone"))
        question.exception()  # whoever asked may be gone, too


@dataclass(frozen=True)
class Who:
    """How a client connects: `version` is 4 or 5, `expiry` in seconds (3.x: 0 is Clean Session)."""

    client_id: str
    version: int = MQTT_5
    expiry: int = NEVER
    receive_maximum: int | None = None
    will: Will | None = None

    def connect(self, clean_start: bool) -> Connect:
        if self.version != MQTT_5:
            clean = clean_start or not self.expiry
            return Connect(self.client_id, self.version, clean, 0, self.will)
        properties = Properties(receive_maximum=self.receive_maximum)
        if self.expiry:
            properties.session_expiry_interval = self.expiry
        return Connect(self.client_id, self.version, clean_start, 0, self.will, properties=properties)


class Client:
    """One client id. `connect` once, or `stay` to connect again whenever the connection is gone."""

    def __init__(self, site: Site, who: Who) -> None:
        self.site = site
        self.who = who
        self.version = who.version
        self.link: _Link | None = None
        self.transport: asyncio.Transport | None = None
        self.is_connected = False  # CONNACK has come
        self.has_session = False  # the broker has sent an acknowledgement that promises it
        self.disconnect_code = -1
        self.receive_maximum = 65_535
        self._connack: asyncio.Future[ConnAck] | None = None
        self._pong: asyncio.Future[PingResp] | None = None
        self._gone = asyncio.Event()
        self._stay: asyncio.Task[None] | None = None
        self._suback: dict[int, asyncio.Future[SubAck]] = {}
        self._unsuback: dict[int, asyncio.Future[UnsubAck]] = {}
        self._request_id = 60_000  # Packet Identifiers of SUBSCRIBE; those of PUBLISH stay below

    # Coming and going

    async def connect(self, clean_start: bool = False) -> ConnAck:
        """Connect, and wait for CONNACK. Raises `OSError`, `Refused` or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        self._connack = loop.create_future()
        self._gone.clear()
        self.disconnect_code = -1
        link = self.link = _Link(self)
        try:
            async with asyncio.timeout(PATIENCE):
                self.transport, _ = await loop.create_connection(lambda: link, "127.0.0.1", self.site.port)
                self.send(self.who.connect(clean_start))
                connack = await self._connack
        except BaseException:
            self.drop()
            raise
        if connack.reason_code:
            self.drop()
            raise Refused(f"{self.who.client_id}: CONNACK {connack.reason_code:#x}")
        return connack

    def _welcome(self, connack: ConnAck) -> None:
        self.receive_maximum = connack.properties.receive_maximum or 65_535
        if not connack.session_present:
            if self.has_session:
                self.site.history.add(SessionLost(self.who.client_id))
            self.has_session = False
            self.forget()
        self.is_connected = True
        self.resume()

    def stay(self) -> None:
        """Connect, and again after each loss, until `leave` or `drop` is called."""
        self._stay = asyncio.create_task(self._keep_connected())

    async def _keep_connected(self) -> None:
        while True:
            await self.site.serves.wait()
            try:
                if not self.is_connected:
                    await self.connect()
                await self._gone.wait()
            except (OSError, Refused, TimeoutError):
                await asyncio.sleep(RETRY)

    async def leave(self, reason_code: int = 0) -> None:
        """DISCONNECT, and stay away."""
        self._stop_staying()
        transport = self.transport
        if self.link is not None and transport is not None:
            self.send(Disconnect(reason_code))
            self.link = None
            transport.close()
            await asyncio.sleep(0)
        self.drop()

    def drop(self) -> None:
        """End the connection without a word, and stay away."""
        self._stop_staying()
        self.link = None
        if self.transport is not None:
            self.transport.abort()
        self._forget_connection()

    def _stop_staying(self) -> None:
        if self._stay is not None and self._stay is not asyncio.current_task():
            self._stay.cancel()
            self._stay = None

    def lost(self) -> None:
        """The broker has ended the connection."""
        self.link = None
        if not self.site.is_down:
            self.site.history.add(Disconnected(self.who.client_id, self.disconnect_code))
        self._forget_connection()

    def _forget_connection(self) -> None:
        self.transport = None
        self.is_connected = False
        for question in (
            self._connack,
            self._pong,
            *self._suback.values(),
            *self._unsuback.values(),
        ):
            _fail(question)
        self._suback.clear()
        self._unsuback.clear()
        self._gone.set()

    def complain(self, text: str) -> None:
        """The broker did what the protocol does not allow."""
        self.site.complaints.append(f"{self.who.client_id}: {text}")

    # Packets

    def send(self, packet: Packet | Publish) -> None:
        self.write(packet.encode(self.version))

    def write(self, data: bytes) -> None:
        """Nothing happens without a connection: what must be sent again is, by `resume`."""
        if self.transport is not None and not self.transport.is_closing() and not self.site.is_down:
            self.transport.write(data)

    def acknowledge(self, packet_type: int, packet_id: int) -> None:
        self.write(acknowledge(packet_type, packet_id, 0, self.version))

    def received(self, packet: Packet | Publish) -> None:
        """A packet came. Those of the QoS flows belong to the publisher or the subscriber."""
        if isinstance(packet, ConnAck):
            if not packet.reason_code:
                self._welcome(packet)
            _answer(self._connack, packet)
        elif isinstance(packet, PingResp):
            _answer(self._pong, packet)
        elif isinstance(packet, SubAck):
            _answer(self._suback.pop(packet.packet_id, None), packet)
        elif isinstance(packet, UnsubAck):
            _answer(self._unsuback.pop(packet.packet_id, None), packet)
        elif isinstance(packet, Disconnect):
            self.disconnect_code = packet.reason_code
        else:
            self.flow(packet)

    def flow(self, packet: Packet | Publish) -> None:
        """PUBLISH and its acknowledgements; a client that does neither has no use for them."""

    def resume(self) -> None:
        """The connection stands: send again what must be."""

    def forget(self) -> None:
        """There is a new session: what the broker knew of this client is no more."""

    async def ping(self) -> None:
        """All that the broker had written before it got PINGREQ is there when this returns."""
        self._pong = asyncio.get_running_loop().create_future()
        self.send(PingReq())
        async with asyncio.timeout(PATIENCE):
            await self._pong

    async def subscribe(self, topic_filter: str, qos: int) -> int:
        """The Reason Code of SUBACK. Raises `ConnectionError` or `TimeoutError`."""
        history, client_id = self.site.history, self.who.client_id
        self._request_id += 1
        answer: asyncio.Future[SubAck] = asyncio.get_running_loop().create_future()
        self._suback[self._request_id] = answer
        history.add(Subscribing(client_id, topic_filter, qos))
        self.send(Subscribe(self._request_id, [SubscriptionOptions(topic_filter, qos)]))
        async with asyncio.timeout(PATIENCE):
            suback = await answer
        reason_code = suback.reason_codes[0]
        if reason_code < 0x80:
            history.add(Subscribed(client_id, topic_filter, qos))
            self.has_session = self.who.expiry > 0
        return reason_code

    async def unsubscribe(self, topic_filter: str) -> None:
        """Wait for UNSUBACK. Raises `ConnectionError` or `TimeoutError`."""
        history, client_id = self.site.history, self.who.client_id
        self._request_id += 1
        answer: asyncio.Future[UnsubAck] = asyncio.get_running_loop().create_future()
        self._unsuback[self._request_id] = answer
        history.add(Unsubscribing(client_id, topic_filter))
        self.send(Unsubscribe(self._request_id, [topic_filter]))
        async with asyncio.timeout(PATIENCE):
            await answer
        history.add(Unsubscribed(client_id, topic_filter))
