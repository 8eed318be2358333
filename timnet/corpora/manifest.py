"""From what the file-name rule found and what the audio is to the manifest, which everything after it works on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from timnet.config import identity
from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance
from timnet.errors import CorpusError

if TYPE_CHECKING:  # pyarrow takes as long to import as all the rest
    import pyarrow as pa

    from timnet.audio import AudioFacts

MAX_LISTED = 20  # problems that an error lists

# What a result depends on; paths and durations follow from these.
_IDENTITY = ("utterance_id", "audio_sha256", "speaker", "sentence", "session", "emotion", "class_index")


def inspected(found: Found, source: Source) -> "dict[str, AudioFacts]":
    """What audio.inspect says of every utterance found, by its path: all are read and decoded, here and now."""
    paths = [utterance.path for utterance in found.utterances]
    with ThreadPoolExecutor() as threads:
        return dict(zip(paths, threads.map(partial(inspect, source), paths), strict=True))


def inspect(source: Source, path: str) -> "AudioFacts":
    """What audio.inspect says of a recording, or that it is not there or may not be read."""
    from timnet import audio

    try:
        data = source.read_bytes(path)
    except CorpusError as error:
        return audio.AudioFacts("", 0.0, 0, 0, ("missing-file", str(error)))
    except OSError as error:
        return audio.AudioFacts("", 0.0, 0, 0, ("unreadable", f"{path}: cannot be read ({error})."))
    return audio.inspect(data, path)


def build(corpus: Corpus, found: Found, facts: "Mapping[str, AudioFacts]") -> "tuple[pa.Table, list[Problem]]":
    """The manifest (tables.MANIFEST) of the recordings that can be used, in published order, and all that is wrong.

    `facts` holds what audio.inspect says of every utterance found, by its path. Problems are those of `found`, then of
    the audio, then recordings listed twice, then counts that are not the corpus's. Raises CorpusError where nothing can
    be used.
    """
    import pyarrow as pa

    from timnet import tables

    problems = list(found.problems)
    unique: dict[str, Utterance] = {}
    usable = []
    twice = []
    for utterance in published_order(corpus, found.utterances):
        other = unique.setdefault(utterance.utterance_id, utterance)
        if other is not utterance:
            message = f"{utterance.path}: has the same name as {other.path} but for the suffix. Keep one of the two."
            twice.append(Problem("duplicate-id", message, utterance.path))
        elif problem := facts[utterance.path].problem:
            problems.append(Problem(problem[0], problem[1], utterance.path))
        else:
            usable.append(utterance)
    problems += twice
    problems += _counts(corpus, list(unique.values()), usable)
    if not usable:
        first = f" The first: {problems[0].message}" if problems else ""
        raise CorpusError(f"{corpus.name} has no recording that can be used; {len(problems)} problems.{first}")
    rows = [
        {
            "utterance_id": utterance.utterance_id,
            "path": utterance.path,
            "audio_sha256": facts[utterance.path].audio_sha256,
            "speaker": utterance.speaker,
            "sentence": utterance.sentence,
            "session": utterance.session,
            "emotion": utterance.emotion,
            "class_index": corpus.labels.index(utterance.emotion),
            "duration_s": facts[utterance.path].duration_s,
            "sample_rate_hz": facts[utterance.path].sample_rate_hz,
            "n_channels": facts[utterance.path].n_channels,
        }
        for utterance in usable
    ]
    return pa.Table.from_pylist(rows, tables.MANIFEST), problems


def levels(manifest: "pa.Table", facts: "Mapping[str, AudioFacts]") -> "pa.Table":
    """The levels (tables.LEVELS) of the recordings of a manifest; `facts` as for `build`."""
    import pyarrow as pa

    from timnet import tables

    of = [facts[path] for path in manifest["path"].to_pylist()]
    columns = [manifest["utterance_id"], [one.peak_dbfs for one in of], [one.rms_dbfs for one in of]]
    return pa.table(columns, schema=tables.LEVELS)


def published_order(corpus: Corpus, utterances: Sequence[Utterance]) -> list[Utterance]:
    """By class, inside a class by the corpus's order_key or, without one, the natural sort of the file names.

    The published folds are drawn over this order, so another one gives other folds.
    """
    from natsort import natsort_keygen

    natural = natsort_keygen()
    inside = corpus.order_key or (lambda utterance: natural(utterance.path.rsplit("/", 1)[-1]))
    return sorted(utterances, key=lambda u: (corpus.labels.index(u.emotion), inside(u), natural(u.path), u.path))


def manifest_key(manifest: "pa.Table") -> str:
    """A short stable name for what a manifest holds: the same wherever and whenever the same recordings are read."""
    return identity({name: manifest[name].to_pylist() for name in _IDENTITY})


def check(corpus: Corpus, problems: Sequence[Problem], skip_bad: bool) -> list[Problem]:
    """The problems, if there are none or skip_bad accepts them; otherwise raises CorpusError that lists them."""
    if skip_bad or not problems:
        return list(problems)
    lines = [f"  {problem.message}" for problem in problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        lines.append(f"  and {len(problems) - MAX_LISTED} more")
    headline = f"{corpus.name} has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"
    advice = "Mend the files, or run again with --skip-bad to go on with the recordings that can be used."
    raise CorpusError("\n".join([headline, *lines, advice]))


def _counts(corpus: Corpus, unique: Sequence[Utterance], usable: Sequence[Utterance]) -> list[Problem]:
    """Where the numbers are not those of the corpus. A recording that is there but broken counts as there."""
    there = Counter(utterance.emotion for utterance in unique)
    left = Counter(utterance.emotion for utterance in usable)
    messages = []
    for emotion in corpus.labels:
        expected = None if corpus.counts is None else corpus.counts[emotion]
        if expected is not None and there[emotion] != expected:
            differing = f"{abs(expected - there[emotion])} {_too_few_or_many(expected - there[emotion])}"
            messages.append(f"{emotion} has {there[emotion]} recordings, the corpus has {expected}: {differing}")
        elif not left[emotion]:
            messages.append(f"no recording of {emotion} can be used, and a class cannot be empty")
    n_speakers = len({utterance.speaker for utterance in unique} - {None})
    if corpus.n_speakers is not None and n_speakers != corpus.n_speakers:
        messages.append(f"there are {n_speakers} speakers, the corpus has {corpus.n_speakers}")
    return [Problem("count", f"{corpus.name}: {message}.") for message in messages]


def _too_few_or_many(missing: int) -> str:
    if missing < 0:
        return "too many"
    return "is missing" if missing == 1 else "are missing"
