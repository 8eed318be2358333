"""The waveform of one recording as an envelope, with its level piece by piece."""

from itertools import pairwise

import numpy as np
from markupsafe import Markup

from timnet.report import svg, text
from timnet.report.drawing import Drawing, Numbers
from timnet.report.mfcc import Timing

COLUMNS = 280  # about one a pixel on a phone
PIECES = 10  # of the table
SILENT_DB = -120.0  # shown for nothing but zeros


def draw(samples: np.ndarray, sample_rate_hz: int, timing: Timing, name: str) -> Drawing:
    """The envelope of mono samples, float32 (n_samples,), over the same time as the picture of the MFCCs."""
    peak = float(np.abs(samples).max())
    reach = max(peak, 1e-6)
    panel = svg.Panel(timing.ends_s, (-reach, reach), height=110, margins=(20, 12, 34, 44))
    panel.axes("time in s")
    panel.text(panel.left, panel.top - 6, "waveform", style="axis")
    for at in (-reach, 0, reach):
        panel.text(panel.left - 6, panel.y(at) + 4, f"{at:.2f}", "end")
    edges = np.linspace(0, len(samples), min(COLUMNS, len(samples)) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    times_s = edges / sample_rate_hz
    first, last = timing.ends_s
    shown = (times_s >= first) & (times_s <= last)
    outline = [
        *zip(times_s[shown], high[shown], strict=True),
        *zip(times_s[shown][::-1], low[shown][::-1], strict=True),
    ]
    points = " ".join(f"{panel.x(t):.1f},{panel.y(float(value)):.1f}" for t, value in outline)
    panel.add(Markup('<polygon class="envelope" points="{}"/>').format(points))
    numbers = _numbers(samples, sample_rate_hz)
    says = (
        f"Waveform of {name}: {timing.duration_s:.2f} s, peak {_decibels(peak):.1f} dBFS, mean level "
        f"{_decibels(_rms(samples)):.1f} dBFS."
    )
    clipped = int((np.abs(samples) >= 0.9999).sum())
    at_full_scale = text.count(clipped, "sample") if clipped else "No samples"
    caption = f"Lowest and highest sample over time, full scale at 1. {at_full_scale} at full scale."
    return Drawing(panels=[panel.svg(says)], caption=caption, numbers=numbers)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _decibels(amplitude: float) -> float:
    return 20 * np.log10(amplitude) if amplitude > 10 ** (SILENT_DB / 20) else SILENT_DB


def _numbers(samples: np.ndarray, sample_rate_hz: int) -> Numbers:
    ends = np.linspace(0, len(samples), min(PIECES, len(samples)) + 1).astype(int)
    rows = []
    for start, stop in pairwise(ends):
        piece = samples[start:stop]
        levels = (_decibels(float(np.abs(piece).max())), _decibels(_rms(piece)))
        rows.append(
            [f"{start / sample_rate_hz:.2f}", f"{stop / sample_rate_hz:.2f}", *(f"{level:.1f}" for level in levels)]
        )
    return Numbers("Level of every tenth of the recording", ["From s", "To s", "Peak dBFS", "Mean dBFS"], rows)
