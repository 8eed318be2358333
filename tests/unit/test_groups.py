"""Which folds are trained in lockstep together."""

from dataclasses import dataclass

import pytest

from tasks.cluster import most_in_lockstep
from tasks.groups import grouped


@dataclass(frozen=True)
class Settings:
    model: str = "timnet"
    recipe: str = "fast"


@dataclass(frozen=True)
class Job:
    corpus: str
    fold: int
    settings: Settings = Settings()


def sizes(jobs, most, n_actors, fill):
    return [[job.corpus + str(job.fold) for job in group] for group in grouped(jobs, most, n_actors, fill)]


def test_a_group_is_of_one_corpus_and_recipe_and_no_larger_than_asked_for():
    jobs = [Job("A", n) for n in range(4)] + [Job("B", n) for n in range(2)] + [Job("B", 2, Settings(recipe="other"))]
    assert sizes(jobs, 3, 1, False) == [["A0", "A1", "A2"], ["A3"], ["B0", "B1"], ["B2"]]


def test_auto_gives_every_actor_its_share_and_one_no_more_than_the_limit():
    jobs = [Job("A", n) for n in range(10)]
    assert [len(group) for group in sizes(jobs, 10, 1, True)] == [10]
    assert [len(group) for group in sizes(jobs, 10, 4, True)] == [3, 3, 3, 1]
    assert [len(group) for group in sizes(jobs + [Job("A", n) for n in range(10, 30)], 10, 2, True)] == [10, 10, 10]


@pytest.mark.parametrize(
    ("asked", "max_parallel", "expected"), [(3, None, 3), (3, 2, 2), ("auto", None, 10), ("auto", 4, 4), (3, 9, 3)]
)
def test_no_more_folds_are_at_work_than_may_be(asked, max_parallel, expected):
    assert most_in_lockstep(asked, max_parallel) == expected
