"""Protocols: how a corpus is cut into folds, what they keep apart, and which data choose the epoch.

A protocol is one row of PROTOCOLS and its function. A function gets the corpus as columns and returns folds, each a
(train, validation, test) triple of row numbers into the manifest; rows may be left out of a fold, but no row is in
two parts of it. What a protocol promises to keep apart is checked on its result by `timnet.audit`, not taken on trust.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from timnet.config import Selection
from timnet.errors import ConfigError, SplitError

PARTS = ("train", "validation", "test")

# A ninth of the training side validates: in ten folds that is as much as is tested.
VALIDATION_PARTS = 9
_VALIDATION_STREAM = 1  # keeps the draw of the validation part independent of the draw of the folds

Fold = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Columns:
    """The columns of a manifest that splitting looks at; all of one length, in manifest order."""

    corpus: str
    utterance_id: tuple[str, ...]
    classes: np.ndarray  # int32, index into labels
    labels: tuple[str, ...]
    speaker: tuple[str | None, ...]
    sentence: tuple[str | None, ...]
    session: tuple[str | None, ...]

    @classmethod
    def of(cls, corpus: str, labels: Sequence[str], manifest: pa.Table) -> "Columns":
        return cls(
            corpus=corpus,
            utterance_id=tuple(manifest["utterance_id"].to_pylist()),
            classes=manifest["class_index"].to_numpy().astype(np.int32),
            labels=tuple(labels),
            speaker=tuple(manifest["speaker"].to_pylist()),
            sentence=tuple(manifest["sentence"].to_pylist()),
            session=tuple(manifest["session"].to_pylist()),
        )

    def __len__(self) -> int:
        return len(self.utterance_id)

    def groups(self, column: str, protocol: str) -> np.ndarray:
        """The column as an array of strings; raises SplitError where the corpus does not fill it."""
        values = getattr(self, column)
        missing = sum(value is None for value in values)
        if missing:
            raise SplitError(
                f"The protocol {protocol} needs the {column} of every utterance, and {self.corpus} does not give it "
                f"for {missing} of {len(values)}. Add a column {column!r} to its manifest, or use --protocol stratified."
            )
        return np.array(values, dtype=str)


@dataclass(frozen=True)
class Protocol:
    name: str
    folds: str  # how it cuts, without a word on what chooses the epoch
    description: str  # one line, printed in every report
    selection: Selection
    keeps_apart: tuple[str, ...]  # columns of the manifest without a common value between (train, validation) and test
    make: Callable[["Columns", int, int], list[Fold]]
    uses_folds: bool = True  # False: the corpus itself says how many there are
    validates: bool = True  # whether the training side gives away validation data, whatever chooses the epoch

    def of_given_weights(self) -> "Protocol":
        """The same where nothing is trained: what it says of training and choice would be said of others' work."""
        chosen = "how the weights' epoch was chosen is not known here; TIM-Net's authors chose theirs ON THE TEST FOLD"
        return replace(self, description=f"{self.folds}; {chosen}")


def split(protocol: "str | Protocol", columns: Columns, n_folds: int, seed: int) -> list[Fold]:
    """The folds of a protocol; raises SplitError where the corpus cannot be cut that way.

    Grouped protocols make at most as many folds as there are groups, so the result may be shorter than `n_folds`.
    """
    row = get(protocol) if isinstance(protocol, str) else protocol
    return check(row.make(columns, n_folds, seed), row, columns)


def check(folds: list[Fold], protocol: Protocol, columns: Columns) -> list[Fold]:
    """The folds themselves if a network can be trained, tested and where needed validated on every one of them."""
    needed = ("train", "test", "validation") if protocol.validates else ("train", "test")
    for number, fold in enumerate(folds, start=1):
        parts = dict(zip(PARTS, fold, strict=True))
        for part in needed:
            if len(parts[part]) == 0:
                if protocol.name == "table":
                    raise SplitError(
                        f"The split table gives fold {number} of {columns.corpus} no {part} part. Add rows whose part is {part}: "
                        "what is tested chooses no epoch, so some of the training side has to validate."
                    )
                raise SplitError(
                    f"The protocol {protocol.name} leaves the {part} part of fold {number} of {columns.corpus} empty: "
                    f"{len(columns)} utterances, {len(folds)} folds. Use fewer --folds or another --protocol."
                )
        absent = sorted(set(range(len(columns.labels))) - set(columns.classes[parts["train"]].tolist()))
        if absent:
            raise SplitError(
                f"The protocol {protocol.name} leaves no utterance of {', '.join(columns.labels[i] for i in absent)} in the "
                f"train part of fold {number} of {columns.corpus}. Use other --folds or another --protocol."
            )
    return folds


