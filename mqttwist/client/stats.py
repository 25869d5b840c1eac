"""A client's counters, as plain integers."""

from __future__ import annotations


class ClientStats:
    """Counts since the client was made. What the wire carried is in `Client.metrics`."""

    __slots__ = (
        "connections", "dropped", "handler_errors", "messages_held", "refused_connections", "rejected",
        "restored", "restored_ended", "sessions_lost", "starts_over", "unclaimed",
    )  # fmt: skip

    connections: int  # that the Server has accepted
    refused_connections: int
    sessions_lost: int
    unclaimed: int  # messages that no subscriber was there for
    dropped: int  # messages of QoS 0 that the application was too slow for
    handler_errors: int  # handlers that have failed
    rejected: int  # messages of ours that the Server has refused
    restored: int  # messages that a process before this one had stored
    restored_ended: int  # of them, those that were confirmed or given up
    messages_held: int  # how often reading stopped because too much waited for the application
    starts_over: int  # connections that we ended because too many of their messages were left to the Server

    def __init__(self) -> None:
        self.connections = 0
        self.refused_connections = 0
        self.sessions_lost = 0
        self.unclaimed = 0
        self.dropped = 0
        self.handler_errors = 0
        self.rejected = 0
        self.restored = 0
        self.restored_ended = 0
        self.messages_held = 0
        self.starts_over = 0
