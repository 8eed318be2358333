"""Reading recordings, against librosa, and what is said of those that cannot be used."""

import io
import struct

import librosa
import numpy as np
import pytest
import soundfile

from timnet import audio
from timnet.errors import AudioError


def noise(*shape: int, peak: float = 0.5) -> np.ndarray:
    samples = np.random.default_rng(0).uniform(-1, 1, shape)
    return (samples * peak / np.abs(samples).max()).astype(np.float32)


def encoded(samples: np.ndarray, rate_hz: int = 16_000, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def with_comment(wav: bytes) -> bytes:
    """The same WAV with a chunk of metadata at its end."""
    chunk = b"LIST" + struct.pack("<I", 18) + b"INFOICMT" + struct.pack("<I", 6) + b"hello\0"
    return wav[:4] + struct.pack("<I", len(wav) - 8 + len(chunk)) + wav[8:] + chunk


# -- read -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*slated for removal:DeprecationWarning")  # librosa.load imports audioread
@pytest.mark.parametrize("n_channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")],
)
def test_read_gives_what_librosa_loads(n_channels, kind, subtype):
    data = encoded(noise(4_000, n_channels), 16_000, kind, subtype)
    expected, rate_hz = librosa.load(io.BytesIO(data), sr=None, mono=True)
    samples, sample_rate_hz = audio.read(data, "a")
    assert (samples.dtype, sample_rate_hz) == (np.float32, rate_hz)
    np.testing.assert_array_equal(samples, expected)


# -- inspect --------------------------------------------------------------------------------------------------------


def test_facts_of_a_recording():
    facts = audio.inspect(encoded(noise(22_050, 2), 44_100), "a.wav")
    assert (facts.duration_s, facts.sample_rate_hz, facts.n_channels, facts.problem) == (0.5, 44_100, 2, None)
    assert len(facts.audio_sha256) == 64


