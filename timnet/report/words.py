"""Sentences about a corpus's results: what the numbers mean, what weakens them, what the folds share."""

from collections import Counter
from typing import Any

import numpy as np

from timnet import metrics
from timnet.models.base import EPOCH
from timnet.report.gather import CorpusResult, RunResult
from timnet.report.text import count, folds_done

MOST_FOLDS = 10  # listed in a sentence
LEAKY = (
    "The {chosen} was chosen ON THE TEST FOLD: these numbers are too good. They only show what that choice gains, "
    "and can be compared with nothing but numbers obtained in the same way."
)
GIVEN = (
    "The weights were given, and how they were made is not known here. If a recording that is tested took part in their "
    "training or chose their epoch, as with the weights published for TIM-Net, these numbers are too good."
)
SYNTHETIC = "SYNTHETIC: made by a program to try the software, not speech. Its numbers say nothing about emotion."
NOUNS = {"speaker": "speaker", "sentence": "sentence", "recording": "identical recording", "session": "session"}
NOT_SHARED = {
    "speaker": "the numbers are about people who were never heard before",
    "sentence": "the numbers are about texts that were never heard before",
    "recording": "nothing that is tested was there in training",
    "session": "the numbers are about other sessions",
}
SHARED = {
    "speaker": "the model may know the voice, so expect less from strangers",
    "sentence": "the model may know the words, so expect less from other texts",
    "recording": "a model that only remembers recognises these",
    "session": "the model may know the room and the people",
}
LACKING = {
    "test": "the UAR of such a fold is the mean over the others",
    "validation": "there, the others alone chose",
}


def run_warnings(run: RunResult) -> list[str]:
    """What holds for the run as a whole; each corpus's own are in `corpus_warnings`."""
    leaky = [LEAKY.format(chosen=run.corpora[0].chosen)] if run.facts["protocol"]["selection"] == "test" else []
    n_done = sum(fold.completed for fold in run.folds)
    missing = n_done < len(run.folds) and len(run.corpora) > 1
    return leaky + ([f"Only {folds_done(n_done, len(run.folds))} finished."] if missing else [])


def corpus_warnings(corpus: CorpusResult, summary: dict[str, Any]) -> list[str]:
    """What a reader has to know before the numbers, the gravest first."""
    found = [SYNTHETIC] if corpus.synthetic else []
    if corpus.selection == "test":
        found.append(LEAKY.format(chosen=corpus.chosen))
    elif corpus.selection == "given":
        found.append(GIVEN)
    missing = [f"seed {fold.seed} fold {fold.fold}" for fold in corpus.folds if not fold.completed]
    if missing and not corpus.finished:
        found.append(f"None of {count(len(corpus.folds), 'fold')} finished: there is nothing to score.")
    elif missing:
        listed = ", ".join(missing[:MOST_FOLDS]) + (" …" if len(missing) > MOST_FOLDS else "")
        done = folds_done(len(corpus.finished), len(corpus.folds))
        found.append(f"Only {done} finished; missing: {listed}. The scores are of the others alone.")
    copied = [fold["shared"]["recording"]["train-test"] or 0 for fold in _cut(corpus)]
    if any(copied):
        found.append(
            f"In {sum(n > 0 for n in copied)} of {count(len(copied), 'fold')} a recording that is tested is in training, "
            "too, sample by sample the same."
        )
    over = summary["interval"]
    if (over["war"] or over["uar"]) and over["over"] == "speakers" and over["n_clusters"] < metrics.FEW_CLUSTERS:
        found.append(
            f"The intervals stand on {count(over['n_clusters'], 'speaker')}: they are rough, and rather too narrow."
        )
    return found


def meaning(corpus: CorpusResult, summary: dict[str, Any]) -> str:
    """The headline in a sentence for somebody who does not know the terms."""
    war, baselines = summary["pooled"]["war"], summary["baselines"]
    if war is None:
        return "No fold finished, so nothing is known."
    majority = baselines.get("majority_label")
    always = f"always saying “{majority}”" if majority else "always naming the most frequent emotion"
    what = "recordings" if summary["n_tested"] == summary["n_utterances"] else "tested recordings"
    return (
        f"About {100 * war:.0f} of 100 {what} are given the right one of {len(corpus.labels)} emotions; guessing gets "
        f"{100 * baselines['chance_uar']:.0f}, and {always} {100 * baselines['majority_war']:.0f}."
    )


