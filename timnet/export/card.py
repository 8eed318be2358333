"""The model card: what a file is, what it was made of, how good it is, and what it must not be used for."""

import re
from collections.abc import Mapping
from typing import Any

from timnet import corpora, metrics, models
from timnet.corpora.base import NOT_STATED
from timnet.export import usage
from timnet.report import choices
from timnet.report.text import CHOSEN, count, folds_done, percent, plain, spread, with_interval
from timnet.trained import Trained, notes

UNTESTED = (
    "**This file as a whole has never been tested.** It is the mean of {n} folds. In a cross-validation, what one fold is "
    "tested on served to train others, so the corpus holds nothing that all of them are strangers to. The scores below are "
    "those of these folds, each on the recordings that it was tested on."
)
ONE_OF = "This file is {name} alone. The scores below are those of this fold, on the recordings that it was tested on."
HONEST = (
    "**What to expect is in the first line**: the same trainings, chosen by nothing that they were tested on. The "
    "last line is what this file holds."
)
REPORTED = (
    "Nothing was measured here. TIM-Net's authors report for all folds, of which {is_}, pooled over what each was tested on; "
    "speakers were on both sides of every fold. **What to expect is in the first line**; the weights are those of the second."
)
UNKNOWN = "No score of this model is known here. Measure it on recordings of your own before you believe what it says."
LICENCES = (  # of a corpus, as its licence text is worded; the first that fits, and in this order from mild to strict
    (r"^CC0\b", "CC0 puts no condition on the recordings, and none on what is made from them."),
    (
        r"\bNC\b|non-?commercial",
        "**This licence excludes commercial use.** Whether a model is a derived work of its recordings is not settled; "
        "treat this one as not for commercial use, name the corpus where you pass it on, and if the licence says SA, "
        "pass it on under the same licence only.",
    ),
    (rf"^({NOT_STATED})?$", "Nobody noted it. Ask whoever owns the recordings before you pass this model on."),
    (
        r".",
        "Whoever has the recordings agreed to terms with those who made them. Look there whether a model that was trained on "
        "them may be passed on or sold, before you do either.",
    ),
)
_TERMS = "code is under the GPL, version 3; ask them for the terms of the weights."
RELEASED = f"The weights are not from a run of timnet: TIM-Net's authors released them. Their {_TERMS}"
GIVEN = (
    f"The weights were given to the run, which trained nothing. Perhaps TIM-Net's authors released them: their {_TERMS}"
)
NOT_FOR = (
    "**Anything that decides over people**: hiring, work, school, grades, credit, insurance, policing, borders, courts, health. "
    "It hears a manner of speaking, not what somebody feels, means or is.",
    "**Emotions at work and in education in the European Union.** Article 5(1)(f) of Regulation (EU) 2024/1689 (the AI Act) "
    "prohibits AI systems that infer emotions of people there, except for medical or safety reasons. Elsewhere, systems for "
    "emotion recognition are among the high-risk ones (Annex III, 1(c)), and people have to be told (Article 50(3)). This is a "
    "pointer, not legal advice.",
    "**Speech of real life, as if its answers meant there what they mean in the corpus.** {acted}Microphone, room, noise and "
    "distance differ, too. Users of networks trained on such corpora report that real-life speech is always given one emotion, "
    "often fear. The model has no answer for none of its emotions: it names one of them for music and silence, too.",
    "**{language}.** Emotions sound different in other languages and cultures.",
    "**Voices unlike those in training**{speakers}: children, the old, the ill, accents and dialects were heard little or not "
    "at all, and nobody measured how it treats them.",
)
ACTED = "It was trained on actors who play emotions on demand; feelings that come by themselves are weaker and mixed. "
PERHAPS_ACTED = "Corpora of emotional speech are mostly acted; feelings that come by themselves are weaker and mixed. "


def markdown(trained: Trained, facts: Mapping[str, Any], check: str) -> str:
    """The card as Markdown. `facts` are those of `about`, with `file`; `check` is the sentence of the check."""
    file = facts["file"]
    lines = [f"# {plain(file['name'])}", ""]
    lines += [f"> {plain(note)}\n" for note in notes(trained)]
    lines += _what(trained, file)
    lines += _data(trained)
    lines += _scores(trained)
    lines += ["## Input and output", "", *usage.lines(trained, file)]
    lines += ["## What it must not be used for", "", *(f"- {item}" for item in _not_for(trained)), ""]
    lines += ["## How the file was checked", "", plain(check), ""]
    if not facts["check"]["real"] and not trained.synthetic:
        lines += ["**Real recordings were not at hand for it:** say --data-root DIR to check with some.", ""]
    lines += ["## Versions", "", f"- made by: timnet {facts['timnet_version']}"]
    if trained.versions:
        listed = ", ".join(f"{plain(name)} {plain(version)}" for name, version in trained.versions.items())
        lines.append(f"- trained with: {listed}")
    return "\n".join(lines) + "\n"


def _what(trained: Trained, file: Mapping[str, Any]) -> list[str]:
    model = models.get(trained.model.name)
    seeds = sorted({one.seed for one in trained.folds})
    folds = (
        ", ".join(one.name for one in trained.folds) if len(trained.folds) <= 3 else count(len(trained.folds), "fold")
    )
    of_seeds = (
        f" of the {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        if len(trained.folds) > 3
        else ""
    )
    return [
        "## What it is",
        "",
        f"{plain(trained.name)}: {plain(model.title)}, {plain(model.description)}. From features of one recording to a "
        f"probability for each of {len(trained.labels)} emotions: {plain(', '.join(trained.labels))}.",
        "",
        f"- made of: {folds}{of_seeds}" + (", the mean of their probabilities" if len(trained.folds) > 1 else ""),
        f"- run: {plain(trained.run_id)}" if trained.run_id else f"- {RELEASED}",
        *([f"- {GIVEN}"] if trained.protocol.get("selection") == "given" else []),
        f"- file: {file['format']}, {file['n_bytes']} bytes, SHA-256 `{file['sha256']}`",
        "",
    ]