BROKEN = {
    "unreadable": (
        b"this is text",
        "x/a.wav cannot be read as audio (12 bytes; Format not recognised). Readable are WAV, FLAC, OGG, MP3, AIFF, AU "
        "and what else libsndfile reads. Copy or convert it again, or leave it out.",
    ),
    "empty": (b"", "x/a.wav is an empty file (0 bytes). Copy it again, or leave it out."),
    "not-finite": (
        encoded(np.array([0.5, np.nan, np.inf, 0.1] * 1_000, np.float32), subtype="FLOAT"),
        "x/a.wav has 2000 of 4000 samples that are not finite numbers (NaN or infinite). "
        "Convert it again, or leave it out.",
    ),
    "out-of-range": (
        encoded(np.array([0.5, 0.1, -1e30, 0.1] * 1_000, np.float32), subtype="FLOAT"),
        "x/a.wav has a sample of 1e+30, with full scale at 1; allowed are up to 2.15e+09. Convert it again, or leave it out.",
    ),
    "too-short": (
        encoded(noise(1_599)),
        "x/a.wav is 0.100 s long; an utterance has 0.1 s or more. Leave it out.",
    ),
    "silent": (
        encoded(np.zeros(16_000, np.float32)),
        "x/a.wav is silent: it has nothing but zeros; speech peaks above -80 dBFS. Leave it out.",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_inspect_says_what_is_wrong(kind):
    data, message = BROKEN[kind]
    assert audio.inspect(data, "x/a.wav").problem == (kind, message)


@pytest.mark.parametrize("kind", ["unreadable", "empty", "not-finite", "out-of-range"])
def test_read_refuses_what_has_no_samples_to_work_on(kind):
    data, message = BROKEN[kind]
    with pytest.raises(AudioError) as error:
        audio.read(data, "x/a.wav")
    assert str(error.value) == message


def test_channels_whose_sum_is_no_number_are_out_of_range():
    loud = np.full((4_000, 2), 3e38, np.float32)
    assert audio.inspect(encoded(loud, subtype="FLOAT"), "a").problem[0] == "out-of-range"
    loud[7, 1] = np.nan
    kind, message = audio.inspect(encoded(loud, subtype="FLOAT"), "a").problem
    assert kind == "not-finite"
    assert "1 of 4000 samples" in message


@pytest.mark.parametrize("kind", ["too-short", "silent"])
def test_read_takes_what_is_only_useless(kind):
    samples, _ = audio.read(BROKEN[kind][0], "x/a.wav")
    assert len(samples)


def test_header_without_samples():
    problem = audio.inspect(encoded(np.zeros(0, np.float32)), "a.wav").problem
    assert problem == ("empty", "a.wav has a header but no samples. Copy it again, or leave it out.")


@pytest.mark.parametrize("rate_hz", [1, 3_999, 768_001])
def test_header_with_an_impossible_sample_rate(rate_hz):
    wav = bytearray(encoded(noise(4_000)))
    wav[24:28] = struct.pack("<I", rate_hz)
    kind, message = audio.inspect(bytes(wav), "a.wav").problem
    assert kind == "unreadable"
    assert message == (
        f"a.wav says that its sample rate is {rate_hz} Hz; allowed are 4000 to 768000 Hz. Its header is broken: "
        "convert it again, or leave it out."
    )


@pytest.mark.parametrize("n_samples", [1_600, 48_000])
def test_a_tenth_of_a_second_is_long_enough(n_samples):
    assert audio.inspect(encoded(noise(n_samples)), "a").problem is None


def test_quiet_speech_is_not_silence():
    assert audio.inspect(encoded(noise(16_000, peak=10 ** (-79 / 20)), subtype="FLOAT"), "a").problem is None
    assert audio.inspect(encoded(noise(16_000, peak=5 / 2**15)), "a").problem is None
    kind, message = audio.inspect(encoded(noise(16_000, peak=10 ** (-81 / 20)), subtype="FLOAT"), "a.wav").problem
    assert kind == "silent"
    assert message == "a.wav is silent: it has a peak of -81.0 dBFS; speech peaks above -80 dBFS. Leave it out."


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF"])
def test_a_broken_file_never_raises(kind):
    whole = encoded(noise(3_000), kind=kind)
    for length in range(1, len(whole), 97):
        facts = audio.inspect(whole[:length], "a")
        assert facts.problem is None or (facts.problem[0] in {*BROKEN, "truncated"} and "a " in facts.problem[1])


# -- the hash ---------------------------------------------------------------------------------------------------------


def test_identical_recordings_have_the_same_hash():
    samples = (noise(8_000) * 2**15).astype(np.int16)
    wav = encoded(samples)
    same = {
        "again": encoded(samples.copy()),
        "with metadata": with_comment(wav),
        "FLAC": encoded(samples, kind="FLAC"),
        "more bits": encoded(soundfile.read(io.BytesIO(wav), dtype="float32")[0], subtype="PCM_24"),
        "channel doubled": encoded(np.stack([samples, samples], axis=1)),
    }
    assert with_comment(wav) != wav
    expected = audio.inspect(wav, "a").audio_sha256
    assert {what: audio.inspect(data, "b").audio_sha256 == expected for what, data in same.items()} == dict.fromkeys(
        same, True
    )


def test_other_recordings_have_another_hash():
    samples = noise(8_000)
    one_step = samples.copy()
    one_step[4_000] += 1 / 2**15
    others = [samples, one_step, samples[:-1], -samples, samples[::-1]]
    hashes = {audio.inspect(encoded(other), "a").audio_sha256 for other in others}
    hashes.add(audio.inspect(encoded(samples, 22_050), "a").audio_sha256)
    assert len(hashes) == 6


# -- centre -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "n_samples", "expected"),
    [
        ([1, 2], 4, [0, 1, 2, 0]),
        ([1, 2], 5, [0, 1, 2, 0, 0]),  # the extra zero at the end
        ([1, 2, 3], 3, [1, 2, 3]),
        ([1, 2, 3, 4], 2, [2, 3]),
        ([1, 2, 3, 4, 5], 2, [2, 3]),  # the extra sample cut at the end
        ([1, 2, 3, 4], 3, [1, 2, 3]),
        ([], 2, [0, 0]),
    ],
)
def test_centre(samples, n_samples, expected):
    centred = audio.centre(np.array(samples, np.float32), n_samples)
    assert centred.dtype == np.float32
    assert centred.tolist() == expected


@pytest.mark.parametrize("n_samples", [100, 101, 999])
def test_centre_pads_as_librosa_does(n_samples):
    samples = noise(100)
    np.testing.assert_array_equal(audio.centre(samples, n_samples), librosa.util.pad_center(samples, size=n_samples))


# -- real recordings --------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_emodb(shared):
    facts = {
        path.name: audio.inspect(path.read_bytes(), path.name) for path in (shared / "corpora/EMODB/wav").iterdir()
    }
    assert [found.problem for found in facts.values() if found.problem] == []
    durations_s = [found.duration_s for found in facts.values()]
    assert (round(min(durations_s), 2), round(max(durations_s), 2), len(facts)) == (1.23, 8.98, 535)
    assert {(found.sample_rate_hz, found.n_channels) for found in facts.values()} == {(16_000, 1)}
    assert len({found.audio_sha256 for found in facts.values()}) == 535


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU"])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_file_that_was_cut_off_is_said_to_be(kind, subtype):
    """libsndfile reads what is there and says nothing."""
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(16_001) / 20).astype(np.float32), 16_000, format=kind, subtype=subtype)
    whole = file.getvalue()
    assert audio.inspect(whole, "a").problem is None
    assert audio.inspect(whole + b"LIST\x04\0\0\0abcd", "a").problem is None
    found = audio.inspect(whole[: len(whole) // 2], "a.wav").problem
    missing = len(whole) - len(whole) // 2
    assert found is not None
    assert found[0] == "truncated"
    assert f"a.wav is cut off: its header promises {missing} bytes more than the {len(whole) // 2} that" in found[1]


def test_a_streamed_recording_of_unknown_length_is_whole():
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(16_000) / 20), 16_000, format="WAV")
    whole = bytearray(file.getvalue())
    at = whole.index(b"data")
    whole[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    assert audio.inspect(bytes(whole), "a.wav").problem is None
