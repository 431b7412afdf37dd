"""Measures the figures that are asked for, and writes them as one table."""

import datetime
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import figures

DIRECTORY = pathlib.Path("target/bench")
HEADER = ["figure", "health-proxy", "against", "ratio", "goal", ""]


def spread(values):
    """The median, and from where to where the values went."""
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g} to {max(values):.3g})"


class Table:
    """Rows as they are measured, printed one by one."""

    def __init__(self):
        self.rows = []

    def value(self, figure, values, unit, most=None, least=None):
        """A figure of ours against a fixed goal."""
        self._row(figure, f"{spread(values)} {unit}", "", "", statistics.median(values), most, least)

    def ratio(self, figure, ours, name, theirs, unit, most=None, least=None):
        """A figure of ours against another program's, measured in turns: the ratios are of one turn each."""
        ratios = [a / b for a, b in zip(ours, theirs)]
        self._row(figure, f"{spread(ours)} {unit}", f"{name}: {spread(theirs)}", spread(ratios),
                  statistics.median(ratios), most, least)

    def _row(self, figure, ours, theirs, ratio, found, most, least):
        goal = f"<= {most:g}" if most is not None else f">= {least:g}" if least is not None else ""
        missed = (most is not None and found > most) or (least is not None and found < least)
        self.rows.append([figure, ours, theirs, ratio, goal, "MISSED" if missed else "met" if goal else ""])
        print(" | ".join(self.rows[-1]), flush=True)

    def text(self):
        """The table in Markdown, its columns under each other."""
        rows = [HEADER, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines)


def machine():
    """What the figures were measured on, and with."""
    cpu = [line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    versions = [subprocess.run(command, capture_output=True, text=True, check=False)
                for command in (["haproxy", "-v"], ["prometheus-blackbox-exporter", "--version"])]
    return [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, Linux {platform.release()} {platform.machine()}, "
        f"{os.cpu_count()} x {cpu[0].split(': ')[1] if cpu else 'unknown'}, load {os.getloadavg()[0]:.1f}",
        *((done.stdout + done.stderr).splitlines()[0] for done in versions),
    ]


def main():
    """Takes the names of figures; none means all."""
    known = figures.ALL
    asked = sys.argv[1:] or list(known)
    if unknown := [name for name in asked if name not in known]:
        sys.exit(f"unknown: {' '.join(unknown)}; known: {' '.join(known)}")
    table, about = Table(), machine()
    for name in asked:
        print(f"-- {name}: {known[name].__doc__.splitlines()[0]}", flush=True)
        known[name](table)
    text = "\n".join([*about, "", table.text(), ""])
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    stamp = f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    (DIRECTORY / f"{stamp}.md").write_text(text)
    print("\n" + text)


if __name__ == "__main__":
    main()
