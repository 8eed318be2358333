"""What is in a folder that is said to hold a corpus, and what is wrong with it, on the terminal."""

from typing import TYPE_CHECKING

from flows.printing import print_table

if TYPE_CHECKING:
    from timnet.corpora.base import Corpus, Source

PROBLEMS_FOUND = 1  # exit status


def print_verdict(corpus: "Corpus", source: "Source") -> None:
    """Decode every recording and print the verdict; leaves with status 1 where something is wrong."""
    from timnet import importing
    from timnet.corpora import manifest

    found = corpus.find(source)
    table, problems = manifest.build(corpus, found, manifest.inspected(found, source))
    twice, notes = importing.same_recordings(table)
    problems += twice
    hours = sum(table["duration_s"].to_pylist()) / 3600
    print(f"{corpus.name} in {source.root}: {table.num_rows} recordings that can be used, {hours:.2f} h")
    emotions, speakers = table["emotion"].to_pylist(), table["speaker"].to_pylist()
    rows = [("emotion", "here", "expected")]
    for label in corpus.labels:
        expected = str(corpus.counts[label]) if corpus.counts else "–"
        rows.append((label, str(emotions.count(label)), expected))
    rows.append(("speakers", str(len(set(speakers) - {None})), str(corpus.n_speakers or "–")))
    print_table(rows)
    for note in (*found.notes, *notes):
        print(f"note: {note}")
    for problem in problems:
        print(f"problem: {problem.message}")
    print("Nothing is wrong with it." if not problems else f"{len(problems)} problems.")
    if problems:
        raise SystemExit(PROBLEMS_FOUND)
