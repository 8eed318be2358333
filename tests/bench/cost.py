"""What the published table costs in time and money: `python -m tests.bench.cost` writes `docs/cost.md`.

Nothing is timed here. It is arithmetic from the corpora's sizes, the time of a training step and a price, all of which
are options; with one of them the page is printed and not written.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.bill import HOUR_S, Size, bill, fold_seconds, folds_per_device, sizes
from timnet.config import N_FOLDS, RECIPES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cost.md"

STEP_MS = 60.0  # the paper's, on an RTX 3090
CORE_STEP_MS = 194.0  # docs/benchmarks.md: 97 ms of wall time a step with two cores at work
GPUS, CORES, SEEDS, SHARE = (1, 8, 64), (2, 16, 64), (1, 10), 0.25
USD_PER_GPU_HOUR, USD_PER_CORE_HOUR = 2.0, 0.05  # assumptions

INTRODUCTION = """# What the published table costs

Made by `python -m tests.bench.cost`. The published table is {n_corpora} corpora of {n_folds} folds with one seed each,
{epochs} epochs: {n_trainings} trainings, {n_steps:,} steps of {batch_size} recordings. This page works out how long that takes and
what it costs, on GPUs and on CPUs. It is arithmetic: nobody has run all of it here.

{corpora}

The last column is frames times blocks: what a step computes, against EMO-DB's.

## On GPUs

**No GPU was measured.** The paper reports {step_ms:g} ms a step on an RTX 3090, and does not say for which corpus. Two
assumptions therefore stand side by side. *Same step*: {step_ms:g} ms for every corpus, as where the time goes into starting
many small operations. *Growing step*: {step_ms:g} ms for EMO-DB, and more for others as they compute more. The price is an
assumption as well: {usd_per_gpu_hour:g} USD per GPU-hour, for all GPUs until the last fold has ended.
"""

GPU_NOTES = """
**The last wave.** A run begins the next fold as soon as a place is free, with the corpus whose folds are longest first. When
none is left to begin, GPUs wait for the last one. With {many} GPUs and {n_trainings} folds their places are taken {taken_same} or {taken_growing} of the time that
is paid for: a fold of IEMOCAP takes {longest_same} or {longest_growing}, and more GPUs make no fold shorter. More seeds fill
the gap. Beginning with the longest does, too: in the order of the table, one seed of the growing step on 8 GPUs would take
{in_order} instead of {longest_first}.

**Sharing a GPU.** `--gpus-per-fold {share:g}` puts {together} folds on one. What each loses by that depends on how much of a GPU
one fold leaves idle, and was not measured; the two lines are the ends. If each is as fast as alone, the bill falls to a
{together_word} as long as all places are taken. If they share the speed of one, nothing is gained, and with fewer folds than
places it is worse: Ray fills a GPU before it takes the next one of the node, and others stay empty. So let no more folds
share a GPU than it takes to begin all of them.

**Folds in lockstep.** `--folds-per-actor` trains several folds as one program, a step of all of them at once. What that
saves on a GPU is not measured ([GPUs](gpu.md)) and not in these tables.
"""

CPU_NOTES = """
## On CPUs

A step takes {core_step_ms:g} core-milliseconds at EMO-DB's size: 97 ms of wall time with two cores at work, each at a fold of its
own ([benchmarks](benchmarks.md), AMD EPYC with AVX-512, virtual; starting is included). Ten folds of 80 epochs with
three seeds took 50 and 63 minutes on two busy cores of another machine ([leakage](leakage.md)), 179 and 225 ms a step. Here a
step grows with what it computes. Measured once, IEMOCAP's took 4.5 times EMO-DB's processor time, where 4.0 is computed
(`python -m tests.bench.steps`, one core of a busy AMD EPYC). A core trains one fold at a time. {usd_per_core_hour:g} USD per
core-hour is an assumption.
"""

END = """
## What is left out, and what makes it cheaper

- Starting: the machine and its image, and about ten seconds in which each trainer starts TensorFlow, once.
- Features: 1.6 core-seconds an hour of audio ([benchmarks](benchmarks.md)).
- What a protocol looks at in every epoch: `published`, as here, looks at nothing but the last.
- The recipe `fast` has {fast} epochs instead of {published}: {fast_share} of everything above, but on a GPU where a step
  takes as long whatever it computes, for its batches are small ([the recipe](recipe.md)).
- A machine that is cheaper because it may be taken away: its folds go on elsewhere from their last checkpoint, at most
  `--checkpoint-every-epochs` epochs back.

## With your numbers

