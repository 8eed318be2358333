"""IEMOCAP, Interactive Emotional Dyadic Motion Capture: ten actors in five sessions of two (Busso et al., 2008).

File names: `Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019.wav` is turn F019 of the dialog Ses01F_impro05.
The letter before the turn's number is who speaks; the F or M in the dialog's name is who wears the markers, NOT the
speaker: F019 of Ses01M_impro05 is the same woman. The speaker is session and letter: Ses01F. Labels are in
`Session1/dialog/EmoEvaluation/Ses01F_impro05.txt`, in lines
`[start - end] TAB turn TAB emotion TAB [valence, activation, dominance]`.

    Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019.wav
    -> the same without .wav, speaker Ses01F, sentence impro05, session Session1, and the emotion of that line

The task is the usual one of four classes: angry (ang), happy (hap 595 and exc 1041 together), neutral (neu), sad (sad),
5531 of 10 039 recordings; the notes count the others. 16 kHz. Licence form. Source: https://sail.usc.edu/iemocap/

Sentence: the script (script01_1) or the improvised scene (impro05), which all sessions play. That is coarser than a
sentence: turns are numbered anew in every performance, so which of them say the same line is not known from the names.
Keeping scripts apart keeps their text apart, but for what anybody may say anywhere, such as "okay".
"""

import re
from collections import Counter
from collections.abc import Mapping

from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance, is_audio
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised

EMOTIONS = {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"}
LEFT_OUT = {
    "xxx": "no agreement",
    "fru": "frustrated",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "oth": "other",
}
RULE = (
    "IEMOCAP names its files Session<N>/sentences/wav/<dialog>/<dialog>_<F or M><number: 3 digits>, such as "
    "Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019.wav."
)

_WAV = re.compile(r"(?:.*/)?session(\d)/sentences/wav/([^/]+)/[^/]+", re.IGNORECASE)
_TURN = re.compile(r"ses0(\d)([fm])_((?:impro\d\d|script\d\d_\d)[a-z]?)_([fm])(\d\d\d)")
_LABELS = re.compile(r"(.*/)?session(\d)/dialog/emoevaluation/([^/]+)\.txt", re.IGNORECASE)
_LINE = re.compile(r"^\[[\d. -]+\][ \t]+(\w+)[ \t]+(\w+)[ \t]+\[", re.MULTILINE)


def parse(path: str, codes: Mapping[str, str]) -> Utterance | Problem | None:
    """`codes`: the emotion code of every turn, by the turn's name in lower case, see `codes_in`."""
    place = _WAV.fullmatch(path)
    if place is None:  # the folders dialog/wav hold whole dialogs
        return None if "/dialog/" in f"/{path.lower()}" else unrecognised(path, "it lies elsewhere", RULE)
    turn = stem(path)
    match = _TURN.fullmatch(turn)
    if match is None:
        return unrecognised(path, "its name does not follow the rule", RULE)
    session, _marked, scene, voice, _number = match.groups()
    if session != place[1] or not turn.startswith(f"{place[2].lower()}_"):
        return unrecognised(path, "its folders say another session or dialog than its name", RULE)
    code = codes.get(turn)
    if code is None:
        return Problem("unknown-label", f"{path}: no file in dialog/EmoEvaluation has a line for this turn.", path)
    if code not in EMOTIONS:
        return None if code in LEFT_OUT else unknown_label(path, code, EMOTIONS | LEFT_OUT)
    return Utterance(
        path,
        EMOTIONS[code],
        speaker=f"Ses0{session}{voice.upper()}",
        sentence=scene.rstrip("abcdefgh"),  # parts of a scene: impro05a, impro05b
        session=f"Session{session}",
    )


def codes_in(text: str) -> dict[str, str]:
    """The turns of a label file, in lower case, and their emotion codes; other lines are the judges' own votes."""
    return {turn.lower(): code.lower() for turn, code in _LINE.findall(text)}


def find(source: Source) -> Found:
    files = [match for path in source.listing if (match := _LABELS.fullmatch(path))]
    wavs = {stem(path) for path in source.listing if is_audio(path) and _WAV.fullmatch(path)}
    if wavs and not files:
        message = (
            f"{source.root}: no label files; looked for Session1/dialog/EmoEvaluation/Ses01F_impro05.txt and others."
        )
        return Found((), (Problem("missing-file", message),))
    codes: dict[str, str] = {}
    missing = []
    for file in files:
        turns = codes_in(source.read_text(file[0], "latin-1"))  # judges' remarks hold bytes that are not UTF-8
        codes |= turns
        for turn in sorted(name for name, code in turns.items() if code in EMOTIONS and name not in wavs):
            message = f"{file[0]}: labels {turn}, and there is no {turn}.wav in sentences/wav/{file[3]}."
            missing.append(Problem("missing-file", message, file[0]))
    found = by_name(source, lambda path: parse(path, codes))
    others = Counter(codes[turn] for turn in wavs & codes.keys() if codes[turn] in LEFT_OUT)
    counted = ", ".join(f"{LEFT_OUT[code]} {n}" for code, n in others.most_common())
    notes = (f"Left out, as recordings of other classes: {others.total()} ({counted}).",) if others else ()
    return Found(found.utterances, found.problems + tuple(missing), notes)


CORPUS = Corpus(
    name="IEMOCAP",
    title="Interactive Emotional Dyadic Motion Capture: 10 actors, scripted and improvised (Busso et al., 2008)",
    language="English (North American)",
    labels=("angry", "happy", "neutral", "sad"),
    find=find,
    mean_signal_length=310_000,
    licence="licence form of the University of Southern California",
    source="https://sail.usc.edu/iemocap/",
    how_to_get=(
        "Open https://sail.usc.edu/iemocap/iemocap_release.htm and fill in the licence form of USC SAIL.",
        "Download the full release as their answer says. Needed are sentences/wav and dialog/EmoEvaluation of the five "
        "sessions; videos and motion capture are not read.",
    ),
    example="Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019.wav -> "
    "Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019, speaker Ses01F, sentence impro05, angry",
    counts={"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084},
    n_speakers=10,
    n_tabs=10,
    published_seed=16,
    quirks=(
        "The F or M in a dialog's name is not the speaker; the letter before the turn's number is.",
        "happy is happiness (595) and excitement (1041) together.",
        "sentence is the script or improvised scene, coarser than a sentence.",
    ),
)
