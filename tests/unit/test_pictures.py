"""The pictures of one recording: MFCCs, their colours, the waveform; and where shards of features are found."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from timnet import feature_shards, tables
from timnet.report import mfcc, waveform
from timnet.report.colours import scale
from timnet.report.mfcc import Timing
from timnet.store import Store

PADDED, CUT = Timing(1.0, 2.0, 0.1), Timing(3.0, 2.0, 0.1)


def lightness(rgb):
    """L* of CIELAB, which is another formula than the one that made the colours."""
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(y) - 16


def test_colours_are_even_to_the_eye_and_read_in_grey():
    colours = scale().astype(float)
    steps = np.diff(lightness(colours)[8::8])
    assert (steps > 0).all()
    assert steps.max() < 1.8 * steps.min()
    assert len(np.unique(scale(), axis=0)) > 250


def test_a_pixel_has_the_colour_of_its_value():
    values = np.array([[0.0, 10.0, 20.0], [20.0, 99.0, -99.0]])
    image = np.array(Image.open(io.BytesIO(mfcc.png(values, 0, 20))).convert("RGB"))
    low, middle, high = scale()[0], scale()[128], scale()[255]
    assert (image == [[low, middle, high], [high, high, low]]).all()
    flat = np.array(Image.open(io.BytesIO(mfcc.png(np.ones((2, 2)), 1, 1))).convert("RGB"))
    assert (flat == middle).all()


def pictures(drawing):
    root = ElementTree.fromstring(str(drawing.panels[0]))
    return root, [
        (np.array(Image.open(io.BytesIO(base64.b64decode(e.get("href").partition(",")[2]))).convert("RGB")), e)
        for e in root
        if e.tag == "image"
    ]


def test_coefficients_go_upwards_and_0_has_colours_of_its_own():
    features = np.zeros((21, 5), np.float32)
    features[:, 0] = np.linspace(-900, -100, 21)
    features[:, 4], features[:, 1] = 30, -20
    root, ((of_0, below), (others, above)) = pictures(mfcc.draw(features, PADDED, "x"))
    assert of_0.shape[:2] == (1, 21)
    assert others.shape[:2] == (4, 21)
    assert (others[0] == scale()[255]).all()  # the highest coefficient on top
    assert (others[-1] == scale()[0]).all()
    assert (of_0[0, 0] == scale()[0]).all()
    assert (of_0[0, -1] == scale()[255]).all()
    assert float(below.get("y")) > float(above.get("y")) + float(above.get("height"))
    assert "5 coefficients in 21 frames over 2.00 s, the recording 1.00 s of it" in root.get("aria-label")
    assert "the others from -20 to 30" in root.get("aria-label")


def test_time_is_that_of_the_recording():
    features = np.random.default_rng(0).normal(size=(21, 3)).astype(np.float32)
    assert PADDED.start_s == -0.5
    assert CUT.start_s == 0.5
    assert PADDED.inside(21).sum() == 11
    assert CUT.inside(21).all()
    drawing = mfcc.draw(features, PADDED, "x")
    assert "0.50 s of silence are added at each end" in drawing.caption
    assert "0.50 s are cut off at each end" in mfcc.draw(features, CUT, "x").caption
    assert str(drawing.panels[0]).count('class="limit"') == 2
    inside = features[5:16].astype(np.float64)
    expected = [inside.mean(axis=0), inside.std(axis=0), inside.min(axis=0), inside.max(axis=0)]
    table = np.array(drawing.numbers.rows, float)
    assert table[:, 0].tolist() == [0, 1, 2]
    assert table[:, 1:] == pytest.approx(np.transpose(expected), abs=0.006)


def test_waveform_and_its_levels():
    rate = 1000
    samples = np.concatenate([np.full(500, 0.5), np.full(500, -0.25)]).astype(np.float32)
    drawing = waveform.draw(samples, rate, PADDED, "x")
    assert "peak -6.0 dBFS" in drawing.panels[0]
    rows = np.array(drawing.numbers.rows, float)
    assert rows[:, 0] == pytest.approx(np.arange(10) / 10)
    assert rows[:, 2] == pytest.approx([-6.0] * 5 + [-12.0] * 5, abs=0.05)
    outline = re.search(r'class="envelope" points="([^"]+)"', drawing.panels[0])[1].split()
    x = [float(point.split(",")[0]) for point in outline]
    assert min(x) > 100  # silence that is added has no line: the picture of the MFCCs has the same time axis
    assert "No samples at full scale" in drawing.caption
    loud = np.zeros(100, np.float32)
    for n, said in ((1, " 1 sample at full scale."), (2, " 2 samples at full scale.")):
        loud[n] = 1
        assert waveform.draw(loud, rate, PADDED, "x").caption.endswith(said)
    assert "-120.0" in waveform.draw(np.zeros(7, np.float32), rate, PADDED, "x").numbers.rows[0]


@pytest.fixture
def shards(tmp_path):
    """150 utterances in three shards; the features of number i are i everywhere."""
    store = Store(str(tmp_path))
    schema = tables.features_schema(2, 3)
    for number, rows in enumerate(feature_shards.rows(150)):
        values = pa.array(np.repeat(np.array(rows, np.float32), 6))
        columns = [pa.array([f"u{i}" for i in rows]), pa.FixedSizeListArray.from_arrays(values, 6)]
        path = f"{feature_shards.shard_folder('f', number)}/{feature_shards.FEATURES_FILE}"
        store.write_table(path, pa.Table.from_arrays(columns, schema=schema), schema)
    store.mark_done("f", {"n_shards": 3, "n_frames": 2, "n_coefficients": 3})
    return store


def test_features_are_found_where_they_are_or_further_on(shards):
    for row, at_least in ((0, 0), (70, 70), (149, 149), (149, 3), (0, 149), (149, 999)):
        assert (feature_shards.find(shards, "f", f"u{row}", at_least) == np.full((2, 3), row)).all()
    assert feature_shards.find(shards, "f", "u150", 0) is None
    assert feature_shards.find(shards, "gone", "u1", 0) is None
    shards.remove("f/shard-00000/features.parquet")
    assert feature_shards.find(shards, "f", "u70", 70) is not None  # no other shard is read
    assert feature_shards.find(shards, "f", "u0", 0) is None
