"""How numbers are written for people, and the summary as Markdown, as a table and as lines for a terminal.

Scores are fractions in every data structure; people are shown percent with two decimals.
"""

import datetime
import math
import re
from collections.abc import Sequence
from typing import Any

CHOSEN = {"validation": "on validation data", "last": "by no data", "test": "ON THE TEST FOLD"}


def percent(fraction: float | None) -> str:
    return "–" if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.2f} %"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def seconds(value: float | None) -> str:
    """A duration for people: 0.4 s, 12 s, 24 min 47 s, 3 h 5 min."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def when(created: str) -> str:
    """A time in ISO 8601 as people write it."""
    return f"{datetime.datetime.fromisoformat(created).astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def folds_done(completed: int, total: int) -> str:
    return f"{completed} of {count(total, 'fold')}"


def named(name: str, corpus: dict[str, Any]) -> str:
    """A corpus's name; synthetic ones never go without that word."""
    return f"{name} (synthetic)" if corpus["synthetic"] else name


def own_warnings(summary: dict[str, Any], corpus: dict[str, Any]) -> list[str]:
    """A corpus's warnings without those that are said of the whole run."""
    return [warning for warning in corpus["warnings"] if warning not in summary["warnings"]]


def spread(mean: float | None, sd: float | None) -> str:
    return percent(mean) if sd is None or mean is None else f"{100 * mean:.2f} ± {100 * sd:.2f} %"


def with_interval(value: float | None, ends: Sequence[float] | None) -> str:
    return percent(value) + (f" [{100 * ends[0]:.2f}, {100 * ends[1]:.2f}]" if ends else "")


def points(difference: float, ends: Sequence[float] | None) -> str:
    """A difference of two scores in percentage points, with its interval."""
    return f"{100 * difference:+.2f}" + (f" [{100 * ends[0]:+.2f}, {100 * ends[1]:+.2f}]" if ends else "")


def markdown(summary: dict[str, Any]) -> str:
    """The summary for a Prefect artifact; names and errors are escaped, so that none of them becomes markup."""
    done = folds_done(summary["folds_completed"], summary["folds_total"])
    lines = [f"# timnet {plain(summary['run_id'])}", "", f"{done}. {plain(summary['protocol']['description'])}.", ""]
    lines += [f"**{plain(warning)}**\n" for warning in summary["warnings"]]
    lines += [
        "| corpus | WAR | UAR | WAR over folds | UAR over folds | chance | folds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, corpus in summary["corpora"].items():
        pooled, mean, sd = corpus["pooled"], corpus["fold_mean"], corpus["fold_sd"]
        cells = [percent(pooled["war"]), percent(pooled["uar"])]
        cells += [spread(mean["war"], sd["war"]), spread(mean["uar"], sd["uar"])]
        cells += [
            percent(corpus["baselines"]["chance_uar"]),
            folds_done(corpus["folds_completed"], corpus["folds_total"]),
        ]
        lines.append(f"| {plain(named(name, corpus))} | {' | '.join(cells)} |")
    lines.append("")
    for name, corpus in summary["corpora"].items():
        lines += [f"- {plain(name)}: {plain(warning)}" for warning in own_warnings(summary, corpus)]
        for fold in corpus["folds"]:
            if fold["error"]:
                lines.append(f"- {plain(name)} seed {fold['seed']} fold {fold['fold']}: {plain(fold['error'])}")
    return "\n".join(lines).rstrip() + "\n"


def plain(words: str) -> str:
    """Words of others on one line of Markdown, as they are: none of them becomes markup."""
    escaped = re.sub(r"\s+", " ", words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", escaped)


def table(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a fold for a Prefect table artifact, scores in percent."""
    return [
        {
            "corpus": named(name, corpus),
            "seed": fold["seed"],
            "fold": fold["fold"],
            "n": fold["n"],
            "WAR": percent(fold["war"]),
            "UAR": percent(fold["uar"]),
            "epoch": fold["chosen_epoch"],
            "seconds": fold["seconds"],
            "state": fold["state"],
            "error": fold["error"] or "",
        }
        for name, corpus in summary["corpora"].items()
        for fold in corpus["folds"]
    ]


def terminal(summary: dict[str, Any]) -> str:
    """The summary as plain lines: per corpus the pooled scores, and the mean and standard deviation over the folds."""
    names = {name: named(name, corpus) for name, corpus in summary["corpora"].items()}
    width = max(map(len, names.values()), default=0)
    lines = []
    for name, corpus in summary["corpora"].items():
        mean, sd = corpus["fold_mean"], corpus["fold_sd"]
        done = folds_done(corpus["folds_completed"], corpus["folds_total"])
        pooled, over = corpus["pooled"], corpus["interval"]
        scores = "  ".join(f"{score.upper()} {with_interval(pooled[score], over[score])}" for score in ("war", "uar"))
        if any(over[score] for score in ("war", "uar")):
            done += f", [95 % interval over {over['n_clusters']} {over['over']}]"
        lines.append(f"{names[name]:<{width}}  {scores}  pooled over {done}")
        if corpus["folds_completed"]:
            over = f"WAR {spread(mean['war'], sd['war'])}  UAR {spread(mean['uar'], sd['uar'])}  mean ± sd of the folds"
            lines.append(f"{'':<{width}}  {over}")
        if crossed := corpus.get("pairs"):
            lines += [
                f"{'':<{width}}  {row['source']} -> {row['target']}: WAR {percent(row['war'])}  UAR "
                f"{with_interval(row['uar'], row['interval']['uar'])}"
                for row in crossed["rows"]
            ]
            means = "  ".join(
                f"{name.upper()} {spread(crossed['mean'][name], crossed['sd'][name])}" for name in ("war", "uar")
            )
            lines.append(f"{'':<{width}}  {means}  mean ± sd of {len(crossed['rows'])} pairs")
        for chosen, of in corpus.get("choices", {}).items():
            if chosen == "test":  # whose scores are the headline
                continue
            scores = "  ".join(f"{score.upper()} {percent(of[score])}" for score in ("war", "uar"))
            lines.append(f"{'':<{width}}  {scores}  the same trainings, chosen {CHOSEN[chosen]}")
        lines += [f"{'':<{width}}  ! {warning}" for warning in own_warnings(summary, corpus)]
    lines += [f"! {warning}" for warning in summary["warnings"]]
    return "\n".join(lines)
