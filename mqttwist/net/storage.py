"""A store on disk while a broker runs: read at the start, written to, closed when all is stored."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mqttwist.broker.broker import Broker
from mqttwist.net.collector import without_collector
from mqttwist.net.store_process import StoreCounters, StoreWriter
from mqttwist.stores.sqlite.store import SQLiteStore

log = Logger(namespace="mqttwist.store")

REPORT = 600.0  # seconds between two lines of the log about a store that is written to
SIGN_OF_LIFE = 1.0  # seconds; sessions and wills count their time from the last one if the broker is killed


class Storage:
    """The store of a broker, opened as often as closed by whoever needs it.

    Raises `ValueError` for a broker whose store is none on disk.
    """

    def __init__(self, broker: Broker, reactor: Any) -> None:
        store = broker.store
        if not isinstance(store, SQLiteStore):
            raise ValueError("the broker's store is not on disk")
        self._store = store
        self._broker = broker
        self._writer = StoreWriter(store, broker, reactor)
        self._alive = LoopingCall(self._look)
        self._alive.clock = reactor
        self._reports = LoopingCall(self._report)
        self._reports.clock = reactor
        self._reported = StoreCounters()  # what they were at the last report
        self._users = 0
        self._is_restored = False
        self._closing: list[Deferred[None]] = []  # who waits until it is closed

    @property
    def counters(self) -> StoreCounters:
        """What has been written so far."""
        return self._writer.counters

    @property
    def pending_bytes(self) -> int:
        """How much is not stored yet, roughly."""
        return self._store.journal.pending_size

    @property
    def writer_pid(self) -> int | None:
        """The process id of the writer, while there is one."""
        return self._writer.pid

    def open(self) -> None:
        """Open the file and read it; from now on changes are written to it.

        Waits up to 10 s for a broker that is just ending: a reactor that runs already does nothing else
        meanwhile. Raises `StoreError` if the file can't be had. If this one is still closing it, it is opened
        again then, with the same wait.
        """
        self._users += 1
        if self._users > 1 or self._closing:
            return
        try:
            self._open()
        except BaseException:
            self._users = 0
            self._store.close()
            raise

    def _open(self) -> None:
        began = monotonic()
        self._store.open(self._notice)
        if not self._is_restored:
            with without_collector():
                self._broker.restore()
            self._is_restored = True
        log.info(
            "Store {path} (sync {sync}): {sessions} sessions and {retained} retained messages, "
            "read in {seconds:.2f} s",
            path=self._store.path,
            sync=self._store.sync,
            sessions=len(self._broker.sessions),
            retained=self._store.retained_count,
            seconds=monotonic() - began,
        )
        self._writer.start()
        self._alive.start(SIGN_OF_LIFE)
        self._reports.start(REPORT, now=False)

    def close(self) -> Deferred[None]:
        """Nobody else needs it: store what is left and let go of the file. Fires when that is done."""
        self._users = max(self._users - 1, 0)
        if self._users or not self._store.is_open:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        if len(self._closing) == 1:
            self._writer.stop().addCallback(self._closed)
        return closed

    def _closed(self, result: None) -> None:
        for loop in (self._alive, self._reports):
            if loop.running:
                loop.stop()
        self._store.close()
        counters = self.counters
        log.info(
            "Store {path} is closed: {frames} commits took {mean:.1f} ms on average; {failures} failed",
            path=self._store.path,
            frames=counters.frames,
            mean=1000 * counters.commit_seconds / (counters.frames or 1),
            failures=counters.failures,
        )
        waiting, self._closing = self._closing, []
        if self._users:
            self._open_again()
        for closed in waiting:
            closed.callback(None)

    def _open_again(self) -> None:
        try:
            self._open()
        except Exception:
            log.failure("Cannot open the store {path} again", path=self._store.path)

    def _report(self) -> None:
        """Say what was written since the last time, if anything was."""
        now, before = self.counters, self._reported
        self._reported = replace(now)
        commits = now.frames - before.frames
        if commits or now.last_error:
            log.info(
                "Store {path}: {rate:.1f} commits/s of {mean:.1f} ms in the last {seconds:g} s; "
                "{file:.1f} MB, WAL {wal:.1f} MB, {pending:.1f} MB not stored yet{error}",
                path=self._store.path,
                rate=commits / REPORT,
                mean=1000 * (now.commit_seconds - before.commit_seconds) / (commits or 1),
                seconds=REPORT,
                file=now.file_size / 1e6,
                wal=now.wal_size / 1e6,
                pending=self.pending_bytes / 1e6,
                error=f"; failing: {now.last_error}" if now.last_error else "",
            )

    def _look(self) -> None:
        """Note in the file that the broker is alive, and see whether the writer is in time."""
        self._writer.look()
        with suppress(OSError):  # the writer says what is wrong with the disk
            self._store.file.touch()

    def _notice(self, line: str) -> None:
        """A damage of the file: something that was acknowledged may be missing."""
        log.error("{line}", line=line)
