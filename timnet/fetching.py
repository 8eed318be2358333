"""A corpus that anybody may fetch: downloaded, verified, unpacked beside its place, and put there in one move.

In the data root, for EMODB: `EMODB.zip.part` while it is being downloaded, `.EMODB.unpacking` while it is being unpacked
and its recordings are counted, and then `EMODB`, which is whole or not there. Everything that the archive holds is kept,
label files and texts, too.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from timnet import archives, download, partial_file, storage
from timnet.archives import Limits
from timnet.corpora.base import Corpus, Download, Source
from timnet.download import PATIENT, Patience
from timnet.errors import ArchiveError, ConfigError, DownloadError

MAX_BYTES_A_RECORDING = 2**20  # 11 s at 48 kHz and 16 bit; few acted utterances are half as long
MAX_ENTRIES_A_RECORDING = 8  # EMODB's archive has label files of a few kinds beside every recording
MAX_RATIO = 20  # speech deflates to a half or a third, label files to a tenth, a bomb to a thousandth

Progress = Callable[[str, int, int | None], None]  # what is being done, bytes done, bytes in all if known


def fetch(
    corpus: Corpus,
    data_root: str,
    *,
    url: str | None = None,
    say: Callable[[str], None],
    progress: Progress,
    patience: Patience = PATIENT,
) -> Path:
    """Fetch a corpus into its folder in the data root, and return that; `url` is another address of the same archive.

    Raises ConfigError where it may not be fetched or is there already, DownloadError and ArchiveError where that fails.
    Interrupted at any moment, the next call goes on from what was downloaded.
    """
    archive = fetchable(corpus)
    address = url or archive.url
    download.check_url(address)
    root = storage.local_folder(data_root)
    target, part = root / corpus.name, root / f"{corpus.name}.zip.part"
    refuse_existing(corpus, data_root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(part):
            _refuse_full(archive, part)
            download.download(
                address,
                part,
                archive.n_bytes or limits_of(corpus).n_bytes,
                say=say,
                progress=lambda done, total: progress("downloading", done, total or archive.n_bytes),
                patience=patience,
            )
            verify(corpus.name, archive, part)
            _unpack(corpus, part, target, lambda done, total: progress("unpacking", done, total))
            partial_file.remove(part)
    except ArchiveError as error:
        raise ArchiveError(
            f"{error} Nothing of it was kept. Give the same command again, or another --url; or download {archive.url} "
            f"yourself, look at it, and unpack it into {target}."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{error.filename or root} cannot be written: {error.strerror or error}. Give the same command again when it "
            "can; what was downloaded is kept."
        ) from error
    return target


def fetchable(corpus: Corpus) -> Download:
    """What is to be downloaded; raises ConfigError where no program may fetch the corpus."""
    if corpus.synthetic:
        raise ConfigError(f"{corpus.name} is made by the program when a run needs it: there is nothing to fetch.")
    if corpus.download is None:
        raise ConfigError(
            f"{corpus.name} cannot be fetched by a program: {corpus.licence}. `timnet corpora list` has the steps to get it."
        )
    return corpus.download


def command(corpus: Corpus, data_root: str) -> str | None:
    """The command that fetches the corpus; None where there is none."""
    if corpus.download is None:
        return None
    return f"timnet corpora fetch {corpus.name} --data-root {shlex.quote(data_root)}" + (
        " --accept-licence" if corpus.download.terms else ""
    )


def steps(corpus: Corpus, data_root: str) -> list[str]:
    """What a person does to get a corpus, in order, until it lies in the data root and was checked."""
    folder = f"{data_root.rstrip('/')}/{corpus.name}"
    example = corpus.example.split(" -> ", maxsplit=1)[0]
    return [
        *corpus.how_to_get,
        f"Unpack it into {folder}, so that {folder}/{example} is there.",
        f"timnet corpora check {corpus.name} --data-root {shlex.quote(data_root)}",
    ]


def limits_of(corpus: Corpus) -> Limits:
    """What the corpus's archive may hold: many times what is known of it, and far less than what harms."""
    n_recordings = sum((corpus.counts or {}).values())
    return Limits(
        n_entries=MAX_ENTRIES_A_RECORDING * n_recordings, n_bytes=MAX_BYTES_A_RECORDING * n_recordings, ratio=MAX_RATIO
    )


def refuse_existing(corpus: Corpus, data_root: str) -> None:
    """Raises ConfigError where the data root has the corpus's folder already, in upper or lower case."""
    root = storage.local_folder(data_root)
    if root.exists() and not root.is_dir():
        raise ConfigError(f"--data-root {data_root} is not a folder.")
    there = sorted(name for name in (os.listdir(root) if root.exists() else []) if name.lower() == corpus.name.lower())
    if there:
        raise ConfigError(
            f"{root / there[0]} is there already and is not touched. `timnet corpora check {corpus.name} --data-root "
            f"{data_root}` says what is in it; to fetch it anew, rename or delete it before."
        )


def verify(name: str, archive: Download, part: Path) -> None:
    """Raises DownloadError, and empties the file, where its size or checksum is not what the publisher states."""
    wrong = None
    if archive.n_bytes is not None and (received := partial_file.size(part)) != archive.n_bytes:
        wrong = f"{received} bytes, and {name}'s archive has {archive.n_bytes}"
    elif archive.md5 is not None:
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != archive.md5:
            wrong = f"the MD5 {digest}, and {name}'s archive has {archive.md5}"
    if wrong:
        partial_file.forget(part)
        raise DownloadError(
            f"What came has {wrong}. It is another file, or was changed on the way, and was deleted. Give the same command "
            "again, or another --url."
        )


def _unpack(corpus: Corpus, part: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    beside = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    try:
        archives.unpack(part, beside, limits_of(corpus), progress)
        _check_recordings(corpus, beside)
        os.sync()  # a power cut must not leave a folder of empty files under the corpus's name
        beside.rename(target)
    except ArchiveError:
        partial_file.forget(part)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_recordings(corpus: Corpus, folder: Path) -> None:
    """Raises ArchiveError where the names of the files do not say that every emotion is there as often as it has to be."""
    found = corpus.find(Source(str(folder)))
    there = Counter(utterance.emotion for utterance in found.utterances)
    counts = (corpus.counts or {}).items()
    if wrong := [
        f"{there[emotion]} recordings of {emotion} instead of {n}" for emotion, n in counts if there[emotion] != n
    ]:
        first = f" {found.problems[0].message}" if found.problems else ""
        raise ArchiveError(f"The archive is not all of {corpus.name}: it holds {', '.join(wrong)}.{first}")


def _refuse_full(archive: Download, part: Path) -> None:
    """Raises DownloadError where the disk has no room for the archive and about three times as much unpacked."""
    needed = 4 * (archive.n_bytes or 0) - partial_file.size(part)
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise DownloadError(
            f"{part.parent} has no room: about {needed} bytes are needed to download and unpack, and {free} are free. "
            "Make room, or give another --data-root."
        )


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Hold the file against other processes that fetch the same; raises DownloadError where one does."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())
        except BlockingIOError:
            mine = False
        if not mine:
            raise DownloadError(f"Another process is fetching into {part}. Wait for it, or end it.")
        try:
            yield
        finally:
            if part.exists() and not partial_file.size(part):
                partial_file.remove(part)
