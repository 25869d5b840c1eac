"""Runs the coroutine of a command in Twisted's reactor, from its start to the exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import provider

from mqttwist.cli.faults import DONE, FAILED, INTERRUPTED, PIPE_CLOSED, Fault, fault_of
from mqttwist.wire.packet import MQTT_5

Program = Callable[[Any], Coroutine[Any, Any, int]]


def run(program: Program, *, version: int = MQTT_5, debug: bool = False, quiet: bool = False) -> int:
    """Run `program(reactor)`, answer its exit status, and stop it in order on Ctrl-C and SIGTERM.

    Errors of the client become one line on the standard error, unless `quiet`.
    """
    from twisted.internet import reactor

    _begin_logging(debug)
    running = _Running(program, reactor, version)
    running.start()
    if running.fault is not None and not quiet:
        click.echo(running.fault.text, err=True)
    return running.status


class _Running:
    def __init__(self, program: Program, reactor: Any, version: int) -> None:
        self._program = program
        self._reactor = reactor
        self._version = version
        self._work: Deferred[None] | None = None
        self._is_over = False
        self._is_interrupted = False
        self.status = DONE
        self.fault: Fault | None = None

    def start(self) -> None:
        self._reactor.callWhenRunning(self._begin)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._interrupt)
        self._reactor.run()

    def _begin(self) -> None:
        work = Deferred.fromCoroutine(self._program(self._reactor))
        self._work = work.addCallbacks(self._done, self._failed).addCallback(self._stop)

    def _done(self, status: int) -> None:
        self.status = status

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, CancelledError | KeyboardInterrupt):
            self.status = INTERRUPTED
        elif isinstance(error, BrokenPipeError):
            self.status = PIPE_CLOSED
            _forget_stdout()
        else:
            self.fault = fault_of(error or RuntimeError("no reason"), self._version)
            self.status = self.fault.status

    def _stop(self, nothing: None) -> None:
        self._is_over = True
        if not self._is_interrupted:
            self._reactor.stop()

    def _interrupt(self) -> Deferred[None] | None:
        """The reactor is to stop: let the program say goodbye first."""
        if self._work is None or self._is_over:
            return None
        self._is_interrupted = True
        self._work.cancel()
        return self._work


def _forget_stdout() -> None:
    """Nobody reads what is left in the buffer; so that Python does not complain when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _begin_logging(debug: bool) -> None:
    @provider(ILogObserver)
    def write(event: LogEvent) -> None:
        if debug or event["log_level"] is LogLevel.critical:
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
            click.echo(text, err=True)

    globalLogBeginner.beginLoggingTo([write], redirectStandardIO=False, discardBuffer=True)


def exit_with(context: click.Context, error: Exception) -> None:
    """A command line that can't be carried out: one line, and status 1."""
    click.echo(f"Error: {error}", err=True)
    click.echo(f"\nUse '{context.command_path} --help' to see usage.", err=True)
    context.exit(FAILED)
