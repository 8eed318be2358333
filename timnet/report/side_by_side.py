"""Several runs on the same recordings on one page: what is different in them, and the difference in their scores."""

from collections.abc import Sequence
from typing import Any

from timnet import metrics, run_files
from timnet.comparison import COMPARED, Comparison, Difference, compare, sentences
from timnet.config import identity
from timnet.errors import TimnetError
from timnet.recognised import Recognised, recognised
from timnet.report import page, svg, text, words
from timnet.report.drawing import Drawing, Numbers
from timnet.store import Store

SHOWN = (
    "model", "weights", "features", "protocol", "split_table", "recipe", "epochs", "patience", "seeds", "folds",
    "signal_length", "skip_bad",
)  # fmt: skip


def folder(run_ids: Sequence[str]) -> str:
    """Where the page of these runs lies: every choice of runs, in its order, has its own."""
    return f"comparisons/{identity(list(run_ids))}"


def build(store: Store, run_ids: Sequence[str], folder: str) -> dict[str, Any]:
    """Compare finished runs with the first of them and write folder/index.html and folder/comparison.json.

    Returns what comparison.json holds; scores are fractions. Raises TimnetError where there are fewer than two different
    runs, one is not in the store, they share no corpus, or their utterances differ.
    """
    if len(set(run_ids)) < 2 or len(set(run_ids)) < len(run_ids):
        raise TimnetError(
            f"A comparison needs two or more different runs, received {', '.join(run_ids) or 'none'}. "
            f"In {store.uri} there are: {', '.join(run_files.names(store)) or 'none'}."
        )
    facts = {run: run_files.facts(store, run) for run in run_ids}
    shared = [
        name for name in facts[run_ids[0]]["corpora"] if all(name in of_run["corpora"] for of_run in facts.values())
    ]
    if not shared:
        had = "; ".join(f"{run}: {', '.join(of_run['corpora'])}" for run, of_run in facts.items())
        raise TimnetError(f"The runs have no corpus in common ({had}). Compare runs of the same corpus.")
    corpora = [(name, *_compared(store, run_ids, facts, name)) for name in shared]
    summary = {
        "runs": list(run_ids),
        "unit": "fraction",
        "warnings": _warnings(facts, len(run_ids) - 1)
        + [few for name, _, found in corpora if (few := _few(name, found[0]))],
        "settings": _settings(facts),
        "corpora": {name: _summary(runs, found) for name, runs, found in corpora},
    }
    html = (
        page.environment()
        .get_template("compare.html")
        .render(
            css=page.css(),
            summary=summary,
            corpora=[
                _shown(name, runs, found, facts[run_ids[0]]["corpora"][name]["synthetic"])
                for name, runs, found in corpora
            ],
        )
    )
    store.write_json(f"{folder}/comparison.json", summary)
    store.write_bytes(f"{folder}/index.html", html.encode())
    return summary


def terminal(summary: dict[str, Any]) -> str:
    """The comparison as plain lines."""
    lines = []
    for name, corpus in summary["corpora"].items():
        for run in summary["runs"]:
            row = corpus["runs"][run]
            line = f"{name}  {run}: UAR {text.percent(row['uar'])}  WAR {text.percent(row['war'])}"
            if row["versus_first"]:
                line += (
                    f"  difference in UAR {_points(row['versus_first']['uar'])}, p {row['versus_first']['p_value']:.2g}"
                )
            lines.append(line)
    return "\n".join(lines + [f"! {warning}" for warning in summary["warnings"]])


def _compared(
    store: Store, run_ids: Sequence[str], facts: dict[str, Any], name: str
) -> tuple[list[Recognised], list[Comparison]]:
    runs = [
        recognised(
            run,
            run_files.predictions(store, run),
            name,
            tuple(facts[run]["corpora"][name]["labels"]),
        )
        for run in run_ids
    ]
    return runs, [compare(run, runs[0]) for run in runs[1:]]


def _summary(runs: list[Recognised], found: list[Comparison]) -> dict[str, Any]:
    first = found[0]
    rows: dict[str, Any] = {
        runs[0].run: {name: first.scores[name].b for name in COMPARED}
        | {"n_seeds": first.n_seeds[1], "versus_first": None}
    }
    for comparison in found:
        rows[comparison.a] = {name: comparison.scores[name].a for name in COMPARED} | {
            "n_seeds": comparison.n_seeds[0],
            "versus_first": {
                **{
                    name: {"difference": score.difference, "interval": score.interval and list(score.interval)}
                    for name, score in comparison.scores.items()
                },
                "only_this": comparison.only_a,
                "only_first": comparison.only_b,
                "p_value": comparison.p_value,
                "test": comparison.test,
            },
        }
    return {"n_utterances": first.n_utterances, "over": first.over, "n_clusters": first.n_clusters, "runs": rows}


