"""The pages that `timnet show` adds to a report: the list of utterances, and one page for each of them."""

from typing import Any
from urllib.parse import quote, urlencode

from timnet.errors import TimnetError
from timnet.playback import Sound
from timnet.report import mfcc, page, probabilities, text, waveform
from timnet.report.drawing import Drawing
from timnet.report.ranking import MEANING, Choice, Ranked, Ranking
from timnet.report.shown import Shown
from timnet.report.words import SYNTHETIC

A_PAGE = 50  # utterances
NEAR = 2  # pages to both sides that are linked, besides the first and the last


def link(*parts: str, **query: Any) -> str:
    """An address on the server: parts are escaped, and of the query what is empty is left out."""
    asked = urlencode({name: value for name, value in query.items() if value})
    return "/" + "/".join(map(quote, parts)) + (f"?{asked}" if asked else "")


def the_list(shown: Shown, ranking: Ranking, choice: Choice, number: int) -> str:
    """A page of the list, counted from 1; a number beyond the last shows the last. Raises like Ranking.chosen."""
    chosen = ranking.chosen(choice)
    n_pages = max(-(-len(chosen) // A_PAGE), 1)
    number = min(max(number, 1), n_pages)
    first = (number - 1) * A_PAGE
    some = chosen[first : first + A_PAGE]
    extent = f"{text.count(len(chosen), 'utterance')} of {len(ranking.utterances)}"
    if len(chosen) > len(some):
        extent += f", {first + 1} to {first + len(some)} shown"
    untested = len(ranking.utterances) - ranking.tested
    said = f"{extent}." + (f" What no finished fold tested comes last: {untested} of them." if untested else "")
    unheard = shown.unheard(ranking)
    silent = [None] * len(some) if unheard else shown.silent(ranking, some)
    return _rendered(
        shown,
        "utterances.html",
        corpus=_corpus(shown, ranking),
        unheard=unheard,
        others=[{"name": other.corpus, "link": link("utterances", corpus=other.corpus)} for other in shown.rankings],
        meaning=MEANING,
        choice=choice,
        selects=[
            ("emotion", "True emotion", ranking.labels, choice.emotion),
            ("predicted", "Recognised as", ranking.labels, choice.predicted),
            ("speaker", "Speaker", ranking.speakers, choice.speaker),
        ],
        all=link("utterances", corpus=ranking.corpus),
        extent=said,
        mean_of=probabilities.mean_of(ranking),
        utterances=[
            {"rank": rank, "silent": why, **_described(ranking, one, choice)}
            for rank, (one, why) in enumerate(zip(some, silent, strict=True), start=first + 1)
        ],
        page=number,
        pages=[
            (n, link("utterances", corpus=ranking.corpus, **choice.query, page=n) if near else "")
            for n, near in _pages(number, n_pages)
        ],
    )


def one_utterance(shown: Shown, ranking: Ranking, one: Ranked, choice: Choice) -> str:
    """The page of an utterance; its neighbours are those of the choice that it was come to from."""
    chosen = ranking.chosen(choice)
    if one not in chosen:  # somebody wrote the address
        choice, chosen = Choice(), list(ranking.utterances)
    at = chosen.index(one)
    before, after = chosen[at - 1] if at else None, chosen[at + 1] if at + 1 < len(chosen) else None
    warnings, notes, sound = [], [], None
    try:
        sound = shown.sound(ranking, one)
        if sound.changed:
            warnings.append(
                "This is another recording now than the one that the run was made of: its sound has changed."
            )
        if sound.converted_from:
            notes.append(f"Converted from {sound.converted_from} to WAV for the browser.")
    except TimnetError as error:
        warnings.append(f"The recording cannot be played: {error}")
    facts = {"Path": one.facts["path"], "Sample rate": f"{one.facts['sample_rate_hz']} Hz"}
    facts |= {"Channels": one.facts["n_channels"], "Session": one.facts["session"] or "–"}
    return _rendered(
        shown,
        "utterance.html",
        corpus=_corpus(shown, ranking),
        one=_described(ranking, one, choice),
        warnings=warnings,
        notes=notes,
        playable=sound is not None,
        figures=_figures(shown, ranking, one, sound),
        facts=facts.items(),
        mean_of=probabilities.mean_of(ranking),
        before=before and _address(ranking, before, choice),
        after=after and _address(ranking, after, choice),
        back=link("utterances", corpus=ranking.corpus, **choice.query, page=at // A_PAGE + 1),
        rank=at + 1,
        n=len(chosen),
    )


def refused(shown: Shown, title: str, reason: str) -> str:
    """A page that says why there is nothing else."""
    return _rendered(shown, "refused.html", title=title, reason=reason)


def with_bar(shown: Shown, report: str) -> str:
    """The stored report with the way to the utterances on top."""
    bar = page.environment().from_string('{% from "served.html" import bar %}{{ bar("report", home) }}')
    report = report.replace("</head>", f"<style>{page.served_css()}</style>\n</head>", 1)
    return report.replace("<body>", f"<body>\n{bar.render(home=_home(shown)).strip()}", 1)


def _rendered(shown: Shown, template: str, **values: Any) -> str:
    css = page.css() + page.served_css()
    made = page.environment().get_template(template)
    return made.render(css=css, run_id=shown.facts["run_id"], home=_home(shown), **values)


def _home(shown: Shown) -> str:
    return link("utterances", corpus=shown.rankings[0].corpus)


def _corpus(shown: Shown, ranking: Ranking) -> dict[str, Any]:
    warnings = ([SYNTHETIC] if ranking.facts["synthetic"] else []) + shown.summary["warnings"]
    return {"name": ranking.corpus, "synthetic": ranking.facts["synthetic"], "warnings": warnings}


def _pages(number: int, n_pages: int) -> list[tuple[int, bool]]:
    """Page numbers to link, and False once for every gap."""
    near = [n for n in range(1, n_pages + 1) if n in (1, n_pages) or abs(n - number) <= NEAR]
    found: list[tuple[int, bool]] = []
    for n in near:
        if found and n > found[-1][0] + 1:
            found.append((n - 1, False))
        found.append((n, True))
    return found


def _address(ranking: Ranking, one: Ranked, choice: Choice, kind: str = "utterances") -> str:
    return link(kind, ranking.corpus, one.name, **choice.query)


def _described(ranking: Ranking, one: Ranked, choice: Choice) -> dict[str, Any]:
    facts = one.facts
    about = [f"speaker {facts['speaker']}" if facts["speaker"] else "speaker not named"]
    about += [f"sentence {facts['sentence']}"] if facts["sentence"] else []
    return {
        "name": one.name,
        "emotion": facts["emotion"],
        "probability": one.probability,
        "said": one.said,
        "n_tests": len(one.tests),
        "about": " · ".join([*about, f"{facts['duration_s']:.2f} s"]),
        "link": _address(ranking, one, choice),
        "audio": _address(ranking, one, Choice(), "audio"),
        "chart": probabilities.chart(ranking, one),
        "numbers": probabilities.numbers(ranking, one),
    }


def _figures(shown: Shown, ranking: Ranking, one: Ranked, sound: Sound | None) -> list[tuple[str, str, Drawing | str]]:
    """(name, title, what is drawn, or why nothing is)."""
    found: list[tuple[str, str, Drawing | str]] = []
    timing = shown.timing(ranking, one)
    if timing is None:
        return [
            ("mfcc", "MFCCs", "The run's features were made by another version of the program, which says too little.")
        ]
    if sound is not None:
        found.append(("waveform", "Waveform", waveform.draw(sound.samples, sound.sample_rate_hz, timing, one.name)))
    features = shown.features(ranking, one, sound)
    if features is None:
        gone = "The store no longer has the features, and there is no recording to make them of again."
        return [*found, ("mfcc", "MFCCs", gone)]
    return [*found, ("mfcc", "MFCCs", mfcc.draw(features, timing, one.name))]