```
python -m tests.bench.cost --step-ms 25 --usd-per-gpu-hour 1.2 --gpus 4,16 --gpus-per-fold 0.5 --seeds 3
python -m tests.bench.cost --core-step-ms 200 --usd-per-core-hour 0.03 --cores 96 --epochs 80
```
"""


def hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / HOUR_S:,.1f} h"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def corpora_table(of: Sequence[Size], epochs: int) -> str:
    lines = [
        "| corpus | recordings | frames | blocks | steps an epoch | steps of ten folds | computation |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in of:
        steps = " or ".join(map(str, sorted(set(size.steps_per_epoch))))
        lines.append(
            f"| {size.name} | {size.n_utterances:,} | {size.model.n_frames} | {size.model.n_tabs} | {steps} | "
            f"{epochs * sum(size.steps_per_epoch):,} | {size.growth(of):.2f} x |"
        )
    return "\n".join(lines)


def gpu_table(of: Sequence[Size], seeds: int, given: argparse.Namespace) -> str:
    together = folds_per_device(given.gpus_per_fold)
    ways = [("1", 1, True)]
    if together > 1:
        part = f"{given.gpus_per_fold:g}"
        ways += [(f"{part}, each as fast as alone", together, True), (f"{part}, sharing the speed", together, False)]
    lines = [
        "| GPUs | `--gpus-per-fold` | folds at a time | same step: time | places taken | USD "
        "| growing step: time | places taken | USD |",
        "|" + "---|" * 9,
    ]
    for n_gpus in given.gpus:
        for name, per_gpu, as_fast in ways:
            cells: list[str] = []
            for grows in (False, True):
                folds = fold_seconds(of, given.epochs, seeds, given.step_ms, grows)
                one = bill(folds, n_gpus, per_gpu, as_fast)
                cells += [hours(one.elapsed_s), percent(one.taken), f"{one.paid_h * given.usd_per_gpu_hour:,.0f}"]
            lines.append(f"| {n_gpus} | {name} | {min(n_gpus * per_gpu, len(folds))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def core_table(of: Sequence[Size], given: argparse.Namespace) -> str:
    lines = ["| cores | seeds | time | core-hours | cores at work | USD |", "|---|---|---|---|---|---|"]
    for cores in given.cores:
        for seeds in given.seeds:
            one = bill(fold_seconds(of, given.epochs, seeds, given.core_step_ms, grows=True), cores)
            usd = one.paid_h * given.usd_per_core_hour
            lines.append(
                f"| {cores} | {seeds} | {hours(one.elapsed_s)} | {one.paid_h:,.0f} | {percent(one.taken)} | {usd:,.0f} |"
            )
    return "\n".join(lines)


def gpu_notes(of: Sequence[Size], given: argparse.Namespace) -> str:
    same, growing = (fold_seconds(of, given.epochs, 1, given.step_ms, grows) for grows in (False, True))
    many, together = max(given.gpus), folds_per_device(given.gpus_per_fold)
    return GPU_NOTES.format(
        many=many,
        n_trainings=len(same),
        taken_same=percent(bill(same, many).taken),
        taken_growing=percent(bill(growing, many).taken),
        longest_same=hours(max(same)),
        longest_growing=hours(max(growing)),
        longest_first=hours(bill(growing, 8).elapsed_s),
        in_order=hours(bill(fold_seconds(of, given.epochs, 1, given.step_ms, True, in_order=True), 8).elapsed_s),
        share=given.gpus_per_fold,
        together=together,
        together_word={2: "half", 3: "third", 4: "quarter"}.get(together, f"{together}th part"),
    )


def page(given: argparse.Namespace) -> str:
    of, published, fast = sizes(), RECIPES["published"], RECIPES["fast"]
    parts = [
        INTRODUCTION.format(
            **vars(given),
            n_corpora=len(of),
            n_folds=N_FOLDS,
            n_trainings=len(of) * N_FOLDS,
            n_steps=given.epochs * sum(sum(size.steps_per_epoch) for size in of),
            batch_size=published.batch_size,
            corpora=corpora_table(of, given.epochs),
        )
    ]
    for seeds in given.seeds:
        named = "One seed a corpus" if seeds == 1 else f"{seeds} seeds a corpus"
        parts.append(f"\n{named}, {len(of) * N_FOLDS * seeds} folds:\n\n{gpu_table(of, seeds, given)}\n")
    parts += [
        gpu_notes(of, given),
        CPU_NOTES.format(**vars(given)),
        f"\n{core_table(of, given)}\n",
        END.format(fast=fast.epochs, published=published.epochs, fast_share=percent(fast.epochs / published.epochs)),
    ]
    return "".join(parts)


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"a share of one GPU, above 0 and up to 1, received {text}")
    return value


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cost", description=__doc__)
    parser.add_argument("--epochs", type=int, default=RECIPES["published"].epochs)
    parser.add_argument("--seeds", type=numbers, default=SEEDS)
    parser.add_argument("--gpus", type=numbers, default=GPUS)
    parser.add_argument("--gpus-per-fold", type=share, default=SHARE)
    parser.add_argument("--step-ms", type=float, default=STEP_MS)
    parser.add_argument("--usd-per-gpu-hour", type=float, default=USD_PER_GPU_HOUR)
    parser.add_argument("--cores", type=numbers, default=CORES)
    parser.add_argument("--core-step-ms", type=float, default=CORE_STEP_MS)
    parser.add_argument("--usd-per-core-hour", type=float, default=USD_PER_CORE_HOUR)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options(sys.argv[1:] if arguments is None else arguments)
    text = page(given)
    if given == options([]):
        PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
