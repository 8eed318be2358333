"""`timnet predict`: the emotion in recordings, by a model that was trained before."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows import stopping
from flows.command import Environment, add_model
from flows.printing import lines, printable
from flows.quiet import import_keras
from timnet.errors import ConfigError
from timnet.urls import without_secrets

if TYPE_CHECKING:
    from timnet.predict import Answer, Input, Prediction
    from timnet.store import Store
    from timnet.trained import Trained

SOME_FAILED = 1  # exit status where a recording could not be read
FORMATS = ("table", "csv", "json", "parquet")
ENDINGS = {".txt": "table", ".csv": "csv", ".json": "json", ".parquet": "parquet"}  # of --output
IN_THIS_PROCESS = 64  # recordings; more go over Ray, whose workers take seconds to start


def add(groups: Any) -> None:
    """Add the command to the parser of `timnet`."""
    words = "say which emotion recordings have, with a model that was trained before"
    parser = groups.add_parser("predict", help=words, description=words, allow_abbrev=False)
    parser.set_defaults(action=_predict)
    parser.add_argument("inputs", nargs="+", metavar="FILE", help="recordings, and folders or URIs that hold some")
    add_model(parser)
    parser.add_argument("--format", choices=FORMATS, help="[default: by the name of --output, else table]")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to the terminal; Parquet needs it")
    parser.add_argument(
        "--window-hop",
        type=float,
        metavar="S",
        help="seconds from window to window of a long recording [default: half one]",
    )
    parser.add_argument(
        "--no-windows",
        action="store_true",
        help="hear only the middle of a long recording, as in training and its scores",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes for many recordings [default: one a CPU]")
    address = Environment().ray_address
    parser.add_argument(
        "--ray-address",
        default=address,
        metavar="ADDRESS",
        help=f"Ray cluster for more than {IN_THIS_PROCESS} recordings [default: {without_secrets(address or 'local')}]",
    )


def _predict(given: argparse.Namespace) -> None:
    form = _format(given)
    if given.no_windows and given.window_hop is not None:
        raise ConfigError("--window-hop and --no-windows exclude each other; give one of them.")
    if given.workers is not None and given.workers < 1:
        raise ConfigError(f"--workers {given.workers}: at least 1.")
    from timnet import trained
    from timnet.predict import find, place, window_hop_s
    from timnet.store import Store

    inputs = find(given.inputs)
    target = None if given.output is None else place(given.output, inputs, given.model)
    model = trained.resolve(given.model, Store(given.store), given.corpus, given.seed, given.fold)
    hop_s = window_hop_s(model, given.window_hop)
    predictions = _predicted(inputs, model, hop_s, given)
    _write(predictions, model, form, target)
    failed = [one for one in predictions if one.error]
    if failed:
        print(f"timnet: {len(failed)} of {len(predictions)} recordings could not be predicted:", file=sys.stderr)
        for one in failed:
            print(f"  {printable(str(one.error))}", file=sys.stderr)
        raise SystemExit(SOME_FAILED)


def _format(given: argparse.Namespace) -> str:
    by_name = "table" if given.output is None else ENDINGS.get(os.path.splitext(given.output)[1].lower())
    form = given.format or by_name
    if form is None:
        raise ConfigError(
            f"--output {given.output}: its name ends in no format; allowed are {', '.join(ENDINGS)}. Or give --format."
        )
    if form == "parquet" and given.output is None:
        raise ConfigError("--format parquet needs --output FILE: it is nothing for a terminal.")
    return form


def _predicted(
    inputs: "Sequence[Input]", model: "Trained", hop_s: float, given: argparse.Namespace
) -> "list[Prediction]":
    in_windows = not given.no_windows
    if len(inputs) > IN_THIS_PROCESS:
        from tasks.predict import predict_many

        def progress(n: int) -> None:
            print(f"  {n} of {len(inputs)} recordings", file=sys.stderr)

        with stopping.saying("Nothing was written."):  # but Ray is closed
            return predict_many(
                inputs,
                model,
                hop_s,
                in_windows=in_windows,
                address=given.ray_address,
                workers=given.workers,
                on_progress=progress,
            )
    from timnet import models
    from timnet.predict import Recogniser, predict

    if models.get(model.model.name).is_network:
        import_keras()
    return list(predict((one.read() for one in inputs), Recogniser(model), hop_s, in_windows=in_windows))


def _write(predictions: "list[Prediction]", model: "Trained", form: str, target: "tuple[Store, str] | None") -> None:
    """What was asked for, and what has to be known about it: above a table, else on the standard error."""
    from timnet import predict, tables, trained

    about = trained.about(model)
    if form == "table":
        text = "\n".join([*about, "", *_table(predictions, model.labels)]) + "\n"
    else:
        print(*about, sep="\n", file=sys.stderr)
    if form == "csv":
        text = predict.as_csv(predictions, model)
    elif form == "json":
        text = predict.as_json(predictions, model)
    if target is None:
        print(text, end="")
        return
    store, name = target
    if form == "parquet":
        table = predict.as_table(predictions, model)
        store.write_table(name, table, tables.predicted_schema(model.labels))
    else:
        store.write_bytes(name, text.encode())
    print(f"Written: {store.at(name)}", file=sys.stderr)


def _table(predictions: "list[Prediction]", labels: Sequence[str]) -> list[str]:
    """Probabilities in percent; the windows of a long recording below it, and every warning below the table."""
    rows = [("recording", "emotion", *labels, "folds that differ")]
    for one in predictions:
        if one.whole is None:
            rows.append((one.path, "–", *("–" for _ in labels), "–"))
            continue
        rows.append((one.path, *_cells(one.whole)))
        rows += [(f"  {answer.start_s:.1f} to {answer.end_s:.1f} s", *_cells(answer)) for answer in one.timeline]
    warnings = [printable(f"{one.path}: {warning}") for one in predictions for warning in one.warnings]
    return [*lines(rows), *(["", *(f"! {warning}" for warning in warnings)] if warnings else [])]


def _cells(answer: "Answer") -> tuple[str, ...]:
    percents = (f"{100 * probability:.0f} %" for probability in answer.probabilities)
    return (answer.emotion, *percents, f"{100 * answer.disagreement:.0f} %")
