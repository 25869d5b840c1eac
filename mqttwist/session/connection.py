"""The half of a Network Connection that client and server share: bytes in, packets out, no socket.

`receive_data` takes what was read, cuts it into packets and hands each to `packet_received`, which the two
roles implement. What is to be sent gathers in an outbox and is written once at the end of the turn. A fault
of the peer is caught in one place, here, and answered by `fail`.

A transport that is full says so (`transport_full`): the outbox then keeps what is sent, up to `HOLD_LIMIT`;
beyond it nothing more is read from this peer until it reads.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import Final, Protocol

from mqttwist.session.metrics import Metrics
from mqttwist.session.turn import Turn
from mqttwist.wire.decoder import UNKNOWN_VERSION, Decoder
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.packet import PUBACK, PUBREC

# The states, named after what is waited for. Packets are looked at in the first two.
AWAITING_CONNECT: Final = 0
CONNECTED: Final = 1
AUTHENTICATING: Final = 2
CLOSED: Final = 3

HOLD_LIMIT: Final = 1 << 20  # bytes kept for a transport that is full
PUMP_LIMIT: Final = 1 << 18  # bytes sent from a queue in one go

# Why nothing is read from a peer for now.
READING_UNREAD: Final = 1  # it does not read what is sent to it
READING_LOGIN: Final = 2  # its login is waited for
READING_TOO_FAST: Final = 4  # its messages come faster than they can be stored
READING_HELD: Final = 8  # its messages come faster than the application takes them

NONE_WITHHELD: Final[deque[tuple[int, bytes]]] = deque()  # in the place of one's own, which takes 600 bytes


class Transport(Protocol):
    """What a connection needs of the outside world."""

    def write(self, data: bytes) -> object:
        """Send `data`, or keep it until it can be sent."""

    def close(self) -> object:
        """Close once all that was written has gone out, and in a way that lets the peer read it."""

    def pause_reading(self) -> object:
        """Hand in no more data for now."""

    def resume_reading(self) -> object:
        """Hand in data again."""


class Trace(Protocol):
    """Sees every packet: for a log at debug level. Absent, it costs nothing."""

    def received(self, connection: Connection, packet: bytes) -> object:
        """`packet` is one whole packet as it came."""

    def sent(self, connection: Connection, packets: bytes) -> object:
        """`packets` are one or more whole packets as they go out."""


class Connection:
    """One Network Connection. `version` is 3, 4 or 5 (or 0 before it is known), `peer` says where from."""

    __slots__ = (
        "_counted", "_held", "_is_postponed", "_reading_paused", "_withheld", "blocked", "decoder",
        "last_received", "metrics", "outbox", "peer", "peer_maximum_packet_size", "state", "trace",
        "transport", "turn", "version", "wants_room",
    )  # fmt: skip

    transport: Transport
    turn: Turn
    metrics: Metrics
    peer: str
    trace: Trace | None
    decoder: Decoder
    state: int
    version: int
    outbox: list[bytes]
    blocked: bool  # the transport is full
    wants_room: bool  # more is waiting than was sent in one go
    last_received: float  # when data came last, by the turn's clock
    peer_maximum_packet_size: int  # bytes; what the peer accepts
    _held: int  # bytes in the outbox, as far as counted
    _counted: int  # how many items of the outbox are in `_held`
    _reading_paused: int  # why nothing is read for now: READING_*, added up
    _withheld: deque[tuple[int, bytes]]  # packets, each until the frame of that number is committed
    _is_postponed: bool  # `go_on` will be called

    def __init__(
        self,
        transport: Transport,
        turn: Turn,
        metrics: Metrics,
        maximum_packet_size: int,
        peer: str,
        trace: Trace | None,
    ) -> None:
        self.transport = transport
        self.turn = turn
        self.metrics = metrics
        self.peer = peer
        self.trace = trace
        self.decoder = Decoder(UNKNOWN_VERSION, maximum_packet_size)
        self.state = AWAITING_CONNECT
        self.version = UNKNOWN_VERSION
        self.outbox = []
        self.blocked = False
        self.wants_room = False
        self.last_received = turn.now
        self.peer_maximum_packet_size = 0xFFFFFFFF
        self._held = 0
        self._counted = 0
        self._reading_paused = 0
        self._is_postponed = False
        self._withheld = NONE_WITHHELD

    # What the roles implement

    @abstractmethod
    def packet_received(self) -> bool:
        """Deal with the packet that the decoder stands at, and answer whether it is a PUBLISH.

        May raise `MQTTError`.
        """

    @abstractmethod
    def fail(self, error: MQTTError) -> None:
        """Answer a fault of the peer and close (4.13)."""

    @abstractmethod
    def room_made(self) -> None:
        """The transport takes more: send what waits."""

    # In

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the transport: one turn, which ends whatever is raised in it."""
        if self.state == CLOSED:
            return
        self.last_received = self.turn.begin()
        self.metrics.bytes_received += len(data)
        self.decoder.feed(data)
        try:
            self.process()
        finally:
            self.turn.end()
        if self.blocked:
            self._limit_outbox()
        if self._withheld:
            self._wait_for_disk()

    def process(self) -> None:
        """Work on the packets that are complete, unless a login has to be waited for."""
        decoder = self.decoder
        trace = self.trace
        metrics = self.metrics
        publishes = 0
        try:
            while self.state <= CONNECTED and decoder.advance():
                if trace is not None:
                    trace.received(self, decoder.data[decoder.start : decoder.end])
                if self.packet_received():
                    publishes += 1
                else:
                    metrics.others_received += 1
        except MQTTError as error:
            metrics.protocol_errors += 1
            self.fail(error)
        finally:
            metrics.publishes_received += publishes

    def set_version(self, version: int) -> None:
        self.version = version
        self.decoder.set_version(version)

    # Out

    def send(self, packet: bytes) -> None:
        """Put a packet, or a part of one, into the outbox."""
        outbox = self.outbox
        if not outbox:
            self.turn.has_output(self)
        outbox.append(packet)

    def send_when_stored(self, packet: bytes, frame: int) -> None:
        """Send a packet when the frame of that number is committed, and those withheld before it have gone.

        A `frame` of 0 promises nothing, so the packet only keeps its place behind the others.
        """
        journal = self.turn.journal
        if journal is None or (not self._withheld and frame <= journal.committed_frame):
            self.send(packet)
            return
        if self._withheld is NONE_WITHHELD:
            self._withheld = deque()
        if not self._withheld:
            journal.withholds(self)
        self._withheld.append((frame, packet))

    @property
    def is_withholding(self) -> bool:
        """Whether a packet waits for its frame."""
        return len(self._withheld) > 0

    def release_withheld(self, frame: int) -> bool:
        """Send what was withheld for `frame` and those before it; True when nothing more is withheld."""
        withheld = self._withheld
        while withheld and withheld[0][0] <= frame:
            self.send(withheld.popleft()[1])
        return not withheld

    def _wait_for_disk(self) -> None:
        """Read no more from a peer whose messages come faster than they can be stored."""
        journal = self.turn.journal
        if journal is None or self.state != CONNECTED or not journal.is_congested(self.turn.now):
            return
        if any(packet[0] >> 4 in (PUBACK, PUBREC) for _, packet in self._withheld):
            journal.stall(self)
            self.pause_reading(READING_TOO_FAST)

    def disk_caught_up(self) -> None:
        """What was not stored yet is so now, or is little."""
        self.last_received = self.turn.now  # what the peer may have said meanwhile was not read
        self.resume_reading(READING_TOO_FAST)

    def flush(self) -> None:
        """Write the outbox in one go, unless the transport is full; then what waits, in a turn of its own."""
        while self.outbox and not self.blocked and self.state != CLOSED:
            self._write()
            if self.wants_room and not self.blocked and self.state == CONNECTED:
                self.wants_room = False
                if self._is_postponed or self.turn.postpone(self):
                    self._is_postponed = True
                else:
                    self.room_made()

    def go_on(self) -> None:
        """Others have had their turn: send more of what waits."""
        self._is_postponed = False
        if self.state == CONNECTED and not self.blocked:
            self.room_made()

    def _write(self) -> None:
        data = b"".join(self.outbox)
        self.outbox.clear()
        self._held = self._counted = 0
        self.metrics.bytes_sent += len(data)
        if self.trace is not None:
            self.trace.sent(self, data)
        self.transport.write(data)

    def transport_full(self) -> None:
        """The transport asks for no more data."""
        self.blocked = True

    def transport_ready(self) -> None:
        """The transport takes data again: one turn."""
        self.turn.begin()
        self.blocked = False
        self.resume_reading(READING_UNREAD)
        self.flush()
        if self.state == CONNECTED and not self.blocked:
            self.wants_room = False
            self.room_made()
        self.turn.end()

    def held(self) -> int:
        """How many bytes are in the outbox; what was counted before is not counted again."""
        outbox = self.outbox
        if self._counted < len(outbox):
            self._held += sum([len(part) for part in outbox[self._counted :]])
            self._counted = len(outbox)
        return self._held

    def _limit_outbox(self) -> None:
        """Read no more from a peer that makes us answer and does not read the answers."""
        if self.held() > HOLD_LIMIT and self.state == CONNECTED:
            self.pause_reading(READING_UNREAD)

    def pause_reading(self, why: int) -> None:
        """Read no more for now, because of one of `READING_*`."""
        if not self._reading_paused:
            self.transport.pause_reading()
        self._reading_paused |= why

    def resume_reading(self, why: int) -> None:
        """That is over: read on, unless there is another reason."""
        if self._reading_paused & why:
            self._reading_paused &= ~why
            if not self._reading_paused:
                self.transport.resume_reading()

    def close(self) -> None:
        """Write what is in the outbox and close; nothing that still comes in is looked at."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.blocked = False
        journal = self.turn.journal
        if journal is not None:
            journal.forget(self)
        if self.outbox:
            self._write()
        self.transport.close()

    @property
    def waits_for_disk(self) -> bool:
        """Whether nothing is read from the peer because its messages can't be stored as fast."""
        return self._reading_paused & READING_TOO_FAST != 0

    @property
    def reading_is_held(self) -> bool:
        """Whether nothing is read from the peer because too much waits for the application."""
        return self._reading_paused & READING_HELD != 0

    @property
    def reading_is_paused(self) -> bool:
        """Whether nothing is read from the peer."""
        return self._reading_paused != 0
