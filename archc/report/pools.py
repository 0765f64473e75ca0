"""Pools: what more or fewer candidates would give, and whether a run knows when it is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.bench.metrics.coverage import BetaBinomial, PowerLaw
from archc.bench.metrics.intervals import Estimate
from archc.bench.pools import BEYOND
from archc.bench.summary import percent
from archc.report.axes import Axis
from archc.report.charts import Point, Series, lines
from archc.report.html import Markup, joined, table, tag
from archc.report.page import Section


def pool_section(pool: Mapping[str, Any] | None) -> Section:
    """The section; empty where items end with one answer of which nothing more is known."""
    if not pool:
        return Section("Candidates", Markup(""))
    parts = [_coverage(pool)] if pool.get("curves") else []
    parts += [_confidence(name, told) for name, told in pool["confidence"].items()]
    return Section("Candidates", joined(*parts))


def _coverage(pool: Mapping[str, Any]) -> Markup:
    curves, n = pool["curves"], pool["n"]
    series = [
        Series(name, [Point(at["k"], at["value"], at["low"], at["high"]) for at in curve])
        for name, curve in curves.items()
    ]
    series += _fitted(pool["fits"], n)
    x = Axis.over("k: candidates drawn", [point.x for one in series for point in one.points], log=True)
    chart = lines(f"What k of the {n} candidates would give", x, Axis("share", 0.0, 1.0, percent=True), series)
    ks = [at["k"] for at in next(iter(curves.values()))]
    rows = [
        [
            str(k),
            *(
                percent(Estimate(at["value"], at["low"], at["high"]))
                for curve in curves.values()
                for at in curve
                if at["k"] == k
            ),
        ]
        for k in ks
    ]
    figures = table("With intervals of 95 % over the items", ["k", *curves], rows)
    said = (
        "pass@k: any of k is right; pass^k: all of them are; maj@k: a vote is right; best-of-k: the one that is ranked "
        "highest is. The curves beyond the last candidate are fits, not measurements."
    )
    return tag("div", chart, tag("div", figures, tag("p", said, class_="soft")), class_="pair")


def _fitted(fits: Mapping[str, Any], n: int) -> list[Series]:
    """The fitted curves of coverage, some way beyond what was measured."""
    ks = [2 ** (i / 2) for i in range(60) if 2 ** (i / 2) <= n * BEYOND[-1]]
    series = []
    if law := fits.get("power_law"):
        curve = PowerLaw(law["a"], law["b"])
        series.append(Series("power law", [Point(k, curve.at(k)) for k in ks], fitted=True))
    if beta := fits.get("beta_binomial"):
        fitted = BetaBinomial(beta["alpha"], beta["beta"])
        series.append(Series("beta-binomial", [Point(k, fitted.at(k)) for k in ks], fitted=True))
    return series


def _confidence(name: str, told: Mapping[str, Any]) -> Markup:
    risk = Series(f"by {name}", [Point(covered, wrong) for covered, wrong in told["risk_coverage"]])
    all_of_them = Series("all alike", [Point(0.0, 1 - told["accuracy"]), Point(1.0, 1 - told["accuracy"])], fitted=True)
    share, answered = (
        Axis("wrong among them", 0.0, 1.0, percent=True),
        Axis("most confident answers", 0.0, 1.0, percent=True),
    )
    parts = [
        lines("Risk and coverage: how many are wrong of the most confident ones", answered, share, [risk, all_of_them])
    ]
    if bins := told.get("calibration"):
        measured = Series(name, [Point(one["confidence"], one["accuracy"]) for one in bins])
        ideal = Series("calibrated", [Point(0.0, 0.0), Point(1.0, 1.0)], fitted=True)
        x, y = Axis(name, 0.0, 1.0, percent=True), Axis("right", 0.0, 1.0, percent=True)
        parts.append(lines("Calibration: how often what is so sure is right", x, y, [measured, ideal]))
    return joined(tag("h3", f"Confidence by {name}"), tag("p", _said(told)), tag("div", *parts, class_="pair"))


def _said(told: Mapping[str, Any]) -> str:
    area = told["auroc"]
    if area is None:
        return "All answers are right, or all are wrong: nothing to tell apart."
    interval = "" if area["low"] is None else f" [{area['low']:.2f}, {area['high']:.2f}]"
    error = f", expected calibration error {told['ece']:.3f}, Brier score {told['brier']:.3f}" if "ece" in told else ""
    under = f"area under risk and coverage {told['aurc']:.3f}"
    return f"AUROC {area['value']:.2f}{interval} (0.5 says nothing), {under}{error}."
