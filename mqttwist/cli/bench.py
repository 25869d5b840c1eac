"""`mqttwist bench`: load on a broker, and how long its messages take."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from mqttwist.cli.connecting import Connecting
from mqttwist.cli.faults import DONE, FAILED
from mqttwist.cli.load import Load, Plan, Result
from mqttwist.cli.options import ConnectOptions, MosquittoCommand, connection_options
from mqttwist.cli.running import exit_with, run
from mqttwist.wire.topics import check_topic_name

PERCENTS = (50.0, 90.0, 99.0, 99.9)


@click.command(cls=MosquittoCommand, context_settings={"help_option_names": ["--help"]})
@connection_options
@click.option("-t", "--topic", default="bench", help="Where the topics are.  [default: bench]")
@click.option("-q", "--qos", type=click.IntRange(0, 2), default=0, help="Of messages and subscriptions.")
@click.option("--publishers", type=click.IntRange(1, 10_000), default=1, help="[default: 1]")
@click.option("--subscribers", type=click.IntRange(0, 10_000), default=1, help="[default: 1]")
@click.option("--topics", type=click.IntRange(1, 1_000_000), default=1, help="So many.  [default: 1]")
@click.option(
    "--size", type=click.IntRange(16, 1 << 24), default=64, help="Bytes of a payload.  [default: 64]"
)
@click.option(
    "--rate", type=click.FloatRange(0.0, min_open=True), help="Messages a second of each publisher."
)
@click.option("--window", type=click.IntRange(1, 60_000), default=100, help="How many of a publisher wait.")
@click.option("--duration", type=click.FloatRange(0.1), help="Seconds.  [default: 10]")
@click.option("--count", type=click.IntRange(1), help="Messages of each publisher, in place of a duration.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def bench(context: click.Context, /, **given: Any) -> None:
    """Measure a broker: publishers times subscribers, as fast as it goes or at a rate.

    All subscribers get all messages. Without --rate a publisher has --window messages on their way; they then
    wait in queues, and the latency is that of a full queue. With --rate it is that of the broker.
    """
    try:
        options = ConnectOptions.taken_from(given)
        connecting = Connecting(options)
        as_json = given.pop("as_json")
        plan = _plan(given)
    except (ValueError, OSError) as error:
        exit_with(context, error)
        return
    progress = show_progress if sys.stderr.isatty() and not options.quiet else None
    status = run(
        lambda reactor: _measure(connecting, plan, reactor, progress, as_json),
        version=connecting.version,
        debug=options.debug,
        quiet=options.quiet,
    )
    context.exit(status)


def _plan(given: dict[str, Any]) -> Plan:
    check_topic_name(given["topic"])
    if given["duration"] is not None and given["count"] is not None:
        raise ValueError("--duration and --count can't be used together")
    duration = given.pop("duration")
    if duration is None and given["count"] is None:
        duration = 10.0
    return Plan(duration=duration, **given)


async def _measure(
    connecting: Connecting,
    plan: Plan,
    reactor: Any,
    progress: Callable[[Result], object] | None,
    as_json: bool,
) -> int:
    result = await Load(connecting, plan, reactor, time.perf_counter_ns).run(progress)
    if progress is not None:
        click.echo("\r" + " " * 78 + "\r", err=True, nl=False)
    text = json.dumps(as_object(plan, result)) if as_json else as_text(plan, result)
    click.echo(text)
    return FAILED if result.is_incomplete else DONE


def show_progress(result: Result) -> None:
    """One line of the terminal, written anew each second."""
    p50, p99 = result.latency.percentiles((50.0, 99.0))
    line = (
        f"{result.seconds:5.1f} s  {result.published:,} published  {result.received:,} received  "
        f"p50 {p50 / 1000:.2f} ms  p99 {p99 / 1000:.2f} ms"
    )
    click.echo(f"\r{line[:78]:78}", err=True, nl=False)


def as_object(plan: Plan, result: Result) -> dict[str, object]:
    """What `--json` prints. Latencies are in milliseconds."""
    histogram = result.latency
    names = [f"p{percent:g}" for percent in PERCENTS]
    values = histogram.percentiles(PERCENTS)
    return {
        "publishers": plan.publishers,
        "subscribers": plan.subscribers,
        "topics": plan.topics,
        "qos": plan.qos,
        "size": plan.size,
        "rate": plan.rate,
        "seconds": round(result.seconds, 3),
        "published": result.published,
        "published_per_second": round(result.published / result.seconds, 1),
        "received": result.received,
        "received_per_second": round(result.received / result.seconds, 1),
        "expected": result.expected,
        "latency_ms": {name: value / 1000 for name, value in zip(names, values, strict=True)}
        | {"max": histogram.maximum / 1000, "mean": round(histogram.mean / 1000, 3)},
    }


def as_text(plan: Plan, result: Result) -> str:
    """What is printed otherwise."""
    lines = [
        f"{plan.publishers} publishers, {plan.subscribers} subscribers, QoS {plan.qos}, "
        f"{plan.size} bytes, {result.seconds:.2f} s",
        f"published {result.published:>12,}  {result.published / result.seconds:>12,.1f} /s",
    ]
    if plan.subscribers:
        lost = result.expected - result.received
        lines.append(
            f"received  {result.received:>12,}  {result.received / result.seconds:>12,.1f} /s"
            + (f"  ({lost:,} missing)" if lost else "")
        )
        values = result.latency.percentiles(PERCENTS)
        spread = "  ".join(
            f"p{percent:g} {value / 1000:.3f}" for percent, value in zip(PERCENTS, values, strict=True)
        )
        lines.append(f"latency   {spread}  max {result.latency.maximum / 1000:.3f} ms")
    return "\n".join(lines)
