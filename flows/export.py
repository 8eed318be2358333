"""`timnet export`: a trained model as a file for other programs, with its model card."""

import argparse
import os
import sys
from typing import Any

from flows.command import add_data_root, add_model
from flows.quiet import import_keras
from timnet.errors import ConfigError, ExportError

NOT_EXPORTED = 1  # exit status where the file could not be made, or does not give what the model gives
FORMATS = ("keras", "onnx", "tflite", "npz")  # of timnet.export.FORMATS, which takes a second to import


def add(groups: Any) -> None:
    """Add the command to the parser of `timnet`."""
    words = "write a trained model as a file for other programs, checked, with a model card beside it"
    parser = groups.add_parser("export", help=words, description=words, allow_abbrev=False)
    parser.set_defaults(action=_export)
    add_model(parser)
    parser.add_argument("--output", required=True, metavar="FILE", help="path or URI, ending in a dot and the format")
    parser.add_argument("--format", choices=FORMATS, help="[default: by the name of --output]")
    text = "folder or URI that holds the corpus: its recordings check the file where the store has no features"
    add_data_root(parser, text, required=False)


def _export(given: argparse.Namespace) -> None:
    suffix = os.path.splitext(given.output)[1].removeprefix(".")
    name = given.format or suffix
    if name not in FORMATS:
        raise ConfigError(f"--output {given.output}: its name ends in no format; allowed are .{', .'.join(FORMATS)}.")
    from timnet import export, models, trained
    from timnet.store import Store

    store = Store(given.store)
    model = trained.resolve(given.model, store, given.corpus, given.seed, given.fold)
    form = export.FORMATS[name]
    export.check_use(model, form, given.output)
    export.check_place(given.output)
    if models.get(model.model.name).is_network:
        import_keras()
    print(*trained.about(model), sep="\n")
    try:
        examples = export.examples(model, store, given.data_root)
        done = export.export(model, form, given.output, examples)
    except ExportError as error:
        print(f"timnet: {error}", file=sys.stderr)
        raise SystemExit(NOT_EXPORTED) from None
    print(" ".join([done.check.sentence, examples.where]).rstrip())
    print(f"Written: {done.path} ({done.n_bytes / 2**20:.1f} MiB)")
    print(f"Model card: {done.card}; for programs: {done.json}")