def selection(corpus: CorpusResult) -> str:
    said = {
        "last": "The weights after the last epoch were used: no data chose the epoch."
        if corpus.chosen == EPOCH
        else f"The {corpus.chosen} was fixed beforehand: no data of this run chose it. It had done best on validation "
        "recordings of EMODB, which may flatter it there.",
        "validation": f"Validation data, apart from the test data, chose the {corpus.chosen}.",
        "test": f"The test data themselves chose the {corpus.chosen}.",
        "given": "The weights were given, one set a fold; nothing was trained.",
    }[corpus.selection]
    return said if corpus.averaged_from is None else f"{said} {averaged(corpus)}"


def averaged(corpus: CorpusResult) -> str:
    return f"From epoch {corpus.averaged_from} on, the mean of the weights from there on predicts."


def sharing(corpus: CorpusResult) -> list[str]:
    """What training and test have in common in words, one sentence for speakers, sentences, recordings …"""
    cut = _cut(corpus)
    found = []
    for what in cut[0]["shared"] if cut else ():
        counts = [fold["shared"][what]["train-test"] for fold in cut]
        noun = NOUNS.get(what, what)
        if any(n is None for n in counts):
            found.append(
                f"The corpus does not name the {noun}s, so nobody can say whether training and test share any."
            )
        elif not any(counts):
            also = f": {NOT_SHARED[what]}" if what in NOT_SHARED else ""
            found.append(f"No {noun} is in training and test at once{also}.")
        else:
            having = sum(n > 0 for n in counts)
            where = "In every fold" if having == len(counts) else f"In {having} of {count(len(counts), 'fold')}"
            most = f"1 {noun} is" if max(counts) == 1 else f"up to {max(counts)} {noun}s are"
            also = f": {SHARED[what]}" if what in SHARED else ""
            found.append(f"{where}, {most} in training and test at once{also}.")
    return found


def lacking(corpus: CorpusResult) -> list[str]:
    """Which parts lack an emotion, and what that means; an empty part lacks nothing."""
    found = []
    for part, means in LACKING.items():
        folds = []
        for seed, audit in corpus.audits.items():
            for fold in audit["folds"]:
                absent = [label for label, n in fold["class_counts"][part].items() if n == 0]
                if absent and fold["n"][part]:
                    folds.append(f"seed {seed} fold {fold['fold']} ({', '.join(absent)})")
        if folds:
            found.append(f"A {part} part lacks an emotion in {', '.join(folds)}: {means}.")
    return found


def confusions(summary: dict[str, Any], at_most: int = 3) -> str:
    """The most frequent confusions in words."""
    labels, counts = summary["confusion"]["labels"], np.array(summary["confusion"]["counts"])
    rows = counts.sum(axis=1)
    wrong = [
        (counts[i, j] / rows[i], labels[i], labels[j], counts[i, j], rows[i])
        for i in range(len(labels))
        for j in range(len(labels))
        if i != j and counts[i, j]
    ]
    if not wrong:
        return "Nothing is confused." if rows.sum() else ""
    worst = sorted(wrong, key=lambda pair: (-pair[0], pair[1], pair[2]))[:at_most]
    return "Most often confused: " + "; ".join(f"{t} taken for {p} ({n} of {of})" for _, t, p, n, of in worst) + "."


def sample_rates(corpus: CorpusResult) -> str:
    rates = Counter(corpus.manifest["sample_rate_hz"].to_pylist())
    named = {rate_hz: f"{rate_hz:,} Hz".replace(",", " ") for rate_hz in sorted(rates)}
    return ", ".join(f"{name} ({rates[rate_hz]})" if len(rates) > 1 else name for rate_hz, name in named.items())


def _cut(corpus: CorpusResult) -> list[dict[str, Any]]:
    return [fold for audit in corpus.audits.values() for fold in audit["folds"]]