def _settings(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """What is not the same in all runs; a value that the settings left open is shown as decided."""

    def value(of_run: dict[str, Any], name: str) -> str:
        given = of_run["settings"].get(name)
        if name == "seeds":
            return ", ".join(sorted({seed for corpus in of_run["corpora"].values() for seed in corpus["seeds"]}))
        if name in ("recipe", "epochs"):
            key, recipe = "name" if name == "recipe" else "epochs", of_run["recipe"]
            each = [recipe] if key in recipe else list(recipe.values())  # one, or one a corpus
            given = ", ".join(dict.fromkeys(str(one[key]) for one in each)) or given
        if name == "model" and of_run["kind"] == "evaluate":
            return f"{of_run['model']['name']}, given weights"
        return "–" if given is None else str(given)

    rows = [{"name": name, "values": [value(of_run, name) for of_run in facts.values()]} for name in SHOWN]
    return [row for row in rows if len(set(row["values"])) > 1 or row["name"] in ("model", "protocol")]


def _warnings(facts: dict[str, Any], n_comparisons: int) -> list[str]:
    found = []
    for run, of_run in facts.items():
        if of_run["protocol"]["selection"] == "test":
            found.append(f"{run} made its choice ON THE TEST FOLD: its scores are too good.")
        if of_run["protocol"]["selection"] == "given":
            found.append(f"{run}: {words.GIVEN}")
    seeds = {run: {seed for of in of_run["corpora"].values() for seed in of["seeds"]} for run, of_run in facts.items()}
    if len({frozenset(of_run) for of_run in seeds.values()}) > 1:
        found.append(
            "The runs have different seeds, and so other folds and other trainings: a part of the difference may be theirs."
        )
    if single := [run for run, of_run in seeds.items() if len(of_run) == 1]:
        found.append(
            f"{', '.join(single)} {'has' if len(single) == 1 else 'have'} one seed: p and interval know nothing of what other "
            "folds and trainings would have given, which can be more than the difference. Run several seeds."
        )
    apart = {tuple(of_run["protocol"]["keeps_apart"]) for of_run in facts.values()}
    if len(apart) > 1:
        found.append(
            "The protocols keep different things apart between training and test: the differences say what a protocol "
            "flatters, not which model is better."
        )
    if n_comparisons > 1:
        found.append(
            f"{n_comparisons} comparisons are made, and p is not corrected for that: call a difference real at 5 % only "
            f"where p is below {0.05 / n_comparisons:.3f}."
        )
    return found


def _few(name: str, found: Comparison) -> str:
    if found.n_clusters >= metrics.FEW_CLUSTERS or found.scores["uar"].interval is None:
        return ""
    return f"{name}: the intervals stand on {found.n_clusters} {found.over}: they are rough, and rather too narrow."


def _sd(run: Recognised) -> str:
    """The standard deviation of the UAR over the seeds; empty with one."""
    n = len(run.labels)
    each = [float(metrics.uar(metrics.confusion(run.truth, predicted, n))) for predicted in run.predicted]
    sd = metrics.mean_and_sd(each)[1]
    return "" if sd is None else f"± {100 * sd:.2f}"


def _points(score: dict[str, Any] | Difference) -> str:
    if isinstance(score, Difference):
        return text.points(score.difference, score.interval)
    return text.points(score["difference"], score["interval"])


def _shown(name: str, runs: list[Recognised], found: list[Comparison], synthetic: bool) -> dict[str, Any]:
    sds = {run.run: _sd(run) for run in runs}
    rows: list[dict[str, Any]] = [
        {"run": runs[0].run, "n_seeds": found[0].n_seeds[1], "p": "", "uar_difference": "", "war_difference": ""}
        | {score: text.percent(found[0].scores[score].b) for score in COMPARED}
    ]
    for comparison in found:
        rows.append(
            {"run": comparison.a, "n_seeds": comparison.n_seeds[0], "p": f"{comparison.p_value:.2g}"}
            | {score: text.percent(comparison.scores[score].a) for score in COMPARED}
            | {f"{score}_difference": _points(comparison.scores[score]) for score in COMPARED}
        )
    for row in rows:
        row["sd"] = sds[row["run"]]
    return {
        "name": name,
        "synthetic": synthetic,
        "n_utterances": found[0].n_utterances,
        "rows": rows,
        "drawing": _draw(found),
        "pairs": [{"title": f"{c.a} and {c.b}", "sentences": sentences(c)} for c in found],
    }


def _draw(found: list[Comparison]) -> Drawing:
    """A row a run: the difference to the first with its interval, around a line at none."""
    panels, rows = [], []
    for name in COMPARED:
        title = metrics.SCORES[name].title
        scores = [(comparison.a, comparison.scores[name]) for comparison in found]
        ends = [end for _, score in scores for end in (score.interval or (score.difference, score.difference))]
        low, high = min(0.0, *ends), max(0.0, *ends)
        room = max(0.05 * (high - low), 0.002)
        panel = svg.Panel((100 * (low - room), 100 * (high + room)), (0, len(scores)), height=64 + 34 * len(scores))
        panel.axes(f"difference in {title}, percentage points")
        panel.line((0, 0), (0, len(scores)), "limit")
        for row, (run, score) in enumerate(scores):
            middle = len(scores) - row - 0.65
            beside = (
                panel.x(0) < (panel.left + panel.right) / 2
            )  # away from the line at none, or it would cross the name
            panel.text(
                panel.right if beside else panel.left, panel.y(middle + 0.42) + 4, run, "end" if beside else "start"
            )
            if score.interval:
                panel.bar((100 * score.interval[0], 100 * score.interval[1]), (middle - 0.12, middle + 0.12), "band")
            panel.mark(100 * score.difference, middle, "dot validation", tip=_points(score))
            rows.append([title, run, _points(score)])
        panels.append(panel.svg("; ".join(f"{run}: {_points(score)}" for run, score in scores)))
    caption = f"Right of the dashed line a run is better than {found[0].b}; the band is the 95 % interval."
    return Drawing(panels, caption, Numbers("Differences in percentage points", ["Score", "Run", "Difference"], rows))
