"""The utterances of a run, sorted by how wrong the model was, and the choices by which a page shows some of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from timnet import run_files, tables
from timnet.cross_corpus import corpus_of
from timnet.errors import ConfigError, StoreError
from timnet.store import Store

MEANING = (
    "Sorted by the probability that was given to the true emotion, the mean over every time the recording was tested "
    "(each seed and fold), the lowest first."
)


@dataclass(frozen=True)
class Test:
    """What one model, which had not been trained on the recording, made of it."""

    seed: int
    fold: int
    predicted: str
    probabilities: tuple[float, ...]  # in the order of the corpus's labels


@dataclass(frozen=True)
class Ranked:
    """An utterance as its manifest has it, and every test of it."""

    row: int  # of the manifest, from 0
    facts: Mapping[str, Any]  # the manifest's columns: utterance_id, path, emotion, speaker …
    probability: float | None  # of the true emotion, mean over the tests; None where it was not tested
    tests: tuple[Test, ...]  # by seed, then fold

    @property
    def name(self) -> str:
        return self.facts["utterance_id"]

    @property
    def wrong(self) -> int:
        """In how many of its tests another emotion was predicted."""
        return sum(test.predicted != self.facts["emotion"] for test in self.tests)

    @property
    def said(self) -> list[tuple[str, int]]:
        """What was predicted and in how many tests, the most frequent first."""
        return Counter(test.predicted for test in self.tests).most_common()

    @cached_property
    def means(self) -> list[float]:
        """Mean probability of each label over the tests; not to be asked for where there are none."""
        return np.mean([test.probabilities for test in self.tests], axis=0).tolist()


@dataclass(frozen=True)
class Choice:
    """Which utterances a page shows; None and False leave it open."""

    emotion: str | None = None
    predicted: str | None = None  # in at least one test
    speaker: str | None = None
    wrong: bool = False  # in at least one test

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Choice":
        """The choice that a form or link gave; what is empty is left open, and other keys are not looked at."""
        words = {name: given.get(name) or None for name in ("emotion", "predicted", "speaker")}
        return cls(**words, wrong=bool(given.get("wrong")))

    @property
    def query(self) -> dict[str, str]:
        """The same as keys and values of a link."""
        return {name: "1" if value is True else value for name, value in asdict(self).items() if value}

    def takes(self, one: Ranked) -> bool:
        return (
            self.emotion in (None, one.facts["emotion"])
            and self.speaker in (None, one.facts["speaker"])
            and (self.predicted is None or any(test.predicted == self.predicted for test in one.tests))
            and (not self.wrong or one.wrong > 0)
        )


@dataclass(frozen=True)
class Ranking:
    """All utterances of a corpus, the one that the models were most wrong about first; untested ones last."""

    corpus: str
    facts: Mapping[str, Any]  # the corpus's entry of run.json
    utterances: tuple[Ranked, ...]

    @property
    def labels(self) -> list[str]:
        return self.facts["labels"]

    @property
    def sources(self) -> list[str] | None:
        """The corpora that a joint corpus is made of, in the order of its folds, which train on one each; else None."""
        return self.facts.get("sources")

    @cached_property
    def by_name(self) -> dict[str, Ranked]:
        return {one.name: one for one in self.utterances}

    @cached_property
    def first_rows(self) -> dict[str, int]:
        """The row of a joint manifest that each of its corpora begins at."""
        found: dict[str, int] = {}
        for one in sorted(self.utterances, key=lambda one: one.row):
            found.setdefault(corpus_of(one.name), one.row)
        return found

    @cached_property
    def speakers(self) -> list[str]:
        return sorted({one.facts["speaker"] for one in self.utterances} - {None})

    @cached_property
    def tested(self) -> int:
        return sum(bool(one.tests) for one in self.utterances)

    def chosen(self, choice: Choice) -> list[Ranked]:
        """Those that the choice takes, sorted; raises ConfigError where it names what the corpus does not have."""
        allowed = {"emotion": self.labels, "predicted": self.labels, "speaker": self.speakers}
        for name, names in allowed.items():
            value = getattr(choice, name)
            if value is not None and value not in names:
                listed = ", ".join(names) or "none"
                raise ConfigError(f"{self.corpus} has no {name} {value!r}; there are: {listed}. Choose one of these.")
        return [one for one in self.utterances if choice.takes(one)]


def rankings(store: Store, run_id: str, facts: Mapping[str, Any]) -> list[Ranking]:
    """One ranking a corpus of a run with a report; `facts` is its run.json. Raises StoreError where a table is missing."""
    predictions = run_files.predictions(store, run_id)
    tests = _tests(predictions)
    return [
        Ranking(name, corpus, _ranked(store, corpus["manifest"], tests.get(name, {})))
        for name, corpus in facts["corpora"].items()
    ]


def _tests(predictions: pa.Table) -> dict[str, dict[str, list[Test]]]:
    """corpus -> utterance_id -> its tests."""
    found: dict[str, dict[str, list[Test]]] = defaultdict(lambda: defaultdict(list))
    names = ["corpus", "utterance_id", *(field.name for field in fields(Test))]
    columns = (predictions[name].to_pylist() for name in names)
    for corpus, utterance, seed, fold, predicted, probabilities in zip(*columns, strict=True):
        found[corpus][utterance].append(Test(seed, fold, predicted, tuple(probabilities)))
    return found


def _ranked(store: Store, folder: str, tests: Mapping[str, Sequence[Test]]) -> tuple[Ranked, ...]:
    manifest = store.read_table(f"{folder}/manifest.parquet", tables.MANIFEST).to_pylist()
    unknown = tests.keys() - {facts["utterance_id"] for facts in manifest}
    if unknown:
        raise StoreError(f"{store.at(folder)} lacks {min(unknown)}, which was tested. Give the run's command again.")
    found = []
    for row, facts in enumerate(manifest):
        own = sorted(tests.get(facts["utterance_id"], ()), key=lambda test: (test.seed, test.fold))
        at = facts["class_index"]
        mean = float(np.mean([test.probabilities[at] for test in own])) if own else None
        found.append(Ranked(row, facts, mean, tuple(own)))
    return tuple(sorted(found, key=lambda one: (one.probability is None, one.probability or 0, one.row)))
