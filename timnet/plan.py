"""From settings to what will run: names become rows of the tables, and everything that can be wrong is said here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from timnet import corpora, cross_corpus, fold_tables, models, splits, storage, tracking
from timnet.config import (
    MAX_RUN_ID,
    RECIPES,
    WITHOUT_EFFECT,
    AblationSettings,
    CrossCorpusSettings,
    EvaluateSettings,
    Recipe,
    RunSettings,
    Settings,
    identity,
)
from timnet.corpora import demo, folder
from timnet.corpora.base import Corpus, Source
from timnet.errors import BrokenFileError, ConfigError
from timnet.features import FEATURES, FeatureProfile
from timnet.published import weights_files
from timnet.published_weights import weights_sha256
from timnet.splits import Protocol
from timnet.store import Store
from timnet.urls import refuse_secrets

_DERIVED = re.compile(r"ablation-[0-9a-f]{10}-")  # begins the names that an ablation makes from its settings

FALLBACK_SEED = 46  # for corpora without a published seed


@dataclass(frozen=True)
class CorpusPlan:
    """One corpus of a run with what its card decides where the settings leave it open."""

    corpus: Corpus
    source: Source
    seeds: tuple[int, ...]
    n_folds: int
    recipe: Recipe
    weights: Mapping[int, list[str]] | None = None  # seed -> a file a fold, where given weights are evaluated


@dataclass(frozen=True)
class Plan:
    settings: Settings
    run_id: str  # the same for the same settings, so that the same command finds its own run again
    claim: Mapping[str, Any]  # what the name stands for
    corpora: tuple[CorpusPlan, ...]
    protocol: Protocol
    profile: FeatureProfile
    joint: CorpusPlan | None = None  # all corpora as one, where a model is trained on one and tested on others


def plan(settings: Settings) -> Plan:
    """Resolve every name; raises ConfigError or CorpusError before anything is started or written."""
    for name in ("store", "data_root", "split_table", "weights", "ray_address"):  # all of which the report shows
        refuse_secrets(getattr(settings, name, None), f"--{name.replace('_', '-')}")
    crosses = isinstance(settings, CrossCorpusSettings)
    protocol = cross_corpus.PROTOCOL if crosses else splits.get(settings.protocol)
    if (settings.split_table is None) == (protocol.name == "table"):
        raise ConfigError(
            f"--protocol table and --split-table FILE go together; received --protocol {protocol.name} and "
            f"--split-table {settings.split_table}."
        )
    if settings.patience is not None and protocol.selection != "validation":
        honest = (row.name for row in splits.PROTOCOLS.values() if row.selection == "validation")
        raise ConfigError(
            f"--patience {settings.patience} lets validation data end a training, and with the protocol {protocol.name} they "
            f"choose nothing. Leave it out, or use a --protocol with which they do: {', '.join(honest)}."
        )
    profile = _named("--features", settings.features, FEATURES)
    if settings.in_lockstep and models.get(settings.model).lockstep is None:
        raise ConfigError(
            f"--folds-per-actor {settings.folds_per_actor} trains networks in lockstep, and {settings.model} is none that "
            f"can be: allowed are {', '.join(name for name in models.names() if models.get(name).lockstep)}. Use "
            "--folds-per-actor 1."
        )
    models.get(settings.model)
    recipe = None if settings.recipe is None else _named("--recipe", settings.recipe, RECIPES)
    store = Store(settings.store)
    store.check()
    tracking.check(settings.track, store)
    planned = []
    for name in _corpus_names(settings):
        corpus, source = locate(name, settings.data_root, store)
        if name != "DEMO":
            source = source.leaving_out(store.uri)
        chosen = recipe or RECIPES[corpus.recipe]
        seeds = settings.seeds or (FALLBACK_SEED if corpus.published_seed is None else corpus.published_seed,)
        n_folds = settings.folds or corpus.n_folds
        planned.append(CorpusPlan(corpus, source, seeds, n_folds, chosen.having(settings.epochs, settings.patience)))
    if isinstance(settings, EvaluateSettings):
        planned = [replace(corpus, weights=_weights(settings.weights, corpus, planned)) for corpus in planned]
        protocol = protocol.of_given_weights()
    joint = _joint(planned, settings, recipe) if crosses else None
    claim = _claim(settings, planned)
    run_id = settings.run_id or f"{settings.kind}-{identity(claim)[:10]}"
    if settings.data_root is not None:  # it is looked for again, from other folders
        settings = settings.model_copy(update={"data_root": storage.absolute(settings.data_root)})
    return Plan(settings, run_id, claim, tuple(planned), protocol, profile, joint)


def without_effect(settings: Settings) -> list[str]:
    """Options that were given and change nothing, since the model is not trained in epochs."""
    if models.get(settings.model).is_network or isinstance(settings, EvaluateSettings):
        return []
    return [f"--{name}" for name in ("epochs", "recipe", "patience") if getattr(settings, name) is not None]


def _joint(planned: list[CorpusPlan], settings: Settings, recipe: Recipe | None) -> CorpusPlan:
    corpus = cross_corpus.card([one.corpus for one in planned])
    chosen = (recipe or RECIPES[corpus.recipe]).having(settings.epochs, settings.patience)
    return CorpusPlan(corpus, planned[0].source, settings.seeds or (FALLBACK_SEED,), corpus.n_folds, chosen)


def _weights(folder: str, corpus: CorpusPlan, planned: list[CorpusPlan]) -> dict[int, list[str]]:
    """The weight files of every seed: in a folder EMODB_46 … of the given one, or where it is alone in that itself."""
    given, found = Store(folder), {}
    for seed in corpus.seeds:
        own = f"{corpus.corpus.name}_{seed}"
        alone = len(planned) == 1 and len(corpus.seeds) == 1 and not given.exists(own)
        found[seed] = weights_files(folder if alone else given.at(own), corpus.n_folds)
    return found


def _claim(settings: Settings, planned: list[CorpusPlan]) -> dict[str, Any]:
    """The settings that can change a result; of files that they name, what is in them counts, not where they lie."""
    claim: dict[str, Any] = {"kind": settings.kind, **settings.model_dump(mode="json", exclude=set(WITHOUT_EFFECT))}
    claim["on_gpu"] = settings.gpus_per_fold > 0  # how large the share is changes nothing
    if settings.in_lockstep:  # how many folds are changes nothing
        claim["in_lockstep"] = True
    if settings.split_table is not None:
        claim["split_table"] = identity(fold_tables.read_user_table(settings.split_table).to_pylist())
    if isinstance(settings, EvaluateSettings):
        claim["weights"] = {
            f"{corpus.corpus.name} seed {seed}": identity([weights_sha256(file) for file in files])
            for corpus in planned
            for seed, files in (corpus.weights or {}).items()
        }
    return claim


def settings_path(run_id: str) -> str:
    return f"runs/{run_id}/settings.json"


def checked(settings: Settings) -> Plan:
    """A plan whose name is free or its own; raises what `plan` and `check_claim` raise, before anything is written."""
    planned = plan(settings)
    check_claim(planned, Store(settings.store))
    return planned


def checked_ablation(settings: AblationSettings) -> list[RunSettings]:
    """The run of each model of an ablation; raises like `checked`, for all of them before any begins."""
    twice = sorted({model for model in settings.models if settings.models.count(model) > 1})
    if twice:
        raise ConfigError(f"--models names {', '.join(twice)} twice; each model once.")
    claim = settings.model_dump(mode="json", exclude=set(WITHOUT_EFFECT) | {"models"})
    if settings.in_lockstep:
        claim["in_lockstep"] = True
    run_id = settings.run_id or f"ablation-{identity(claim)[:10]}"
    longest = max(map(len, settings.models))
    if len(run_id) + 1 + longest > MAX_RUN_ID:
        raise ConfigError(
            f"--run-id {run_id} is too long: each model's run is named after it and the model, and may have {MAX_RUN_ID} "
            f"letters in all. Allowed are {MAX_RUN_ID - 1 - longest} here."
        )
    each = [settings.of(model, run_id) for model in settings.models]
    for of_model in each:
        checked(of_model)
    return each


def check_claim(planned: Plan, store: Store) -> dict[str, Any] | None:
    """A run's name belongs to its settings: the same name with others would overwrite results. Raises ConfigError.

    Returns what the name is taken for, None where it is free.
    """
    theirs = _claimed(planned.run_id, store)
    if theirs is None:
        return None
    mine, their = planned.claim, theirs["settings"]
    differing = sorted(key for key in mine.keys() | their.keys() if mine.get(key) != their.get(key))
    if differing:
        listed = "; ".join(f"{key}: {their.get(key)} there, {mine.get(key)} now" for key in differing)
        raise _taken(planned.run_id, f"other settings ({listed})", store)
    return theirs


def take_name(planned: Plan, recordings: Mapping[str, str], store: Store) -> Plan:
    """The plan under the name that its results will have, which is written down as taken.

    `recordings` maps a corpus to the key of its manifest. A name stands for these, too: where results of others have
    the name already, a name that was given is refused with ConfigError, and one made from the settings gets an ending
    that is made from the recordings. Where there are no results yet, nothing is lost and the name is taken over.
    """
    theirs = _claimed(planned.run_id, store)
    if theirs is not None and theirs["recordings"] == recordings:
        return planned
    if theirs is not None and _results(planned.run_id, store):
        others = _others(theirs, recordings)
        if planned.settings.run_id is not None and not _DERIVED.match(planned.settings.run_id):
            raise _taken(planned.run_id, f"other recordings of {others}", store)
        ending = identity(dict(recordings))[:6]
        if planned.run_id.endswith(f"-{ending}"):
            raise _taken(planned.run_id, f"other recordings of {others}", store)
        ended = f"{planned.run_id[: MAX_RUN_ID - 1 - len(ending)]}-{ending}"
        return take_name(replace(planned, run_id=ended), recordings, store)
    store.write_json(settings_path(planned.run_id), {"settings": dict(planned.claim), "recordings": dict(recordings)})
    return planned


def check_name(planned: Plan, recordings: Mapping[str, str], store: Store) -> None:
    """Raises ConfigError where another run has taken the name since `take_name`."""
    theirs = check_claim(planned, store)
    if theirs is None or theirs["recordings"] != recordings:
        others = "recordings" if theirs is None else f"recordings of {_others(theirs, recordings)}"
        raise _taken(planned.run_id, f"other {others}, which began while this one worked", store)


def _claimed(run_id: str, store: Store) -> dict[str, Any] | None:
    """What the name is taken for; None where it is free. Raises ConfigError where results do not say what they are of."""
    path = settings_path(run_id)
    claimed = None
    if store.exists(path):
        try:
            claimed = store.read_json(path)
        except BrokenFileError:
            claimed = {}
        if isinstance(claimed, dict) and claimed.keys() == {"settings", "recordings"}:
            return claimed
    if claimed is not None or _results(run_id, store):
        raise ConfigError(
            f"{store.at('runs/' + run_id)} does not say what it is of: its settings.json is missing or broken. Use another "
            "--run-id, or delete that folder; folds that are finished lie elsewhere and are kept."
        )
    return None


def _results(run_id: str, store: Store) -> bool:
    return bool(set(store.children(f"runs/{run_id}")) - {"settings.json"})


def _others(theirs: Mapping[str, Any], recordings: Mapping[str, str]) -> str:
    return ", ".join(sorted(name for name in recordings if recordings[name] != theirs["recordings"].get(name)))


def _taken(run_id: str, what: str, store: Store) -> ConfigError:
    return ConfigError(
        f"--run-id {run_id} is taken by a run with {what}. Use another --run-id, or delete "
        f"{store.at('runs/' + run_id)}."
    )


def _corpus_names(settings: Settings) -> list[str]:
    names: list[str] = []
    for name in settings.corpora:
        names.extend(corpora.PUBLISHED if name.lower() == "all" else [name])
    canonical = {known.lower(): known for known in corpora.names()}
    names = [canonical.get(name.lower(), name) for name in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"--corpora names {', '.join(twice)} twice; each corpus once.")
    return names


def located_corpus(name: str, data_root: str) -> tuple[Corpus, Source]:
    """A known corpus or one of your own in a data root; raises ConfigError or CorpusError where it is not there."""
    known = {one.lower(): one for one in corpora.names()}
    name = known.get(name.lower(), name)
    if name == "DEMO":
        raise ConfigError("DEMO is made by the program when a run needs it: there is nothing to check.")
    if name in known.values():
        return corpora.get(name), corpora.locate(corpora.get(name), data_root)
    return folder.own(name, data_root)


def locate(name: str, data_root: str | None, store: Store) -> tuple[Corpus, Source]:
    """A corpus and where its recordings are read from, DEMO's in the store; raises ConfigError or CorpusError."""
    if name == "DEMO":
        return corpora.get(name), Source(store.at(f"corpora/DEMO-{demo.key()}"))
    if data_root is None and name in corpora.names():
        raise ConfigError(
            f"--corpora {name} needs --data-root DIR, the folder that holds {name}. {name} comes from: "
            f"{corpora.get(name).source}"
        )
    if data_root is None:
        raise ConfigError(
            f"There is no corpus {name!r}; allowed are {', '.join(corpora.names())} and all, or with --data-root DIR the "
            "name of a folder (a sub-folder per emotion) or of a table (CSV or Parquet) of your own recordings in it."
        )
    return located_corpus(name, data_root)


def _named(option: str, name: str, table: Mapping[str, Any]) -> Any:
    if name not in table:
        raise ConfigError(f"{option} {name}: allowed are {', '.join(table)}.")
    return table[name]
