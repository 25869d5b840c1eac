"""The store of a client: its session in an SQLite file, so that it goes on in the next process.

The file is a broker's store with one session in it (`mqttwist.stores.sqlite`): what we publish and the Server
has not confirmed, with Packet Identifiers and how far each has come, and the Packet Identifiers of QoS 2
messages that came and were not released. The journal gathers changes; here each frame goes to a thread, and
what has waited for it goes out when that says that it is on the disk. While one frame is under way the next
one gathers, so that the commits are as large as the disk is slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from mqttwist.client.client import Client
from mqttwist.client.errors import ClientError
from mqttwist.front.shell import Shell, Timer, Waiter
from mqttwist.session.journal import Changes, Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.session import Session
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.schema import Frame
from mqttwist.stores.sqlite.store import SQLiteStore

RETRY: Final = 1.0  # seconds from a failure to the next attempt
PATIENCE: Final = 15.0  # seconds after which a client that stops waits no more for a disk that hangs
NOT_STORED: Final = "it could not be stored"

Job = Callable[[], object]
Worker = Callable[[Job], object]


@dataclass
class StoreCounters:
    """What was written so far: plain numbers, to be read at any time.

    `commit_seconds` is the time of all commits together. `last_error` is why the last frame could not be
    stored, "" when it could.
    """

    frames: int = 0
    commit_seconds: float = 0.0
    failures: int = 0
    last_error: str = ""


def at_once(job: Job) -> None:
    """A worker without a thread, for tests: commits are made where they are asked for."""
    job()


class FileStore:
    """Keeps the session of one client in the file at `path`, whose directory must be there.

    `sync` says what is left of what was stored: with `"full"` all of it, whatever happens; with `"normal"`
    all when the process is killed, and all but the last moments when the power fails; with `"off"` the file
    may be damaged then. `wait` is for how many seconds a client that starts waits for another process to let
    go of the file; nothing else happens in our process meanwhile.

    `worker` does what takes its time, in a thread of its own unless a test says `at_once`. `wall_clock`
    answers seconds since 1970. Raises `ValueError` for another `sync`.
    """

    def __init__(
        self,
        path: str,
        sync: str = "full",
        *,
        wait: float = 0.0,
        worker: Worker | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.counters = StoreCounters()
        self._store = SQLiteStore(path, sync, wall_clock)
        self._database = Database(path, sync)
        self._wait = wait
        self._given_worker = worker
        self._worker: Worker = at_once
        self._thread: ThreadPoolExecutor | None = None
        self._client: Client | None = None
        self._shell: Shell
        self._settle: Job
        self._session: Session | None = None
        self._frame: Frame | None = None  # what is being stored
        self._again: Timer | None = None
        self._patience: Timer | None = None
        self._closing: list[Waiter[None]] = []  # who waits until it is closed
        self._unstored: dict[Waiter[None], None] = {}  # who waits until something is stored

    @property
    def path(self) -> str:
        """The file, as it was named."""
        return self._store.path

    @property
    def journal(self) -> Journal:
        """What changes are recorded in."""
        return self._store.journal

    @property
    def is_open(self) -> bool:
        """Whether a client that runs has the file."""
        return self._store.is_open

    # Opening

    def belongs_to(self, client: Client, shell: Shell, settle: Job) -> None:
        """`client` records what happens in our journal; `settle` is called when something was stored.

        Raises `ValueError` if that makes no sense.
        """
        if self._client is not None:
            raise ValueError(f"{self.path} is the store of another client of this program")
        settings = client.settings
        if not settings.client_id:
            raise ValueError("a client with a store needs a client_id: the store is about its session")
        if not settings.session_outlives:
            raise ValueError(
                "a client with a store needs a session_expiry_interval: for how many seconds the Server is to"
                " keep the session while it is away (4,294,967,295: for good)"
            )
        self._client = client
        self._shell = shell
        self._settle = settle

    @property
    def client(self) -> Client:
        """Whose store it is. Raises `ValueError` while it is nobody's."""
        if self._client is None:
            raise ValueError(f"{self.path} is the store of no client")
        return self._client

    def open(self) -> None:
        """Open the file, or begin a new one; the first time, have the client go on with what is in it.

        Raises `StoreError` if the file is in use, of another client, or can't be had; `ValueError` if
        somebody else has changed it since this process had it.
        """
        self._tell_closed()  # that a client which starts again has wanted
        if not self.is_open:
            self._open_file()
        if self.journal.sink is None:
            self._start_storing()
        for waiter in list(self._unstored):
            self._watch(waiter)
        self._settle()

    def _open_file(self) -> None:
        self._store.open(self._notice, self._wait)
        try:
            if self._session is None:
                self._session = self._take_up()
        except BaseException:
            self._store.close()
            raise

    def _start_storing(self) -> None:
        if self._given_worker is None:
            self._thread = ThreadPoolExecutor(1, "mqttwist-store")
            self._worker = self._thread.submit
        else:
            self._worker = self._given_worker
        self.journal.sink = self._frame_came
        self._commit()  # what could not be stored before

    def _take_up(self) -> Session:
        """The session of our client, from the file or a new one, now with the client. Raises `StoreError`."""
        client = self.client
        settings = client.settings
        found = list(self._store.sessions())
        if len(found) > 1 or any(one.subscriptions for one in found):
            raise StoreError(f"{self.path} is the store of a broker")
        if found and found[0].client_id != settings.client_id:
            raise StoreError(
                f"{self.path} is the store of client {found[0].client_id!r}, not of {settings.client_id!r}"
            )
        session = found[0] if found else Session(settings.client_id, QueueLimits(0, 0, False), Drops())
        session.expiry_interval = settings.session_expiry_interval
        session.gone_at = None
        self.journal.session_saved(session)
        client.adopt(session, self.journal)
        return session

    def accepted(self, version: int) -> None:
        """The Server has accepted the client: from now on there is a session that it can lose."""
        session = self._session
        if session is not None and session.version != version:
            session.version = version
            self.journal.session_saved(session)

    # Storing

    def _frame_came(self, number: int, wall: float, changes: Changes) -> None:
        self._frame = Frame(number, wall, changes)
        self._commit()

    def _commit(self) -> None:
        """Have the frame stored that is to be, if there is one."""
        self._again = None
        frame = self._frame
        if frame is not None:
            self._worker(lambda: self._commit_there(frame))

    def _commit_there(self, frame: Frame) -> None:
        """Put a frame into the file: in the thread."""
        began = monotonic()
        failure: Exception | None = None
        try:
            self._database.commit([frame])
            self._database.sizes()  # what is in a file that was taken away is not on the disk
        except Exception as error:  # whatever it is, nothing that was promised may go out
            failure = error
        seconds = monotonic() - began
        self._shell.call_from_thread(lambda: self._tried(frame, seconds, failure))
        if failure is None:
            self._database.checkpoint()

    def _tried(self, frame: Frame, seconds: float, failure: Exception | None) -> None:
        """The thread has stored a frame, or has failed to."""
        if failure is not None:
            self._failed(failure)
            return
        counters = self.counters
        counters.frames += 1
        counters.commit_seconds += seconds
        if counters.last_error:
            counters.last_error = ""
            self._shell.info("The store {path} takes changes again", path=self.path)
        self._frame = None
        try:
            self.client.stored(frame.number)
        except Exception as error:
            self._shell.failure("Error in the client after something was stored", error)
        self._settle()
        self._end_if_idle()

    def _failed(self, failure: Exception) -> None:
        self.journal.is_failing = True
        self.counters.failures += 1
        text = " ".join(f"{type(failure).__name__}: {failure}".split())
        if text != self.counters.last_error:
            self.counters.last_error = text
            self._shell.warn(
                "The store {path} does not take changes: {fault}. What depends on it is not sent; tried again"
                " every {seconds:g} s",
                path=self.path,
                fault=text,
                seconds=RETRY,
            )
        if self._closing:
            self._give_up()
        else:
            self._again = self._shell.call_later(RETRY, self._commit)

    def stored(self) -> Any:
        """Fires when all that was recorded up to now is stored.

        Fails with `ClientError` when the client stops and that could not be done.
        """
        waiter: Waiter[None] = self._shell.waiter()
        self._unstored[waiter] = None
        if self.is_open:
            self._watch(waiter)
        return waiter.awaitable

    def _watch(self, waiter: Waiter[None]) -> None:
        """Tell it when nobody is in the middle of anything."""
        if not self.journal.when_stored(lambda: self._shell.call_later(0.0, lambda: self._tell(waiter))):
            self._tell(waiter)

    def _tell(self, waiter: Waiter[None]) -> None:
        if waiter in self._unstored:
            del self._unstored[waiter]
            waiter.succeed(None)

    # Closing

    def close(self) -> Any:
        """Store what is left and let go of the file: fires when that is done.

        It fires as well when the disk fails, and the log says what is lost.
        """
        waiter: Waiter[None] = self._shell.waiter()
        if not self.is_open:
            waiter.succeed(None)
            return waiter.awaitable
        self._closing.append(waiter)
        if len(self._closing) == 1:
            self._patience = self._shell.call_later(PATIENCE, self._lose_patience)
            if self._again is not None:
                self._again.cancel()
                self._commit()
            self._end_if_idle()
        return waiter.awaitable

    def _end_if_idle(self) -> None:
        """Close the file, if that is wanted and nothing is left to be stored."""
        if not self._closing:
            return
        self.journal.seal(self.journal.clock())
        if self._frame is None and not self.journal.is_due:
            self._close_file(True)

    def _give_up(self) -> None:
        """The disk fails, and the client stops: what is not stored is lost when the process ends."""
        self._shell.warn(
            "What is not stored is lost unless the client starts again: the store {path} does not take it",
            path=self.path,
        )
        self._close_file(False)

    def _close_file(self, clean: bool) -> None:
        def close() -> None:
            self._database.close(clean)
            self._shell.call_from_thread(self._closed)

        self._worker(close)

    def _closed(self) -> None:
        """The thread has closed the file: so do we, unless something is new or the client runs again."""
        if self._closing and (self._frame is None or self.journal.is_failing):
            self._store.close()
            self._stop_storing()

    def _lose_patience(self) -> None:
        """The disk hangs, and with it the thread: the file stays open, so that nobody else writes to it."""
        self._shell.warn("The store {path} hangs: what is not stored is lost", path=self.path)
        self._stop_storing()

    def _stop_storing(self) -> None:
        self.journal.sink = None
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
        unstored, self._unstored = self._unstored, {}
        for waiter in unstored:
            waiter.fail(ClientError(NOT_STORED))
        self._tell_closed()

    def _tell_closed(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        closing, self._closing = self._closing, []
        for waiter in closing:
            waiter.succeed(None)

    def _notice(self, line: str) -> None:
        self._shell.warn("{line}", line=line)
