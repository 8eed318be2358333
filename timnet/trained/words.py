"""What has to be known about a trained model before its answers are believed, in sentences."""

from timnet import models
from timnet.report import words
from timnet.report.text import count, percent, with_interval
from timnet.trained.base import Trained
from timnet.trained.given import FIGURES

UNCALIBRATED = (
    "Its probabilities are not calibrated: 80 % does not mean that 8 of 10 such answers are right. They say in which order "
    "the emotions come."
)
MEMBERS = "The answer is the mean over {n} folds; nothing is left to test all of them together on."
REPORTED = (
    "If these are the weights that TIM-Net's authors released for {corpus}, expect what they report of all folds after the last "
    "epoch of training, WAR {last[war]} and UAR {last[uar]}: with the epoch that does best on the test fold, which these weights "
    "are of, they report WAR {test[war]} and UAR {test[uar]}."
)
UNSCORED = "No score of it is known here."


def about(trained: Trained) -> list[str]:
    """Lines that stand above whatever is made with a model."""
    folds = count(len(trained.folds), "fold")
    return [f"Model: {trained.name} ({folds})", *(f"! {note}" for note in notes(trained))]


def notes(trained: Trained) -> list[str]:
    """How good it is, on what that was measured, and what weakens it; the gravest first."""
    found = list(trained.scores.get("warnings", ()))
    if trained.synthetic and words.SYNTHETIC not in found:
        found.insert(0, words.SYNTHETIC)
    leaky = words.LEAKY.format(chosen=models.get(trained.model.name).chosen)
    if trained.protocol.get("selection") == "test" and leaky not in found:
        found.append(leaky)
    if trained.protocol.get("selection") == "given" and trained.corpus in FIGURES:
        figures = {
            choice: {name: percent(value) for name, value in of.items()}
            for choice, of in FIGURES[trained.corpus].items()
        }
        found.append(REPORTED.format(corpus=trained.corpus, **figures))
    found.append(_score(trained))
    if trained.missing:
        found.append(f"Folds that did not finish are not part of it: {'; '.join(trained.missing)}.")
    if len(trained.folds) > 1:
        found.append(MEMBERS.format(n=len(trained.folds)))
    return [*found, UNCALIBRATED]


def _score(trained: Trained) -> str:
    if reported := trained.scores.get("published"):
        leaky, honest = (
            {name: percent(of[name]) for name in ("war", "uar")} for of in (reported["test"], reported["last"])
        )
        return (
            f"Its authors report, of all folds, WAR {honest['war']} and UAR {honest['uar']} after the last epoch of training, "
            f"and WAR {leaky['war']} and UAR {leaky['uar']} with that choice. Speakers were on both sides of every fold."
        )
    pooled = trained.scores.get("pooled") or {}
    if pooled.get("uar") is None:
        return UNSCORED
    intervals = trained.scores.get("interval") or {}
    said = [f"{name.upper()} {with_interval(pooled[name], intervals.get(name))}" for name in ("war", "uar")]
    return (
        f"Each fold on recordings that it was tested on: {', '.join(said)}; guessing gets a UAR of "
        f"{percent(1 / len(trained.labels))}. The test was: {trained.protocol.get('description', 'not known')}."
    )
