"""Prefect tasks from recordings to features: scan a corpus, split it, extract its features."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import shards
from tasks.context import RunContext
from tasks.waiting import wait_all
from timnet import audit, cross_corpus, feature_shards, fold_tables, splits, tables
from timnet.config import identity
from timnet.corpora import demo, folder, manifest
from timnet.corpora.base import Corpus, Problem
from timnet.features import FeatureProfile, feature_key, n_frames
from timnet.plan import CorpusPlan
from timnet.splits import Columns, Fold, Protocol
from timnet.store import Store

SCAN_VERSION = 3  # raise when a scan of the same files would find something else
SPLIT_VERSION = 1  # raise when a protocol cuts differently


@dataclass(frozen=True)
class Scanned:
    """A corpus as it was found: its manifest and all that follows from it without opening a recording again."""

    folder: str
    table: pa.Table
    key: str  # of the content: utterances, their audio, labels and speakers
    columns: Columns
    signal_length: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


@task(name="scan", task_run_name="scan {name}", cache_policy=NO_CACHE, persist_result=False)
def scan(name: str, planned: CorpusPlan, context: RunContext) -> Scanned:
    """Find and check every recording of a corpus; a corpus whose files have not changed is not read again."""
    store, corpus, source = context.store, planned.corpus, planned.source
    if corpus.synthetic:
        with context.timed(f"make {name}"):
            demo.write(store)
    listing = {**source.listing, **dict.fromkeys(source.not_text)}
    target = f"manifests/{corpus.name}/{identity(SCAN_VERSION, corpus.name, list(corpus.labels), source.root, listing)}"
    reused = store.is_done(target)
    if not reused:
        found = corpus.find(source)
        if found.utterances:
            context.connect()  # which is no part of the scan's time
    with context.timed(f"scan {name}", reused=reused):
        if not reused:
            paths = [utterance.path for utterance in found.utterances]
            facts = _inspect(planned, paths, context) if paths else {}
            table, problems = manifest.build(corpus, found, facts)
            _keep(store, target, table, manifest.levels(table, facts), problems, found.notes)
    facts = store.done(target)
    problems = [Problem(**problem) for problem in store.read_json(f"{target}/problems.json")]
    manifest.check(corpus, problems, skip_bad=context.settings.skip_bad)
    table = store.read_table(f"{target}/manifest.parquet", tables.MANIFEST)
    hours = sum(table["duration_s"].to_pylist()) / 3600
    again = " (unchanged since the last scan)" if reused else ""
    context.reporter.say(f"{name}: {table.num_rows} utterances, {hours:.2f} h{again}")
    for problem in problems:
        context.reporter.say(f"  left out: {problem.message}")
    return Scanned(
        folder=target,
        table=table,
        key=facts["key"],
        columns=Columns.of(corpus.name, corpus.labels, table),
        signal_length=context.settings.signal_length or folder.signal_length(corpus, table["duration_s"].to_pylist()),
        problems=tuple(problems),
        notes=tuple(facts["notes"]),
    )


def _keep(
    store: Store, target: str, table: pa.Table, levels: pa.Table, problems: Sequence[Problem], notes: Sequence[str]
) -> None:
    store.write_table(f"{target}/manifest.parquet", table, tables.MANIFEST)
    store.write_table(f"{target}/levels.parquet", levels, tables.LEVELS)
    store.write_json(f"{target}/problems.json", [asdict(problem) for problem in problems])
    facts = {"key": manifest.manifest_key(table), "n_utterances": table.num_rows, "notes": list(notes)}
    store.mark_done(target, facts)


def _inspect(planned: CorpusPlan, paths: list[str], context: RunContext) -> dict:
    parts = [[paths[row] for row in rows] for rows in feature_shards.rows(len(paths))]
    refs = [
        shards.inspect_shard.options(name=f"inspect {planned.corpus.name} shard {i}").remote(planned.source, part)
        for i, part in enumerate(parts)
    ]
    found = wait_all(refs, context.stop)
    return dict(zip(paths, (facts for part in found for facts in part), strict=True))


@task(name="split", task_run_name="split {name} seed {seed}", cache_policy=NO_CACHE, persist_result=False)
def split(
    name: str, seed: int, scanned: Scanned, protocol: Protocol, n_folds: int, context: RunContext
) -> tuple[str, list[Fold]]:
    """The folds of a corpus for a seed, audited and stored; returns their folder and their rows."""
    store = context.store
    user_table = context.settings.split_table
    given = None if user_table is None else fold_tables.read_user_table(user_table)
    key = identity(
        SPLIT_VERSION, scanned.key, protocol.name, n_folds, seed, None if given is None else given.to_pylist()
    )
    target = f"splits/{name}/{key}"
    if store.is_done(target):
        return target, fold_tables.from_table(
            scanned.columns, store.read_table(f"{target}/folds.parquet", tables.FOLDS)
        )
    if given is None:
        folds = splits.split(protocol, scanned.columns, n_folds, seed)
    else:
        folds = splits.check(fold_tables.from_table(scanned.columns, given), protocol, scanned.columns)
    audited = audit.audit(protocol, scanned.columns, scanned.table, folds)
    table = fold_tables.to_table(scanned.columns, folds)
    store.write_table(f"{target}/folds.parquet", table, tables.FOLDS)
    store.write_json(f"{target}/audit.json", audited)
    store.mark_done(target, {"n_folds": len(folds)})
    return target, fold_tables.from_table(scanned.columns, table)


@task(name="join", task_run_name="join corpora", cache_policy=NO_CACHE, persist_result=False)
def join(scanned: list[Scanned], corpus: Corpus, context: RunContext) -> Scanned:
    """Several corpora as one: the utterances of the emotions that all of them have."""
    table = cross_corpus.joint([(one.columns.corpus, one.table) for one in scanned], corpus.labels)
    store, key = context.store, manifest.manifest_key(table)
    target = f"manifests/{corpus.name}/{identity(SCAN_VERSION, key)}"
    problems = tuple(
        Problem(
            problem.kind,
            f"{one.columns.corpus}: {problem.message}",
            problem.path and f"{one.columns.corpus}/{problem.path}",
        )
        for one in scanned
        for problem in one.problems
    )
    counted = {one.columns.corpus: (one.table.num_rows, 0) for one in scanned}
    for utterance in table["utterance_id"].to_pylist():
        name = cross_corpus.corpus_of(utterance)
        counted[name] = (counted[name][0], counted[name][1] + 1)
    notes = [f"{name}: {n} of {of} recordings, those of the shared emotions." for name, (of, n) in counted.items()]
    notes += [f"{one.columns.corpus}: {note}" for one in scanned for note in one.notes]
    if not store.is_done(target):
        of_parts = [store.read_table(f"{one.folder}/levels.parquet", tables.LEVELS) for one in scanned]
        levels = cross_corpus.joint_levels(
            [(one.columns.corpus, of) for one, of in zip(scanned, of_parts, strict=True)], table
        )
        _keep(store, target, table, levels, problems, notes)
    context.reporter.say(f"{corpus.name}: {table.num_rows} utterances of {', '.join(corpus.labels)}")
    columns = Columns.of(corpus.name, corpus.labels, table)
    return Scanned(target, table, key, columns, scanned[0].signal_length, problems, tuple(notes))


def features_folder(scanned: Scanned, profile: FeatureProfile) -> str:
    return f"features/{scanned.columns.corpus}/{feature_key(profile, scanned.signal_length, scanned.key)}"


@task(name="extract", task_run_name="extract {name}", cache_policy=NO_CACHE, persist_result=False)
def extract(name: str, planned: CorpusPlan, scanned: Scanned, profile: FeatureProfile, context: RunContext) -> str:
    """Extract the features of a corpus over Ray, shard by shard; shards that are there already are kept."""
    store, target = context.store, features_folder(scanned, profile)
    if store.is_done(target):  # with all its shards
        context.reporter.say(f"{name}: features are there already")
        return target
    context.connect()
    with context.timed(f"extract {name}"):
        columns = (scanned.table[column].to_pylist() for column in ("utterance_id", "path", "audio_sha256"))
        recordings = list(zip(*columns, strict=True))
        parts = feature_shards.rows(len(recordings))
        refs = []
        for number, rows in enumerate(parts):
            shard = feature_shards.shard_folder(target, number)
            if not store.is_done(shard):
                job = shards.extract_shard.options(name=f"extract {name} shard {number}")
                part = [recordings[row] for row in rows]
                refs.append(job.remote(store, shard, planned.source, part, profile, scanned.signal_length))
        seconds = wait_all(refs, context.stop)
        store.mark_done(
            target,
            {
                "n_shards": len(parts),
                "n_utterances": len(recordings),
                "n_frames": n_frames(profile, scanned.signal_length),
                "n_coefficients": profile.n_coefficients,
                "profile": asdict(profile),
                "signal_length": scanned.signal_length,
                "core_seconds": sum(seconds),
            },
        )
    audio_s = sum(scanned.table["duration_s"].to_pylist())
    context.reporter.say(f"{name}: features of {audio_s / 60:.1f} min of audio in {sum(seconds):.1f} core-seconds")
    return target