def get(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise ConfigError(f"There is no protocol {name!r}; allowed are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


# -- the functions of the rows ----------------------------------------------------------------------------------------


def _published(columns: Columns, n_folds: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import KFold

    _enough(columns, n_folds, len(columns), "utterances")
    nothing = np.array([], dtype=np.int64)
    rows = np.zeros(len(columns))
    return [(train, nothing, test) for train, test in KFold(n_folds, shuffle=True, random_state=seed).split(rows)]


def _stratified(columns: Columns, n_folds: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(columns.classes, minlength=len(columns.labels))
    rarest = int(counts.argmin())
    _enough(columns, n_folds, int(counts[rarest]), f"utterances of {columns.labels[rarest]}")
    result = []
    for fold, (rest, test) in enumerate(
        StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(columns.classes, columns.classes)
    ):
        parts = min(VALIDATION_PARTS, int(np.bincount(columns.classes[rest]).min()))
        _enough_left(columns, "stratified", parts, "utterances of the rarest emotion")
        inner = StratifiedKFold(parts, shuffle=True, random_state=_inner_seed(seed, fold))
        train, validation = next(inner.split(rest, columns.classes[rest]))
        result.append((rest[train], rest[validation], test))
    return result


def _grouped(column: str, protocol: str, *, one_each: bool) -> Callable[[Columns, int, int], list[Fold]]:
    """Folds of whole groups: one group a fold, or the groups dealt at random into as many folds as asked for."""

    def make(columns: Columns, n_folds: int, seed: int) -> list[Fold]:
        from sklearn.model_selection import GroupKFold

        groups = columns.groups(column, protocol)
        names = np.unique(groups)
        if len(names) < 3:
            raise SplitError(
                f"The protocol {protocol} needs at least 3 different values of {column}, one each to train, to validate "
                f"and to test; {columns.corpus} has {len(names)} ({', '.join(names)}). Use --protocol stratified."
            )
        if one_each:
            outer = [(np.flatnonzero(groups != name), np.flatnonzero(groups == name)) for name in names]
        else:
            outer = GroupKFold(min(n_folds, len(names)), shuffle=True, random_state=seed).split(groups, groups=groups)
        return [
            (*_validation_of_groups(rest, groups, _inner_seed(seed, fold)), test)
            for fold, (rest, test) in enumerate(outer)
        ]

    return make


def _validation_of_groups(rest: np.ndarray, groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut whole groups out of the training side for validation: about a ninth of them, one at the least."""
    from sklearn.model_selection import GroupKFold

    n_parts = min(VALIDATION_PARTS, len(np.unique(groups[rest])))
    train, validation = next(GroupKFold(n_parts, shuffle=True, random_state=seed).split(rest, groups=groups[rest]))
    return rest[train], rest[validation]


def hold_out(columns: Columns, rows: np.ndarray, seed: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut validation data out of rows that train: speakers where the corpus names two or more, else utterances.

    Of about a ninth of them. Raises SplitError where an emotion has fewer than two utterances.
    """
    from sklearn.model_selection import StratifiedKFold

    inner = _inner_seed(seed, fold)
    speakers = [columns.speaker[row] for row in rows]
    if None not in speakers and len(set(speakers)) > 1:
        return _validation_of_groups(rows, np.array(columns.speaker, dtype=str), inner)
    parts = min(VALIDATION_PARTS, int(np.bincount(columns.classes[rows], minlength=len(columns.labels)).min()))
    _enough_left(columns, "cross-corpus", parts, "utterances of the rarest emotion")
    kept = StratifiedKFold(parts, shuffle=True, random_state=inner)
    train, validation = next(kept.split(rows, columns.classes[rows]))
    return rows[train], rows[validation]


def _speaker_and_sentence(columns: Columns, n_folds: int, seed: int) -> list[Fold]:
    """Speakers x sentences in a grid of blocks: a fold tests one block and trains on what shares neither with it."""
    speaker = columns.groups("speaker", "speaker-and-sentence")
    sentence = columns.groups("sentence", "speaker-and-sentence")
    n_speakers, n_sentences = len(np.unique(speaker)), len(np.unique(sentence))
    if n_speakers < 4 or n_sentences < 2 or n_folds < 4:
        raise SplitError(
            "The protocol speaker-and-sentence needs at least 4 speakers, 2 sentences and --folds 4; received "
            f"{n_speakers} speakers and {n_sentences} sentences ({columns.corpus}) and {n_folds} folds."
        )
    blocks = [(s, t) for s in range(2, n_speakers // 2 + 1) for t in range(2, n_sentences + 1) if s * t <= n_folds]
    n_rows, n_columns = max(blocks, key=lambda block: (block[0] * block[1], block[0]))
    row = _deal(speaker, n_rows, seed)
    column = _deal(sentence, n_columns, seed + 1)
    result = []
    for fold, (r, c) in enumerate((r, c) for r in range(n_rows) for c in range(n_columns)):
        test = np.flatnonzero((row == r) & (column == c))
        rest = np.flatnonzero((row != r) & (column != c))
        result.append((*_validation_of_groups(rest, speaker, _inner_seed(seed, fold)), test))
    return result


def _deal(groups: np.ndarray, n_hands: int, seed: int) -> np.ndarray:
    """Give every group one of n_hands numbers, at random and as evenly as possible; returns a number a row."""
    names = np.unique(groups)
    order = np.random.default_rng(np.random.SeedSequence([seed, len(names)])).permutation(len(names))
    hand = {names[name]: position % n_hands for position, name in enumerate(order)}
    return np.array([hand[group] for group in groups])


def _from_the_user(columns: Columns, n_folds: int, seed: int) -> list[Fold]:
    raise SplitError("The protocol table reads its folds from a file: give it with --split-table FILE.")


def _inner_seed(seed: int, fold: int) -> int:
    return int(np.random.SeedSequence([seed, fold, _VALIDATION_STREAM]).generate_state(1)[0])


def _enough(columns: Columns, n_folds: int, available: int, what: str) -> None:
    if n_folds > available:
        raise SplitError(
            f"{n_folds} folds need at least {n_folds} {what}, and {columns.corpus} has {available}. "
            f"Use --folds {available} or fewer."
            if available > 1
            else f"{columns.corpus} has {available} {what}: too few to be cut into folds."
        )


def _enough_left(columns: Columns, protocol: str, available: int, what: str) -> None:
    if available < 2:
        raise SplitError(
            f"The protocol {protocol} takes validation data out of the training side, and {columns.corpus} leaves "
            f"{available} {what} there; at least 2 are needed. Record more, or use --protocol published."
        )


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "speaker-independent",
            "k folds of whole speakers",
            "k folds of whole speakers: nobody who is tested was heard in training; the validation data are other "
            "speakers of the training side",
            "validation",
            ("speaker",),
            _grouped("speaker", "speaker-independent", one_each=False),
        ),
        Protocol(
            "leave-one-speaker-out",
            "one fold a speaker",
            "one fold a speaker: nobody who is tested was heard in training; the validation data are other "
            "speakers of the training side",
            "validation",
            ("speaker",),
            _grouped("speaker", "leave-one-speaker-out", one_each=True),
            uses_folds=False,
        ),
        Protocol(
            "leave-session-out",
            "one fold a recording session, with everybody in it",
            "one fold a recording session, with everybody in it; another session is the validation data",
            "validation",
            ("session",),
            _grouped("session", "leave-session-out", one_each=True),
            uses_folds=False,
        ),
        Protocol(
            "leave-sentence-out",
            "k folds of whole sentences; speakers are shared",
            "k folds of whole sentences: no text that is tested was heard in training; speakers are shared",
            "validation",
            ("sentence",),
            _grouped("sentence", "leave-sentence-out", one_each=False),
        ),
        Protocol(
            "speaker-and-sentence",
            "blocks of speakers x sentences",
            "blocks of speakers x sentences: a test utterance shares neither speaker nor sentence with training",
            "validation",
            ("speaker", "sentence"),
            _speaker_and_sentence,
        ),
        Protocol(
            "stratified",
            "k random folds with the classes in proportion; speakers and sentences are shared",
            "k random folds with the classes in proportion; speakers and sentences are shared, so numbers flatter",
            "validation",
            (),
            _stratified,
        ),
        Protocol(
            "published",
            "k random folds; speakers and sentences are shared",
            "k random folds and the last epoch, as the corrected published results; speakers and sentences are shared",
            "last",
            (),
            _published,
            validates=False,
        ),
        Protocol(
            "published-leaky",
            "k random folds; speakers and sentences are shared",
            "k random folds and the choice made ON THE TEST FOLD, as first published: only to show what that gains",
            "test",
            (),
            _published,
            validates=False,
        ),
        Protocol(
            "stratified-leaky",
            "k random folds with the classes in proportion; speakers and sentences are shared",
            "the folds of stratified and the choice made ON THE TEST FOLD: to show what that gains over its validation data",
            "test",
            (),
            _stratified,
        ),
        Protocol(
            "speaker-independent-leaky",
            "k folds of whole speakers",
            "the folds of speaker-independent and the choice made ON THE TEST FOLD: to show what that gains over its "
            "validation data",
            "test",
            ("speaker",),
            _grouped("speaker", "speaker-independent", one_each=False),
        ),
        Protocol(
            "table",
            "test parts as given by the user in a table",
            "train, validation and test parts as given by the user in a table",
            "validation",
            (),
            _from_the_user,
            uses_folds=False,
        ),
    )
}
