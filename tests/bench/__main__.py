"""All benchmarks of the page docs/benchmarks.md, one after the other: `make bench`."""

from pathlib import Path

from tests.bench import extraction, memory, overhead, ratios, stored, training, workers

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"

INTRODUCTION = """# Benchmarks

Made by `make bench` on {machine}. A ratio is the reference's time by ours, both measured in turn in the same run: the
median, and the smallest and largest round. References are what a user would write with the library alone.
"""


def main() -> None:
    found = [one for part in (extraction, workers, stored, training, overhead, memory) for one in part.main()]
    page = f"{INTRODUCTION.format(machine=ratios.machine())}\n{ratios.table(found)}\n"
    PAGE.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
