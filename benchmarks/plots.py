"""Plots of all results that are there: one per workload, and the budgets at a glance. Needs matplotlib."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.budgets import BUDGETS, Budget
from benchmarks.measure import CONTROL
from benchmarks.tables import amount, read_results, readable

__all__ = ["write_plots"]

COLOURS = {"floor": "#9a9a9a", "ours": "#1f6fb4", "peer": "#e0913a"}
MET, MISSED = "#3a9a5b", "#c8463c"
SHOWN = ("budgets", "tiny", "costs", "scale", "arrays")  # what docs/performance.md shows


def write_plots(results: Path, shown: Path | None = None) -> None:
    """Draw into a folder of results; copy those of the documentation into its folder."""
    found = read_results(results)
    pyplot.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "0"})
    if any(result["verdicts"] for result in found.values()):
        save(draw_budgets(found), results / "budgets.png")
    for name, result in found.items():
        tables = [table for table in result["tables"] if table["kind"] in ("times", "curve")]
        if tables:
            save(draw(tables), results / f"{name}.png")
    if shown is not None:
        shown.mkdir(exist_ok=True)
        for name in SHOWN:
            if (results / f"{name}.png").exists():
                shutil.copyfile(results / f"{name}.png", shown / f"{name}.png")


def save(figure: Any, path: Path) -> None:
    """Write without anything that differs from run to run but the plot."""
    figure.savefig(path, dpi=90, metadata={"Software": None})
    pyplot.close(figure)


def draw_budgets(found: dict[str, dict[str, Any]]) -> Any:
    """Draw how much of each budget is used: 1 is the limit, to the right of it is missed."""
    verdicts = {name: verdict for result in found.values() for name, verdict in result["verdicts"].items()}
    names = [name for name in reversed(BUDGETS) if name in verdicts]
    figure, axes = pyplot.subplots(figsize=(8.5, 0.24 * len(names) + 0.9), layout="constrained")
    for row, name in enumerate(names):
        budget, verdict = BUDGETS[name], verdicts[name]
        used = [_used(value, budget.limit, budget.sense) for value in verdict["measured"]]
        axes.barh(row, used[0], color=MET if verdict["met"] else MISSED, height=0.7)
        axes.plot(sorted(used)[::2], [row, row], color="black", linewidth=1)
        axes.text(max(*used, 1) * 1.08, row, f"{amount(verdict['measured'][0], budget)}", va="center", fontsize=7)
    axes.set_yticks(range(len(names)), [_label(BUDGETS[name]) for name in names], fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xscale("log")
    axes.set_xlim(0.05, axes.get_xlim()[1] * 1.6)
    axes.set_xlabel("share of the budget that is used (1: the limit)")
    return figure


def _label(budget: Budget) -> str:
    """Name a budget in one line."""
    return f"{budget.what} {budget.sense} {amount(budget.limit, budget)} {budget.against}".rstrip()


def _used(value: float, limit: float, sense: str) -> float:
    share = value / limit if sense == "≤" else limit / max(value, 1e-12)
    return max(share, 0.05)


def draw(tables: list[dict[str, Any]]) -> Any:
    """Draw tables below each other."""
    heights = [3.2 if table["kind"] == "curve" else 0.24 * len(table["rows"]) + 0.75 for table in tables]
    figure, grid = pyplot.subplots(
        len(tables), 1, figsize=(8.5, sum(heights)), height_ratios=heights, layout="constrained", squeeze=False
    )
    for table, axes in zip(tables, grid[:, 0], strict=True):
        axes.set_title(table["title"], loc="left", fontweight="bold", fontsize=9)
        (_curve if table["kind"] == "curve" else _bars)(axes, table)
    return figure


def _bars(axes: Any, table: dict[str, Any]) -> None:
    rows = table["rows"][::-1]
    floor = table["rows"][0]["seconds"][0]
    for position, row in enumerate(rows):
        median, lower, upper = row["seconds"]
        axes.barh(position, median, color=COLOURS[row["role"]], height=0.7, alpha=0.5 if row["name"] == CONTROL else 1)
        axes.plot([lower, upper], [position, position], color="black", linewidth=1)
        axes.text(max(median, upper), position, f"  {readable(median)}, {median / floor:.2g}×", va="center", fontsize=7)
    names = [f"the same again ({CONTROL})" if row["name"] == CONTROL else row["name"] for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    longest = max(row["seconds"][2] for row in rows)
    if longest / min(row["seconds"][0] for row in rows) > 30:
        axes.set_xscale("log")
        shortest = min(row["seconds"][1] for row in rows)
        axes.set_xlim(shortest / 2, longest * math.pow(longest / shortest, 0.25))
    else:
        axes.set_xlim(0, longest * 1.25)
    axes.xaxis.set_major_formatter(lambda seconds, _: readable(seconds) if seconds else "0")
    axes.tick_params(axis="x", labelsize=7)


def _curve(axes: Any, table: dict[str, Any]) -> None:
    for row in table["rows"]:
        if row["name"] == CONTROL:
            continue
        sizes, seconds = zip(*row["points"], strict=True)
        is_floor = "floor" in row["name"] or row["name"].startswith("open")
        axes.plot(sizes, seconds, marker="o", markersize=3, label=row["name"], linestyle="--" if is_floor else "-")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(table["axis"])
    axes.yaxis.set_major_formatter(lambda seconds, _: readable(seconds))
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.grid(alpha=0.3)
