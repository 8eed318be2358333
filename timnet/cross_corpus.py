"""Training on one corpus and testing on others: several corpora as one, cut so that a fold trains on a single one.

Everything else then works as in a cross-validation. The joint manifest names utterances, speakers and sentences with
their corpus in front (`EMODB/wav/03a01Fa`), since speaker 03 of one corpus is nobody in another.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from timnet import tables
from timnet.corpora.base import Corpus, Found
from timnet.errors import ConfigError, CorpusError
from timnet.splits import Columns, Fold, Protocol, hold_out

NAME = "CROSS"  # of the joint corpus, in the store and in reports


def shared_labels(corpora: Sequence[Corpus]) -> tuple[str, ...]:
    """The emotions that every corpus has, in the order of the first; raises ConfigError for fewer than two."""
    shared = tuple(label for label in corpora[0].labels if all(label in corpus.labels for corpus in corpora))
    if len(shared) < 2:
        had = "; ".join(f"{corpus.name}: {', '.join(corpus.labels)}" for corpus in corpora)
        raise ConfigError(
            f"The corpora share {', '.join(shared) or 'no emotion'} ({had}). Two emotions that all have are the least."
        )
    return shared


def card(corpora: Sequence[Corpus]) -> Corpus:
    """The joint corpus as a card; raises ConfigError where the corpora share fewer than two emotions."""
    names = ", ".join(corpus.name for corpus in corpora)
    return Corpus(
        name=NAME,
        title=f"{names}: trained on one at a time, tested on the others",
        language=", ".join(dict.fromkeys(corpus.language for corpus in corpora)),
        labels=shared_labels(corpora),
        find=_nothing,
        mean_signal_length=None,
        licence="; ".join(dict.fromkeys(corpus.licence for corpus in corpora)),
        source=names,
        example="",
        n_folds=len(corpora),
        n_tabs=max(corpus.n_tabs for corpus in corpora),
        published=False,
        synthetic=any(corpus.synthetic for corpus in corpora),
    )


def _nothing(_: object) -> Found:
    return Found(())


def joint(manifests: Sequence[tuple[str, pa.Table]], labels: Sequence[str]) -> pa.Table:
    """One manifest (tables.MANIFEST) of (corpus, manifest) pairs: the utterances of the labels, corpus by corpus.

    Raises CorpusError where a corpus has no utterance of one of the labels.
    """
    rows = []
    for corpus, manifest in manifests:
        emotions = set(manifest["emotion"].to_pylist())
        absent = [label for label in labels if label not in emotions]
        if absent:
            raise CorpusError(
                f"{corpus} has no recording of {', '.join(absent)} that can be used, and every corpus needs all of "
                f"{', '.join(labels)}. Mend it, or leave it out of --corpora."
            )
        for row in manifest.to_pylist():
            if row["emotion"] not in labels:
                continue
            named = {
                name: f"{corpus}/{row[name]}"
                for name in ("utterance_id", "path", "speaker", "sentence", "session")
                if row[name] is not None
            }
            rows.append({**row, **named, "class_index": labels.index(row["emotion"])})
    return pa.Table.from_pylist(rows, tables.MANIFEST)


def joint_levels(levels: Sequence[tuple[str, pa.Table]], manifest: pa.Table) -> pa.Table:
    """The levels (tables.LEVELS) of the recordings of a joint manifest, from (corpus, levels) pairs."""
    named = {f"{corpus}/{row['utterance_id']}": row for corpus, table in levels for row in table.to_pylist()}
    rows = [{**named[utterance], "utterance_id": utterance} for utterance in manifest["utterance_id"].to_pylist()]
    return pa.Table.from_pylist(rows, tables.LEVELS)


def corpus_of(utterance_id: str) -> str:
    """The corpus that an utterance of a joint manifest is from."""
    return utterance_id.partition("/")[0]


def sources(columns: Columns) -> list[str]:
    """The corpora of a joint manifest in its order: fold i, counted from 1, trains on the i-th."""
    return list(dict.fromkeys(map(corpus_of, columns.utterance_id)))


def _make(columns: Columns, n_folds: int, seed: int) -> list[Fold]:
    corpora = np.array([corpus_of(utterance) for utterance in columns.utterance_id])
    result = []
    for number, name in enumerate(sources(columns)):
        train, validation = hold_out(columns, np.flatnonzero(corpora == name), seed, number)
        result.append((train, validation, np.flatnonzero(corpora != name)))
    return result


PROTOCOL = Protocol(
    "cross-corpus",
    "one fold a corpus: all the others are tested",
    "one fold a corpus: trained on it alone and tested on all the others; the validation data are other speakers of the "
    "training corpus, or other recordings where it does not name them",
    "validation",
    (),  # speakers, sentences and sessions are named with their corpus, and so apart
    _make,
    uses_folds=False,
)