def _data(trained: Trained) -> list[str]:
    known = trained.recorded
    rows = {
        "corpus": f"{trained.corpus}{' (SYNTHETIC)' if trained.synthetic else ''}",
        "what it is": trained.title,
        "recordings": known.get("n_recordings"),
        "speakers": known.get("n_speakers"),
        "language": known.get("language"),
    }
    rows |= {f"licence of {name}": licence or NOT_STATED for name, licence in trained.licences.items()}
    if trained_on := sorted({one.trained_on for one in trained.folds if one.trained_on}):
        rows["of these, trained on"] = ", ".join(trained_on)
    return [
        "## What it was trained on",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {plain(str(value)) if value else 'not known'} |" for name, value in rows.items()),
        "",
        *([] if trained.synthetic else _licences(trained.licences)),
    ]


def _licences(licences: Mapping[str, str]) -> list[str]:
    """What the licences mean for the model, the strictest first."""
    names: dict[int, list[str]] = {}
    for name, licence in licences.items():
        kind = next(i for i, (pattern, _) in enumerate(LICENCES) if re.search(pattern, licence, re.IGNORECASE))
        names.setdefault(kind, []).append(name)
    found = [f"Licence of {plain(', '.join(names[kind]))}: {LICENCES[kind][1]}" for kind in sorted(names, reverse=True)]
    if len(found) > 1:
        found = [
            "All of these licences hold for the model at once. The strictest comes first.",
            "",
            *(f"- {one}" for one in found),
        ]
    return [*found, ""]


def _scores(trained: Trained) -> list[str]:
    n, scores, protocol = len(trained.folds), trained.scores, trained.protocol
    tested = f"Tested by the protocol `{protocol['name']}`: {plain(protocol['description'])}." if protocol else ""
    lines = ["## How good it is", "", *([tested, ""] if tested else [])]
    if reported := scores.get("published"):
        return [*lines, *_reported(reported, trained)]
    pooled = scores.get("pooled") or {}
    if pooled.get("uar") is None:
        return [*lines, UNKNOWN, ""]
    lines += [UNTESTED.format(n=n) if n > 1 else ONE_OF.format(name=trained.folds[0].name), ""]
    if of_choices := scores.get("choices"):
        lines += [
            HONEST,
            "",
            *_table(["", "WAR", "UAR", "UAR by which the test fold's choice is higher"], choices.rows(of_choices)),
        ]
    over, baselines = scores.get("interval") or {}, scores.get("baselines") or {}
    mean, sd = scores.get("fold_mean") or {}, scores.get("fold_sd") or {}
    needs = {"war": baselines.get("majority_war"), "uar": 1 / len(trained.labels)}
    rows = []
    for name in ("war", "uar"):
        of_all = with_interval(pooled[name], over.get(name))
        of_each = [spread(mean.get(name), sd.get(name))] if n > 1 else []
        rows.append([metrics.SCORES[name].title, of_all, *of_each, percent(needs[name])])
    headings = ["pooled over the folds", "mean ± sd of the folds"] if n > 1 else ["this fold"]
    lines += _table(["", *headings, "without listening"], rows)
    if over.get("war") or over.get("uar"):
        lines.append(f"In brackets: 95 % interval, a bootstrap over {over['n_clusters']} {over['over']}.")
    done = folds_done(scores.get("folds_completed", 0), scores.get("folds_total", 0))
    lines += [
        f"{done} finished. Without listening: always the emotion that is most frequent in what was tested, and guessing.",
        "",
    ]
    return lines + [f"- {plain(shared)}" for shared in scores.get("sharing", ())] + [""]


def _reported(figures: Mapping[str, Any], trained: Trained) -> list[str]:
    """The scores of released weights as their authors report them, the honest ones first."""
    rows = [
        [f"reported, chosen {CHOSEN[name]}", percent(figures[name]["war"]), percent(figures[name]["uar"])]
        for name in ("last", "test")
    ]
    n = len(trained.folds)
    is_ = "this file is the mean" if n > 1 else f"this file is {trained.folds[0].name}"
    return [REPORTED.format(is_=is_), "", *_table(["", "WAR", "UAR"], rows)]


def _table(headings: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in (headings, *rows)]
    return [lines[0].replace("|  |", "| |"), "|---" * len(headings) + "|", *lines[1:], ""]


def _not_for(trained: Trained) -> list[str]:
    language, n = trained.recorded.get("language"), trained.recorded.get("n_speakers")
    if trained.synthetic:
        return [
            "**Anything about people.** It was trained on speech that a program made, to try the software.",
            *NOT_FOR[:2],
        ]
    filled = {
        "acted": ACTED if trained.corpus in corpora.PUBLISHED else PERHAPS_ACTED,
        "language": f"Languages other than {plain(language)}"
        if language and NOT_STATED not in language
        else "Languages that it did not hear in training",
        "speakers": f" (it heard {n} speakers)" if n else "",
    }
    return [item.format(**filled) for item in NOT_FOR]
