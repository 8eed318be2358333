"""The page of benchmarks: ratios in one table, everything else in tables of its own."""

from tests.bench import memory, ratios


def test_ratios_come_first_with_median_spread_and_notes():
    rounds = [(4.0, 2.0), (3.0, 1.0), (9.0, 1.0)]
    page = ratios.table(
        [
            ratios.Table("Sizes", "Of shards.", ["codec", "size"], [["zstd", "1 MB"]], ["small"]),
            ratios.Ratio("reading", "making again", rounds, "3 files", ["twice"]),
            ratios.Ratio("once", "slow", [(5.0, 2.0)], "1 file"),
        ]
    )
    assert page.splitlines() == [
        "| what | reference | reference | ours | ratio |",
        "| --- | --- | --- | --- | --- |",
        "| reading (3 files) | making again | 4.00 s | 1.00 s | **3.0** (2.0 to 9.0) |",
        "| once (1 file) | slow | 5.00 s | 2.00 s | **2.5** |",
        "",
        "- reading: twice.",
        "",
        "## Sizes",
        "",
        "Of shards.",
        "",
        "| codec | size |",
        "| --- | --- |",
        "| zstd | 1 MB |",
        "",
        "- small.",
    ]


def test_private_memory_is_what_a_process_has_written():
    import os

    before = memory.private(os.getpid())
    held = bytearray(os.urandom(1 << 20) * 64)
    assert memory.private(os.getpid()) - before > 0.9 * len(held)
