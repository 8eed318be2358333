"""The corpora, one file each, found by looking at this folder: a module with a line `CORPUS = …` is a corpus.

Its file is named as the corpus is, in lower case. `base` says what a corpus is, `folder` makes one of your own
recordings, `manifest` turns what was found into the table that everything after it works on.
"""

import re
from importlib import import_module
from importlib.resources import files

from timnet import storage
from timnet.corpora.base import Corpus, Source, as_text, is_audio
from timnet.errors import ConfigError, CorpusError

PUBLISHED = ("CASIA", "EMODB", "EMOVO", "IEMOCAP", "RAVDESS", "SAVEE")  # the six of the paper

_HAS_CORPUS = re.compile(r"^CORPUS\b", re.MULTILINE)


def names() -> list[str]:
    """Names of the built-in corpora, sorted; imports none of them."""
    modules = (file for file in files(__name__).iterdir() if file.name.endswith(".py"))
    return sorted(file.name[:-3].upper() for file in modules if _HAS_CORPUS.search(file.read_text("utf-8")))


def get(name: str) -> Corpus:
    """The built-in corpus of that name in upper or lower case; raises ConfigError naming those that there are."""
    if name.upper() not in names():
        raise ConfigError(f"There is no built-in corpus {name!r}; allowed are {', '.join(names())}.")
    return import_module(f"{__name__}.{name.lower()}").CORPUS


def locate(corpus: Corpus, data_root: str) -> Source:
    """Where a corpus lies: in the folder of its name (upper or lower case) in data_root, or data_root is that folder.

    data_root is a folder or a URI. Raises CorpusError where nothing there is named as the corpus names it.
    """
    root, inside = entries(data_root)
    folders = [name for name in inside if name.lower() == corpus.name.lower() and Source(f"{root}/{name}").is_folder()]
    if len(folders) > 1 and corpus.name not in folders:
        raise CorpusError(
            f"{root} holds {corpus.name} more than once: {', '.join(folders)}. Rename or move all but one."
        )
    wanted = corpus.example.split(" -> ")[0]
    if folders:
        source = Source(f"{root}/{corpus.name if corpus.name in folders else folders[0]}")
        found = corpus.find(source)
        if found.utterances:
            return source
        audio = [path for path in source.listing if is_audio(path)]
        holds = f"{len(audio)} audio files, such as {audio[0]}" if audio else "no audio files"
        first = f" {found.problems[0].message}" if found.problems else ""
        raise CorpusError(
            f"{source.root} holds no recording of {corpus.name}, named like {wanted}, but {holds}.{first} "
            f"{_whence(corpus)}"
        )
    source = Source(root)
    found = corpus.find(source)
    strangers = sum(problem.kind == "unrecognised-name" for problem in found.problems)
    if len(found.utterances) > strangers:
        return source
    mixed = f" (it holds {len(found.utterances)}, among {strangers} other recordings)" if found.utterances else ""
    holds = ", ".join(inside[:10]) + (" …" if len(inside) > 10 else "") if inside else "nothing"
    raise CorpusError(
        f"{corpus.name} is not in --data-root {root}. Looked for a folder {corpus.name} in it, which holds {holds}, "
        f"and for recordings named like {wanted} in itself{mixed}. {_whence(corpus)} Put it into {root}/{corpus.name}, or "
        "give another --data-root."
    )


def entries(data_root: str) -> tuple[str, list[str]]:
    """A data root as an absolute path or URI, and the names in it, sorted, without hidden ones.

    Raises CorpusError where it is no folder or cannot be read. A worker elsewhere must find the same: hence absolute.
    """
    root = storage.absolute(data_root)
    try:
        found = storage.names_in(root)
    except ValueError as error:
        raise CorpusError(
            f"--data-root {data_root} cannot be opened: {error}. Allowed are a folder, file://… and s3://bucket/prefix."
        ) from error
    except OSError as error:
        raise CorpusError(f"--data-root {data_root} cannot be read: {error}.") from error
    if found is None:
        raise CorpusError(f"--data-root {data_root} is not there, or is not a folder (looked for {root}).")
    return root, sorted({as_text(name) for name in found if name and not name.startswith(".")})


def _whence(corpus: Corpus) -> str:
    return (
        f"{corpus.name} ({corpus.title}; {corpus.licence}) comes from {corpus.source}; `timnet corpora list` says how to "
        "get it."
    )
