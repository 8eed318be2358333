"""The MFCCs of one recording as a picture, with its numbers: what the model was given."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from timnet.report import svg
from timnet.report.colours import scale
from timnet.report.drawing import Drawing, Numbers

QUANTILES = (0.04, 0.96)  # ends of the colours: the few lowest coefficients, which vary most, do not darken all others
FIRST_ROW = 2.5  # coefficient 0 is two rows high, with a gap of one to coefficient 1: it begins so far below 0


@dataclass(frozen=True)
class Timing:
    """Where a recording lies in what the model is given, which is padded or cut around its middle."""

    duration_s: float  # of the recording
    signal_s: float  # of what the model is given
    hop_s: float  # from frame to frame

    @property
    def start_s(self) -> float:
        """Of the first frame's middle, in the recording's own time; negative where silence is put before it."""
        return (self.duration_s - self.signal_s) / 2

    @property
    def ends_s(self) -> tuple[float, float]:
        """What a time axis shows: what the model is given, half a frame more on both sides."""
        return self.start_s - self.hop_s / 2, self.start_s + self.signal_s + self.hop_s / 2

    def inside(self, n_frames: int) -> np.ndarray:
        """Which frames have their middle in the recording: bool (n_frames,), at least one."""
        middles = self.start_s + self.hop_s * np.arange(n_frames)
        inside = (middles >= 0) & (middles <= self.duration_s)
        return inside if inside.any() else np.ones(n_frames, bool)


def draw(features: np.ndarray, timing: Timing, name: str) -> Drawing:
    """A picture of float32 (n_frames, n_coefficients): time to the right, coefficients upwards, 0 in colours of its own."""
    n_frames, n_coefficients = features.shape
    inside = timing.inside(n_frames)
    frames_s = (timing.start_s - timing.hop_s / 2, timing.start_s + (n_frames - 0.5) * timing.hop_s)
    panel = svg.Panel(timing.ends_s, (-FIRST_ROW, n_coefficients - 0.5), height=250, margins=(20, 12, 34, 44))
    panel.axes("time in s")
    panel.text(panel.left, panel.top - 6, "coefficient", style="axis")
    parts = {"0": (0, 1, -FIRST_ROW, -0.5), "the others": (1, n_coefficients, 0.5, n_coefficients - 0.5)}
    ends = {}
    for part, (first, stop, bottom, top) in parts.items():
        if first == stop:
            continue
        values = features[:, first:stop]
        low, high = (float(end) for end in np.quantile(values[inside], QUANTILES))
        ends[part] = (low, high)
        _place(panel, png(values.T[::-1], low, high), frames_s, (bottom, top))
    panel.text(panel.left - 6, panel.y(-(FIRST_ROW + 0.5) / 2) + 4, "0", "end")
    for tick in (1, *(tick for tick in range(10, n_coefficients - 1, 10)), n_coefficients - 1):
        panel.text(panel.left - 6, panel.y(tick) + 4, str(tick), "end")
    for end_s in (0, timing.duration_s):
        if timing.ends_s[0] < end_s < timing.ends_s[1]:
            panel.line((end_s, end_s), (-FIRST_ROW, n_coefficients - 0.5), "limit")
    shown = "; ".join(f"coefficient {part} from {low:.0f} to {high:.0f}" for part, (low, high) in ends.items())
    says = (
        f"MFCCs of {name}: {n_coefficients} coefficients in {n_frames} frames over {timing.signal_s:.2f} s, the recording "
        f"{timing.duration_s:.2f} s of it; {shown.replace('coefficient the', 'the')}."
    )
    return Drawing(
        panels=[panel.svg(says)],
        legend=[
            (_colours(), f"{low:.0f} to {high:.0f}: coefficient {part}".replace("coefficient the others", "the others"))
            for part, (low, high) in ends.items()
        ],
        caption="What the model was given, dark for low values and light for high ones. Coefficient 0 goes with the "
        "loudness; it has colours of its own, as it dwarfs the others. What lies beyond the ends of a scale has the "
        f"colour of its end. {_fit(timing)}",
        numbers=_numbers(features[inside]),
    )


def png(values: np.ndarray, low: float, high: float) -> bytes:
    """A picture of values (n_rows, n_columns), a pixel each, the first row on top."""
    from PIL import Image

    share = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    image = Image.fromarray(np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8))
    image.putpalette(scale().tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _place(panel: svg.Panel, picture: bytes, x: tuple[float, float], y: tuple[float, float]) -> None:
    shape = Markup(
        '<image class="picture" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" preserveAspectRatio="none" href="{}"/>'
    )
    left, right, bottom, top = panel.x(x[0]), panel.x(x[1]), panel.y(y[0]), panel.y(y[1])
    panel.add(shape.format(left, top, right - left, bottom - top, _address(picture)))


def _address(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _colours() -> Markup:
    """The scale as a legend's sample."""
    shape = Markup(
        '<svg class="scale" viewBox="0 0 64 12" aria-hidden="true"><image class="picture" width="64" height="12" '
        'preserveAspectRatio="none" href="{}"/></svg>'
    )
    return shape.format(_address(png(np.arange(64)[None], 0, 63)))


def _fit(timing: Timing) -> str:
    missing_s = timing.signal_s - timing.duration_s
    if missing_s < 0:
        return f"The model sees {timing.signal_s:.2f} s: {-missing_s / 2:.2f} s are cut off at each end."
    return f"Between the dashed lines is the recording; {missing_s / 2:.2f} s of silence are added at each end."


def _numbers(features: np.ndarray) -> Numbers:
    rows = [
        [str(number), *(f"{value:.2f}" for value in (of_one.mean(), of_one.std(), of_one.min(), of_one.max()))]
        for number, of_one in enumerate(features.T.astype(np.float64))
    ]
    header = ["Coefficient", "Mean", "sd", "Lowest", "Highest"]
    return Numbers("Every coefficient over the frames of the recording, without added silence", header, rows)
