"""How sure the models were of each emotion, for one utterance: small bars, and the table behind them."""

from markupsafe import Markup

from timnet.report import svg, text
from timnet.report.drawing import Numbers
from timnet.report.ranking import Ranked, Ranking

WIDTH, WIDTH_A_LABEL = 240, 30  # with more than eight labels the picture grows
LETTERS = 4  # of a label below its bar
LEAST_SHOWN = 0.005  # lower shares have no number on their bar


def chart(ranking: Ranking, one: Ranked) -> Markup | None:
    """A bar a label, its height the mean probability over the tests; None where there are none."""
    if not one.tests:
        return None
    labels, means = ranking.labels, one.means
    panel = svg.Panel(
        (0, len(labels)), (0, 1), width=max(WIDTH, WIDTH_A_LABEL * len(labels)), height=84, margins=(14, 2, 16, 2)
    )
    for at, (label, share) in enumerate(zip(labels, means, strict=True)):
        true = label == one.facts["emotion"]
        panel.bar((at + 0.12, at + 0.88), (0, share), "true" if true else "other")
        style = "strong" if true else ""
        panel.text(panel.x(at + 0.5), panel.height - 4, label[:LETTERS], "middle", style)
        if share >= LEAST_SHOWN:
            panel.text(panel.x(at + 0.5), panel.y(share) - 3, f"{100 * share:.0f}", "middle", style)
    panel.line((0, len(labels)), (0, 0), "grid")
    shares = ", ".join(f"{label} {text.percent(share)}" for label, share in zip(labels, means, strict=True))
    return panel.svg(f"Probabilities of {one.name}, truly {one.facts['emotion']}: {shares}.")


def numbers(ranking: Ranking, one: Ranked) -> Numbers:
    """A row a test, and their mean."""
    sources = ranking.sources
    rows = [
        [
            str(test.seed),
            sources[test.fold - 1] if sources else str(test.fold),
            test.predicted,
            *map(text.percent, test.probabilities),
        ]
        for test in one.tests
    ]
    if len(rows) > 1:
        rows.append(["mean", "", "", *map(text.percent, one.means)])
    header = ["Seed", "Trained on" if sources else "Fold", "Recognised as", *ranking.labels]
    return Numbers(f"Every test of {one.name}, truly {one.facts['emotion']}", header, rows)


def mean_of(ranking: Ranking) -> str:
    """Words for what the bars are a mean of; empty where each recording was tested once at most."""
    return ", the mean over its tests" if any(len(one.tests) > 1 for one in ranking.utterances) else ""
