"""How a corpus's file-name rule is carried over a folder, and what is said of a name that does not follow it."""

from collections.abc import Callable, Hashable, Mapping

from timnet.corpora.base import Found, Problem, Source, Utterance, is_audio, not_readable

Rule = Callable[[str], Utterance | Problem | None]  # None: a recording that is not of this corpus's task


def stem(path: str) -> str:
    """The file name without its suffix, lower case."""
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()


def same_name(utterance: Utterance) -> Hashable:
    """Two recordings for which this is equal are one recording of the corpus that lies there twice."""
    return utterance.speaker, utterance.emotion, stem(utterance.path)


def by_name(
    source: Source, rule: Rule, *, identity: Callable[[Utterance], Hashable] = same_name, left_out: str | None = None
) -> Found:
    """Apply a rule to the path of every audio file; other files are ignored.

    `left_out` says, for the notes, what the recordings are for which the rule returns None.
    """
    first: dict[Hashable, Utterance] = {}
    problems = not_readable(source)
    n_left_out = 0
    for path in filter(is_audio, source.listing):
        outcome = rule(path)
        if isinstance(outcome, Problem):
            problems.append(outcome)
        elif outcome is None:
            n_left_out += 1
        elif (other := first.setdefault(identity(outcome), outcome)) is not outcome:
            problems.append(
                Problem("duplicate-id", f"{path}: is the same recording as {other.path}. Keep one of the two.", path)
            )
    notes = (f"Left out, as {left_out}: {n_left_out}.",) if left_out and n_left_out else ()
    return Found(tuple(first.values()), tuple(problems), notes)


def unrecognised(path: str, why: str, rule: str) -> Problem:
    """`why` is what is wrong with the name, `rule` the whole sentence that says how the corpus names its files."""
    return Problem("unrecognised-name", f"{path}: {why}. {rule}", path)


def unknown_label(path: str, code: str, codes: Mapping[str, str]) -> Problem:
    allowed = ", ".join(key if key == label else f"{key} ({label})" for key, label in codes.items())
    return Problem("unknown-label", f"{path}: {code!r} is no emotion of this corpus; allowed are {allowed}.", path)
