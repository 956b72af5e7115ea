"""Markdown of all results that are there: the budgets first, then every table."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.budgets import BUDGETS, Budget
from benchmarks.measure import CONTROL

__all__ = ["read_results", "readable", "write_tables"]

_MEANING = (
    "Medians, with the quartiles over the rounds in brackets. *A/A* is the floor by itself in the same rounds: what "
    "the noise of the run is worth."
)
_QUICK = "**A quick run: sizes are a fraction of what they are called.**"
_BETWEEN = re.compile(r"(<!-- budgets: .*? -->\n).*?(<!-- end of budgets -->)", re.DOTALL)


def read_results(results: Path) -> dict[str, dict[str, Any]]:
    """Return the JSON documents of a folder of results by workload, in the order of the runs."""
    from benchmarks.__main__ import ORDER

    paths = {name: results / f"{name}.json" for name in ORDER}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def write_tables(results: Path, document: Path | None = None) -> None:
    """Write README.md into a folder of results; put the budgets into a document, too, between its marks."""
    found = read_results(results)
    budgets = budget_table(found)
    parts = [
        "# Results of `python -m benchmarks`",
        "Written by the run itself: do not edit. The [JSON files](.) have the same in numbers.",
        *machines(found),
        *([_QUICK] if any(result["quick"] for result in found.values()) else []),
        "## Budgets",
        _MEANING,
        budgets,
    ]
    for name, result in found.items():
        parts.append(f"## {name}")
        parts.append(result["title"])
        if any(table["kind"] in ("times", "curve") for table in result["tables"]):
            parts.append(f"![{name}]({name}.png)")
        if result["failure"]:
            parts.append(f"**It failed:** {result['failure']}")
        parts += [f"- {remark}" for remark in result["remarks"]]
        parts += [markdown(table) for table in result["tables"]]
    results.mkdir(parents=True, exist_ok=True)
    (results / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if document is not None and document.exists():
        text = document.read_text(encoding="utf-8")
        between = "\n\n".join([*machines(found), budgets])
        document.write_text(_BETWEEN.sub(lambda marks: f"{marks[1]}\n{between}\n\n{marks[2]}", text), encoding="utf-8")


def machines(found: dict[str, dict[str, Any]]) -> list[str]:
    """Say what was run on: one paragraph for each machine that the results name."""
    described: dict[str, list[str]] = {}
    for name, result in found.items():
        machine = result["machine"]
        libraries = ", ".join(f"{library} {version}" for library, version in machine["libraries"].items())
        build = "" if machine["optimised_build"] else " (built without --enable-optimizations)"
        described.setdefault(
            f"persistable {machine['code']}; {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
            f"{machine['file_system']}, "
            f"{machine['system']}, {machine['python']}{build}; {libraries}.",
            [],
        ).append(name)
    if len(described) == 1:
        return list(described)
    return [f"{', '.join(names)}: {text}" for text, names in described.items()]


def budget_table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of all budgets, those that were not measured included."""
    verdicts = {budget: verdict for result in found.values() for budget, verdict in result["verdicts"].items()}
    lines = ["| what | against | budget | measured | A/A | met |", "|---|---|---|---|---|---|"]
    for name, budget in BUDGETS.items():
        cells = [budget.what, budget.against, f"{budget.sense} {amount(budget.limit, budget)}"]
        verdict = verdicts.get(name)
        if verdict is None:
            cells += ["not measured", "", ""]
        else:
            control = "" if verdict["control"] is None else bracketed([f"{ratio:.2f}" for ratio in verdict["control"]])
            cells += [bracketed([amount(value, budget) for value in verdict["measured"]]), control]
            cells += ["yes" if verdict["met"] else "**no**"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def amount(value: float, budget: Budget) -> str:
    """Return a value in the unit of its budget."""
    if budget.unit == "s":
        return readable(value)
    if budget.unit == "B":
        return f"{value / 1e6:.1f} MB"
    return f"{value:.2f}×" if budget.unit == "×" else f"{value:g}"


def bracketed(texts: Sequence[str]) -> str:
    """Return the median, and the quartiles if they differ."""
    median, lower, upper = texts
    return median if median == lower == upper else f"{median} ({lower} to {upper})"


def markdown(table: dict[str, Any]) -> str:
    """Return one table of any kind."""
    rows = table["rows"]
    if table["kind"] == "times":
        extra = any("extra" in row for row in rows)
        lines = ["| contestant | median | least | ratio | rounds |" + " |" * extra, "|---" * (5 + extra) + "|"]
        for row in rows:
            name = f"{rows[0]['name']} ({CONTROL})" if row["name"] == CONTROL else row["name"]
            times = bracketed([readable(seconds) for seconds in row["seconds"]])
            ratio = bracketed([f"{ratio:.3g}×" for ratio in row["ratio"]])
            last = f" {row.get('extra', '')} |" if extra else ""
            lines.append(f"| {name} | {times} | {readable(row['least'])} | {ratio} | {row['rounds']} |{last}")
    elif table["kind"] == "memory":
        lines = ["| contestant | peak resident memory | peak anonymous memory |", "|---|---|---|"]
        lines += [
            f"| {row['name']} | {row['resident'] / 1e6:.1f} MB | {row['anonymous'] / 1e6:.1f} MB |" for row in rows
        ]
    elif table["kind"] == "curve":
        sizes = [size for size, _ in rows[0]["points"]]
        heads = [f"{size:,} {table['axis']}" for size in sizes]
        lines = [f"| | {' | '.join(heads)} |", "|---|" + "---|" * len(sizes)]
        lines += [
            f"| {row['name']} | {' | '.join(readable(seconds) for _, seconds in row['points'])} |" for row in rows
        ]
    else:
        names = list(rows[0])
        lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
        lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    note = [table["note"], ""] if table["note"] else []
    return "\n".join([f"### {table['title']}", "", *note, *lines])


def readable(seconds: float) -> str:
    """Return a time with three digits that count."""
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
