"""What `brokers.py` has measured, as a file, as tables and as a drawing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from html import escape
from math import floor, log10
from pathlib import Path
from statistics import median
from typing import Any

Run = dict[str, Any]
"""What load.c prints for one run, or {"error": why there is nothing}."""

# The drawing, in pixels
WIDTH = 860
LEFT = 110  # where the bars begin
RIGHT = 90  # room for the figure behind the longest bar
BAR = 13
GAP = 12  # between scenarios
TOP = 44
COLOURS = ("#2a6f97", "#b0b7bf", "#d98032", "#5a9367", "#8e5572", "#444444")


@dataclass
class Results:
    """`runs` by scenario and broker, one for each round."""

    machine: str
    python: str
    rounds: int
    seconds: int
    brokers: dict[str, str]
    titles: dict[str, str]
    runs: dict[str, dict[str, list[Run]]]

    @classmethod
    def read(cls, path: Path) -> Results:
        return cls(**json.loads(path.read_text("utf-8")))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    def median(self, scenario: str, broker: str, figure: str) -> float:
        """Of the rounds that went through; 0.0 if none did, or if none has that figure."""
        runs = [run for run in self.runs[scenario][broker] if "error" not in run]
        values: list[float] = [run.get(figure, 0.0) for run in runs]
        return median(values or [0.0])

    def times(self, scenario: str, broker: str, base: str) -> float:
        """What multiple of `base`'s CPU time a message takes; 0.0 if one of both is not known."""
        of_base = self.median(scenario, base, "cpu_us")
        return self.median(scenario, broker, "cpu_us") / of_base if of_base else 0.0

    def lost(self, scenario: str, broker: str) -> int:
        """How many messages did not arrive, in all rounds."""
        return sum(run.get("missing", 0) for run in self.runs[scenario][broker])

    def failures(self, scenario: str, broker: str) -> int:
        return sum("error" in run for run in self.runs[scenario][broker])

    @property
    def has_failures(self) -> bool:
        return any(self.failures(scenario, broker) for scenario in self.runs for broker in self.brokers)


def number(value: float) -> str:
    """Three significant digits are all that such a measurement is good for; - for what is not known."""
    if value <= 0:
        return "-"
    digits = 2 - floor(log10(value))
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def remarks(results: Results, scenario: str, broker: str) -> str:
    said = []
    if results.failures(scenario, broker):
        said.append(f"{results.failures(scenario, broker)} of {results.rounds} runs failed")
    if results.lost(scenario, broker):
        said.append(f"{results.lost(scenario, broker):,} messages lost")
    size = results.median(scenario, broker, "bytes_each")
    if size > 0:
        said.append(f"{number(size)} bytes each")
    return ", ".join(said)


HEADINGS = ("CPU us", "x", "per second", "p50 us", "p99 us", "remarks")


def cells(results: Results, scenario: str, broker: str, base: str) -> list[str]:
    """What stands under `HEADINGS`."""
    figures = [number(results.median(scenario, broker, one)) for one in ("per_second", "p50_us", "p99_us")]
    cpu = number(results.median(scenario, broker, "cpu_us"))
    times = number(results.times(scenario, broker, base))
    return [cpu, times, *figures, remarks(results, scenario, broker)]


def text(results: Results, base: str) -> str:
    """For the terminal."""
    lines = [f"{'':24}" + "".join(f"{one:>12}" for one in HEADINGS[:-1])]
    for scenario, title in results.titles.items():
        lines.append(f"{scenario}: {title}")
        for broker in results.brokers:
            *figures, remark = cells(results, scenario, broker, base)
            lines.append(f"  {broker:22}" + "".join(f"{one:>12}" for one in figures) + f"  {remark}".rstrip())
    return "\n".join(lines)


def markdown(results: Results, base: str) -> str:
    """One table of CPU time side by side, and one of everything."""
    brokers = list(results.brokers)
    shown = f"Median of {results.rounds} rounds of {results.seconds} s each; {results.machine}."
    lines = [
        f"Broker CPU per message in microseconds, and as a multiple of {base}'s. {shown}",
        "",
        f"| scenario | | {' | '.join(brokers)} |",
        f"|---|---|{'---:|' * len(brokers)}",
    ]
    for scenario, title in results.titles.items():
        row = [cells(results, scenario, broker, base)[:2] for broker in brokers]
        columns = " | ".join(
            cpu if broker == base else f"{cpu} ({times} x)"
            for broker, (cpu, times) in zip(brokers, row, strict=True)
        )
        lines.append(f"| {scenario} | {title} | {columns} |")
    lines += ["", f"| scenario | broker | {' | '.join(HEADINGS)} |", "|---|---|---:|---:|---:|---:|---:|---|"]
    for scenario in results.titles:
        for broker in brokers:
            lines.append(f"| {scenario} | {broker} | {' | '.join(cells(results, scenario, broker, base))} |")
    return "\n".join(lines) + "\n"


def bar_chart(results: Results, base: str) -> str:
    """An SVG: for each scenario the CPU per message of every broker, as a multiple of `base`'s.

    The scale is logarithmic, and `base` is the line at 1.
    """
    others = [broker for broker in results.brokers if broker != base]
    values = [results.times(scenario, broker, base) for scenario in results.titles for broker in others]
    known = [value for value in values if value > 0] or [1.0]
    lowest, highest = min(*known, 0.1), max(*known, 1.0)
    scale = (WIDTH - LEFT - RIGHT) / log10(highest / (lowest / 2))

    def x_of(value: float) -> float:
        return LEFT + log10(value / (lowest / 2)) * scale

    parts: list[str] = []
    for index, broker in enumerate(others):
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<rect x="{LEFT + index * 150}" y="8" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + index * 150 + 18}" y="18">{escape(broker)}</text>')
    y = TOP
    for scenario in results.titles:
        middle = y + len(others) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(scenario)}</text>')
        for index, broker in enumerate(others):
            value = results.times(scenario, broker, base)
            end = x_of(value) if value > 0 else LEFT
            colour = COLOURS[index % len(COLOURS)]
            said = f"{number(value)} x" if value > 0 else "no figure"
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR - 2}" fill="{colour}"/>'
                f'<text x="{end + 5:.1f}" y="{y + BAR - 3}">{said}</text>'
            )
            y += BAR
        y += GAP
    line = x_of(1.0)
    parts.append(f'<line x1="{line:.1f}" y1="{TOP - 6}" x2="{line:.1f}" y2="{y - GAP + 4}" stroke="#888"/>')
    parts.append(f'<text x="{line:.1f}" y="{TOP - 10}" text-anchor="middle">{escape(base)} = 1</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" '
        f'font-size="11"><title>CPU per message, as a multiple of that of {escape(base)}</title>'
        f'<rect width="{WIDTH}" height="{y}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
