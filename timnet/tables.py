"""One pyarrow schema per table that the store holds; every Parquet file is written and read through one of them."""

from collections.abc import Sequence

import pyarrow as pa

from timnet.errors import StoreError

MANIFEST = pa.schema(
    [
        pa.field("utterance_id", pa.string(), nullable=False),  # path without suffix, unique inside the corpus
        pa.field("path", pa.string(), nullable=False),  # relative to the corpus root, with forward slashes
        pa.field("audio_sha256", pa.string(), nullable=False),  # of the decoded samples, see audio.inspect
        pa.field("speaker", pa.string()),  # null where the corpus does not say
        pa.field("sentence", pa.string()),
        pa.field("session", pa.string()),
        pa.field("emotion", pa.string(), nullable=False),
        pa.field("class_index", pa.int32(), nullable=False),  # into the corpus's labels
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("sample_rate_hz", pa.int32(), nullable=False),
        pa.field("n_channels", pa.int32(), nullable=False),
    ]
)

# Of the recordings of a manifest, in its order: what a recording is compared with when it is predicted.
LEVELS = pa.schema(
    [
        pa.field("utterance_id", pa.string(), nullable=False),
        pa.field("peak_dbfs", pa.float64(), nullable=False),  # 0 is full scale
        pa.field("rms_dbfs", pa.float64(), nullable=False),  # of the whole recording
    ]
)

FOLDS = pa.schema(
    [
        pa.field("fold", pa.int32(), nullable=False),  # counted from 1
        pa.field("utterance_id", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),  # train, validation or test
    ]
)

HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # counted from 1
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("train_loss", pa.float64(), nullable=False),  # as optimised: label smoothing and dropout on
        pa.field("train_accuracy", pa.float64(), nullable=False),
        pa.field("validation_loss", pa.float64()),  # null where the protocol has no validation part
        pa.field("validation_accuracy", pa.float64()),
        pa.field("test_loss", pa.float64()),  # null unless the protocol looks at the test part in every epoch
        pa.field("test_accuracy", pa.float64()),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("corpus", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("fold", pa.int32(), nullable=False),
        pa.field("utterance_id", pa.string(), nullable=False),
        pa.field("speaker", pa.string()),
        pa.field("emotion", pa.string(), nullable=False),
        pa.field("predicted", pa.string(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # in the order of the corpus's labels
        pa.field("embedding", pa.list_(pa.float32()), nullable=False),  # the features before the classifier
    ]
)

# Where the test part chose the epoch: what honest choices would have predicted, in the order of the predictions.
CHOICES = pa.schema(
    [
        pa.field("choice", pa.string(), nullable=False),  # last or validation
        pa.field("epoch", pa.int32(), nullable=False),  # counted from 1; 0 where there are no epochs
        pa.field("utterance_id", pa.string(), nullable=False),
        pa.field("predicted", pa.string(), nullable=False),
    ]
)

METRICS = pa.schema(
    [
        pa.field("corpus", pa.string(), nullable=False),
        pa.field("seed", pa.int64()),  # null in a row over all seeds
        pa.field("fold", pa.int32()),  # null in a row pooled over the folds
        pa.field("metric", pa.string(), nullable=False),  # war, uar, f1_macro, recall, precision, f1
        pa.field("emotion", pa.string()),  # null where the metric is not of one class
        pa.field("value", pa.float64(), nullable=False),
        pa.field("n_utterances", pa.int64(), nullable=False),
    ]
)


def predicted_schema(labels: Sequence[str]) -> pa.Schema:
    """Schema of what `timnet predict` writes: a row a recording, and after it one a window of a long recording."""
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("window", pa.int32()),  # counted from 1; null in the row of the whole recording
            pa.field("start_s", pa.float64()),  # null, as all down to sample_rate_hz, where there is an error
            pa.field("end_s", pa.float64()),
            pa.field("emotion", pa.string()),
            *(pa.field(f"p_{label}", pa.float32()) for label in labels),  # mean over the folds
            *(pa.field(f"sd_{label}", pa.float32()) for label in labels),  # over the folds, n - 1
            pa.field("disagreement", pa.float64()),  # share of the folds whose own answer is another
            pa.field("sound", pa.float64()),  # share that is not silence
            pa.field("sample_rate_hz", pa.int32()),
            pa.field("warnings", pa.list_(pa.string()), nullable=False),  # of the recording; empty in rows of windows
            pa.field("error", pa.string()),  # null where the recording could be read
        ]
    )


def features_schema(n_frames: int, n_coefficients: int) -> pa.Schema:
    """Schema of a feature shard: one row an utterance, its (n_frames, n_coefficients) float32 matrix row by row."""
    return pa.schema(
        [
            pa.field("utterance_id", pa.string(), nullable=False),
            pa.field("features", pa.list_(pa.float32(), n_frames * n_coefficients), nullable=False),
        ],
        metadata={"n_frames": str(n_frames), "n_coefficients": str(n_coefficients)},
    )


def check(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """Return the table if it has exactly the schema's columns and types; raises StoreError naming what differs."""
    if differing := differences(table, schema):
        raise StoreError(f"{where} does not have the columns of its table ({differing}).")
    return table


def differences(table: pa.Table, schema: pa.Schema) -> str:
    """What is not as the schema has it, for a message; empty where all of it is."""
    if table.schema.equals(schema):
        return ""
    expected = {f.name: str(f.type) for f in schema}
    received = {f.name: str(f.type) for f in table.schema}
    differing = sorted(
        f"{name}: expected {expected.get(name, 'no such column')}, received {received.get(name, 'no such column')}"
        for name in expected.keys() | received.keys()
        if expected.get(name) != received.get(name)
    )
    return "; ".join(differing) or "their order or nullability differs"
