"""Recordings for a browser: found in their corpus's place, checked against the scan, converted where it must be."""

import io

import numpy as np
import pytest
import soundfile

from timnet import audio, playback
from timnet.corpora import demo
from timnet.errors import AudioError, ConfigError, CorpusError
from timnet.store import Store

SAMPLES = (0.5 * np.sin(np.arange(4000) / 7)).astype(np.float32)


def recorded(format, subtype=None, samples=SAMPLES):
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "subtype", "content_type"),
    [
        ("WAV", "PCM_16", "audio/wav"),
        ("WAV", "FLOAT", "audio/wav"),
        ("WAVEX", "PCM_24", "audio/wav"),
        ("FLAC", None, "audio/flac"),
        ("MP3", None, "audio/mpeg"),
        ("OGG", "VORBIS", "audio/ogg"),
        ("OGG", "OPUS", "audio/ogg"),
    ],
)
def test_what_browsers_play_stays_as_it_is(format, subtype, content_type):
    data = recorded(format, subtype)
    assert playback.playable(data, "x") == (data, content_type, None)


@pytest.mark.parametrize(
    ("format", "subtype"),
    [("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16"), ("WAV", "IMA_ADPCM"), ("WAV", "DOUBLE")],
)  # fmt: skip
def test_everything_else_becomes_a_wav_of_the_same_samples(format, subtype):
    data = recorded(format, subtype, np.stack([SAMPLES, -SAMPLES], axis=1))
    played, content_type, converted_from = playback.playable(data, "x")
    assert content_type == "audio/wav"
    assert converted_from == f"{format} {subtype}"
    as_played, as_recorded = (soundfile.read(io.BytesIO(one), dtype="float32") for one in (played, data))
    assert as_played[1] == as_recorded[1] == 16_000
    assert as_played[0].shape == as_recorded[0].shape
    assert np.abs(as_played[0] - as_recorded[0]).max() < 1e-4


def test_what_is_no_recording_is_said():
    with pytest.raises(AudioError, match=r"x\.wav cannot be converted for a browser"):
        playback.playable(b"no sound at all", "x.wav")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data" / "OWN" / "happy" / "ann"
    folder.mkdir(parents=True)
    (folder / "1.wav").write_bytes(recorded("WAV", "PCM_16"))
    (folder / "2.wav").write_bytes(recorded("WAV", "PCM_16", SAMPLES[:3000]))
    (tmp_path / "data/OWN/sad").mkdir()
    (tmp_path / "data/OWN/sad/3.wav").write_bytes(recorded("WAV", "PCM_16"))
    return tmp_path / "data"


def row(path, data):
    samples, rate_hz = audio.read(data, path)
    return {"path": path, "audio_sha256": audio.sha256(samples, rate_hz)}


def test_a_recording_is_read_from_the_run_s_data_root_or_from_another(root, tmp_path):
    store, facts = Store(str(tmp_path / "store")), row("happy/ann/1.wav", recorded("WAV", "PCM_16"))
    at_home = playback.Recordings(store, {"settings": {"data_root": str(root)}})
    elsewhere = playback.Recordings(store, {"settings": {"data_root": "/nowhere"}}, str(root))
    for recordings in (at_home, elsewhere):
        sound = recordings.sound("OWN", False, facts)
        assert not sound.changed
        assert sound.data == (root / "OWN/happy/ann/1.wav").read_bytes()
        assert sound.duration_s == 0.25
    joint = at_home.sound("CROSS", True, {**facts, "path": "OWN/happy/ann/1.wav"})
    assert joint.data == sound.data


def test_another_recording_under_the_name_is_noticed(root, tmp_path):
    recordings = playback.Recordings(Store(str(tmp_path / "store")), {"settings": {"data_root": str(root)}})
    facts = row("happy/ann/1.wav", recorded("WAV", "PCM_16"))
    (root / "OWN/happy/ann/1.wav").write_bytes((root / "OWN/happy/ann/2.wav").read_bytes())
    assert recordings.sound("OWN", False, facts).changed


def test_what_is_gone_is_said_and_may_come_back(root, tmp_path):
    store, facts = Store(str(tmp_path / "store")), row("happy/ann/1.wav", recorded("WAV", "PCM_16"))
    recordings = playback.Recordings(store, {"settings": {"data_root": str(root)}})
    root.rename(tmp_path / "away")
    noted = r" \(looked for .*\)\. That is what the run noted; say where they are now with --data-root DIR\.$"
    with pytest.raises(CorpusError, match=rf"--data-root .*/data is not there.*{noted}"):
        recordings.sound("OWN", False, facts)
    with pytest.raises(CorpusError, match=r"--data-root /nowhere is not there.* \(looked for /nowhere\)\.$"):
        playback.Recordings(store, {"settings": {"data_root": None}}, "/nowhere").sound("OWN", False, facts)
    (tmp_path / "away").rename(root)
    assert not recordings.sound("OWN", False, facts).changed
    (root / "OWN/happy/ann/1.wav").unlink()
    with pytest.raises(CorpusError, match=r"1\.wav is missing"):
        recordings.sound("OWN", False, facts)
    with pytest.raises(ConfigError, match=r"does not say where the recordings of OWN lie\. Give --data-root DIR"):
        playback.Recordings(store, {"settings": {"data_root": None}}).sound("OWN", False, facts)


def test_the_demo_s_recordings_lie_in_the_store(tmp_path):
    store, path, data = Store(str(tmp_path)), *next(demo.generate())
    store.write_bytes(f"{demo.folder()}/{path}", data)
    sound = playback.Recordings(store, {"settings": {"data_root": None}}).sound("DEMO", False, row(path, data))
    assert sound.data == data
    assert not sound.changed
