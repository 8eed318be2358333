"""What is meant by the name of a model on the command line."""

from dataclasses import replace

from timnet import run_files, storage
from timnet.errors import ConfigError
from timnet.store import Store
from timnet.trained.base import Trained
from timnet.trained.given import SUFFIXES, published
from timnet.trained.npz import SUFFIX, of_file
from timnet.trained.run import of_run


def resolve(
    model: str, store: Store, corpus: str | None = None, seed: int | None = None, fold: int | None = None
) -> Trained:
    """The model of that name: a run of the store, else a file or folder.

    A name that ends as files of models do is a file; `./NAME` is a folder even where a run has the name, too. Raises
    ConfigError where there is neither, and what `of_run`, `of_file` and `published` raise.
    """
    if model.endswith(SUFFIX):
        return _some(of_file(model), model, corpus, seed, fold)
    if not model.endswith(SUFFIXES):
        store.check()
        if run_files.exists(store, model):
            return of_run(store, model, corpus, seed, fold)
        if not (model and _is_folder(model)):
            there = ", ".join(run_files.names(store)) or "none"
            raise ConfigError(
                f"--model {model or 'with no name'} is neither a run in {store.uri} nor a file or folder. Allowed are one of the runs there "
                f"({there}), a file .npz that `timnet export` wrote, and a file .hdf5 of released weights or their folder."
            )
    trained = published(model, corpus, fold)
    _check_seed(trained, model, seed)
    return trained


def _is_folder(path: str) -> bool:
    try:
        return storage.names_in(path) is not None
    except (OSError, ValueError):
        return False


def _some(trained: Trained, model: str, corpus: str | None, seed: int | None, fold: int | None) -> Trained:
    """The folds of a file that are wanted; its scores are those of all of them, and so of no part."""
    names = {trained.corpus.lower()} | {one.trained_on.lower() for one in trained.folds if one.trained_on}
    if corpus is not None and corpus.lower() not in names:
        raise ConfigError(f"--corpus {corpus}: {model} was trained on {trained.corpus}.")
    _check_seed(trained, model, seed)
    folds = tuple(
        one
        for one in trained.folds
        if seed in (None, one.seed)
        and fold in (None, one.fold)
        and (corpus is None or corpus.lower() in (trained.corpus.lower(), (one.trained_on or "").lower()))
    )
    if not folds:
        raise ConfigError(f"--fold {fold}: {model} holds {', '.join(one.name for one in trained.folds)}.")
    if len(folds) == len(trained.folds):
        return trained
    kept = {
        name: figures for name, figures in trained.scores.items() if name == "published"
    }  # which say of what they are
    return replace(trained, folds=folds, scores=kept)


def _check_seed(trained: Trained, model: str, seed: int | None) -> None:
    seeds = sorted({one.seed for one in trained.folds})
    if seed is not None and seed not in seeds:
        raise ConfigError(f"--seed {seed}: {model} has the seeds {', '.join(map(str, seeds))}.")
