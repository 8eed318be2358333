"""index.html: what the template is given, and the one self-contained page that comes out of it.

The page holds no script and loads nothing, and its content policy forbids both, so that even markup that slipped past
the escaping could do neither.
"""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from timnet import metrics
from timnet.report import choices, palette, text, words
from timnet.report.figures import FIGURES, score_bar
from timnet.report.gather import CorpusResult, FoldResult, RunResult
from timnet.report.pairs import heat_map

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
MOST_PROBLEMS = 100  # listed on the page; the manifest's folder has all of them
MOST_SPEAKERS = 60  # rows of the table of speakers
MOST_PAIRS = 20  # of identical recordings
PAIRS = {"train-validation": "train, validation", "train-test": "train, test", "validation-test": "validation, test"}


@cache
def environment() -> "jinja2.Environment":
    """The templates of this folder; what is not there is an error, and everything is escaped."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": text.percent, "seconds": text.seconds, "when": text.when}
    return made


@cache
def css() -> Markup:
    return Markup(palette.css() + "\n" + (HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704 (our own)


@cache
def served_css() -> Markup:
    """What the pages of a server need besides."""
    return Markup((HERE / "served.css").read_text(encoding="utf-8"))  # noqa: S704 (our own)


def render(run: RunResult, summary: dict[str, Any]) -> str:
    """The page as text; the same for the same run."""
    return (
        environment()
        .get_template("template.html")
        .render(
            css=css(),
            summary=summary,
            facts=run.facts,
            done=text.folds_done(summary["folds_completed"], summary["folds_total"]),
            corpora=[
                _corpus(n, corpus, summary["corpora"][corpus.name]) for n, corpus in enumerate(run.corpora, start=1)
            ],
            scores=[*metrics.SCORES.values(), *metrics.CLASS_SCORES.values()],
            details=_details(run.facts),
            timings=run.facts["timings"],
        )
    )


def _corpus(number: int, corpus: CorpusResult, summary: dict[str, Any]) -> dict[str, Any]:
    speakers = {s for s in corpus.manifest["speaker"].to_pylist() if s is not None}
    facts = [corpus.facts["language"], text.count(corpus.manifest.num_rows, "recording")]
    facts += [text.count(len(speakers), "speaker")] if speakers else []
    facts += [f"{len(corpus.labels)} emotions", text.seconds(corpus.facts["duration_s"]), corpus.facts["licence"]]
    return {
        "anchor": f"corpus-{number}",
        "name": corpus.name,
        "title": corpus.facts["title"],
        "synthetic": corpus.synthetic,
        "facts": [fact for fact in facts if fact],
        "summary": summary,
        "cards": [_card(name, summary) for name in ("war", "uar")],
        "meaning": words.meaning(corpus, summary),
        "selection": words.selection(corpus),
        "sharing": words.sharing(corpus),
        "confusion": _confusion(summary),
        "confusions": words.confusions(summary),
        "n_seeds": len({fold.seed for fold in corpus.finished}),
        "figures": [{"figure": figure, "drawing": figure.draw(corpus)} for figure in FIGURES.values()],
        "pairs": heat_map(corpus, summary["pairs"]) if "pairs" in summary else None,
        "chosen": corpus.chosen,
        "choices": choices.rows(summary["choices"]) if "choices" in summary else None,
        "folds": [_fold(corpus, fold, scored) for fold, scored in zip(corpus.folds, summary["folds"], strict=True)],
        "with_speakers": bool(speakers),
        "cut": _cut(corpus),
        "lacking": words.lacking(corpus),
        "data": _data(corpus, speakers),
    }


def _card(name: str, summary: dict[str, Any]) -> dict[str, Any]:
    """A headline number with its interval, its spread and what needs no model."""
    score, baselines, value = metrics.SCORES[name], summary["baselines"], summary["pooled"][name]
    ends, over = summary["interval"][name], summary["interval"]
    label = baselines.get("majority_label")
    always = f"always “{label}”" if label else "always the most frequent emotion"
    baseline, needs = {"war": (baselines["majority_war"], always), "uar": (baselines["chance_uar"], "guessing")}[name]
    said = f"{score.title} {text.percent(value)}; {needs} gets {text.percent(baseline)}."
    interval = None
    if ends is not None:
        interval = f"{100 * ends[0]:.2f} to {text.percent(ends[1])}"
        said += f" 95 % interval {interval}."
    return {
        "score": score,
        "value": value,
        "interval": interval,
        "over": f"{over['n_clusters']} {over['over']}" if interval else None,
        "folds": text.spread(summary["fold_mean"][name], summary["fold_sd"][name]),
        "seeds": [(seed, of_seed["pooled"][name]) for seed, of_seed in summary["seeds"].items()],
        "seed_sd": summary["seed_sd"][name],
        "needs": needs,
        "baseline": baseline,
        "bar": None if value is None else score_bar(value, ends, baseline, said),
    }


def _confusion(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the heat map; shares are of the row."""
    labels, counts = summary["confusion"]["labels"], np.array(summary["confusion"]["counts"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return [
        {
            "label": label,
            "n": int(counts[i].sum()),
            "cells": [
                {
                    "count": int(counts[i, j]),
                    "share": f"{100 * shares[i, j]:.0f}" if counts[i, j] else "·",
                    "style": palette.heat_class(float(shares[i, j]), i == j),
                    "tip": f"{label}, recognised as {other}: {counts[i, j]} of {counts[i].sum()} ({text.percent(shares[i, j])})",
                }
                for j, other in enumerate(labels)
            ],
        }
        for i, label in enumerate(labels)
    ]


def _fold(corpus: CorpusResult, fold: FoldResult, scored: dict[str, Any]) -> dict[str, Any]:
    speakers = fold.audit["speakers"]["test"]
    sources = corpus.facts.get("sources")
    source = sources[fold.fold - 1] if sources else None
    shown = ", ".join(speakers[:8]) + (f" and {len(speakers) - 8} more" if len(speakers) > 8 else "")
    return {**scored, "n_epochs": fold.history.num_rows, "parts": fold.audit["n"], "speakers": shown, "source": source}


def _cut(corpus: CorpusResult) -> dict[str, Any]:
    """The overlap audit as a table: a row a fold, a column for each thing and pair of parts."""
    cut = [(seed, fold) for seed, audit in corpus.audits.items() for fold in audit["folds"]]
    things = list(cut[0][1]["shared"]) if cut else []
    return {
        "things": [f"{words.NOUNS.get(thing, thing)}s in both" for thing in things],
        "pairs": list(PAIRS.values()),
        "rows": [
            {
                "seed": seed,
                "fold": fold["fold"],
                "n": fold["n"],
                "counts": [
                    " / ".join(str(fold["class_counts"][part][label]) for part in fold["n"]) for label in corpus.labels
                ],
                "shared": [
                    "?" if (n := fold["shared"][thing][pair]) is None else n for thing in things for pair in PAIRS
                ],
            }
            for seed, fold in cut
        ],
    }


def _data(corpus: CorpusResult, speakers: set[str]) -> dict[str, Any]:
    """The corpus itself: who says what how often, and what the scan found wrong."""
    manifest = corpus.manifest
    pairs = Counter(zip(manifest["speaker"].to_pylist(), manifest["emotion"].to_pylist(), strict=True))
    names: list[str | None] = [*sorted(speakers), *([None] if any(speaker is None for speaker, _ in pairs) else [])]
    rows = [("not named" if name is None else name, [pairs[name, label] for label in corpus.labels]) for name in names]
    identical = next(iter(corpus.audits.values()))["identical_recordings"]
    problems, notes = corpus.facts["problems"], corpus.facts["notes"]
    return {
        "rows": [(name, counts, sum(counts)) for name, counts in rows[:MOST_SPEAKERS]],
        "more_rows": max(len(rows) - MOST_SPEAKERS, 0),
        "totals": [sum(counts[i] for _, counts in rows) for i in range(len(corpus.labels))],
        "total": manifest.num_rows,
        "sample_rates": words.sample_rates(corpus),
        "channels": ", ".join(
            f"{text.count(n, 'recording')} with {text.count(c, 'channel')}"
            for c, n in sorted(Counter(manifest["n_channels"].to_pylist()).items())
        ),
        "identical": [", ".join(ids) for ids in identical[:MOST_PAIRS]],
        "n_identical": len(identical),
        "problems": problems[:MOST_PROBLEMS],
        "n_problems": len(problems),
        "notes": notes,
        "folder": corpus.facts["manifest"],
    }


def _details(facts: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Everything that decides the numbers, as titled lists of name and value."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for title, part in (
        ("Settings", facts["settings"]),
        ("Protocol", facts["protocol"]),
        ("Features", facts["features"]),
        ("Model", facts["model"]),
        ("Recipe", facts["recipe"]),
        ("Versions", facts["versions"]),
        ("Machine", facts["machine"]),
    ):
        if not part:  # such as the recipe of a run that trained nothing
            continue
        nested = all(isinstance(value, Mapping) for value in part.values())  # such as a recipe a corpus
        for name, values in part.items() if nested else [("", part)]:
            found.append(
                (f"{title} ({name})" if name else title, [(key, _shown(value)) for key, value in values.items()])
            )
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_shown(one)}" for key, one in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "–"
    return str(value)
