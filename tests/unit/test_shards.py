"""What a worker does with a shard, called here without Ray; tests/integration has it on Ray."""

import numpy as np
import pytest
import soundfile

from tasks import shards
from timnet import audio, tables
from timnet.corpora.base import Source
from timnet.errors import AudioError
from timnet.features import FEATURES
from timnet.store import Store

PROFILE, N_SAMPLES = FEATURES["soxr_hq"], 8192
extract = shards.extract_shard._function


@pytest.fixture
def source(tmp_path):
    (tmp_path / "corpus").mkdir()
    for i in range(2):
        tone = np.sin(np.arange(8000) * (0.1 + i / 10)).astype(np.float32)
        soundfile.write(tmp_path / f"corpus/{i}.wav", 0.5 * tone, 16_000)
    return Source(str(tmp_path / "corpus"))


def recordings(source):
    return [(name[:-4], name, audio.inspect(source.read_bytes(name), name).audio_sha256) for name in ("0.wav", "1.wav")]


def test_a_shard_is_committed_with_its_features(source, tmp_path):
    store = Store(str(tmp_path / "store"))
    extract(store, "shard", source, recordings(source), PROFILE, N_SAMPLES)
    assert store.is_done("shard")
    table = store.read_table("shard/features.parquet")
    assert table["utterance_id"].to_pylist() == ["0", "1"]
    shape = int(table.schema.metadata[b"n_frames"]), int(table.schema.metadata[b"n_coefficients"])
    assert table.schema.equals(tables.features_schema(*shape))


def test_a_recording_that_was_exchanged_after_the_scan_stops_the_shard(source, tmp_path):
    store, scanned = Store(str(tmp_path / "store")), recordings(source)
    (tmp_path / "corpus/0.wav").write_bytes(source.read_bytes("1.wav"))
    with pytest.raises(AudioError, match=r"0\.wav is another recording than when it was scanned"):
        extract(store, "shard", source, scanned, PROFILE, N_SAMPLES)
    assert not store.is_done("shard")
