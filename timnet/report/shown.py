"""A stored run as the pages of `timnet show` need it: its tables, its recordings and its features."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from timnet import feature_shards, run_files
from timnet.config import SAMPLE_RATE_HZ
from timnet.cross_corpus import corpus_of
from timnet.errors import TimnetError
from timnet.features import FeatureProfile, extract
from timnet.playback import Recordings, Sound
from timnet.report.mfcc import Timing
from timnet.report.ranking import Ranked, Ranking, rankings
from timnet.store import Store


@dataclass(frozen=True)
class Shown:
    """A run with a report, as its pages need it."""

    store: Store
    facts: Mapping[str, Any]  # run.json
    summary: Mapping[str, Any]  # summary.json
    rankings: Sequence[Ranking]  # one a corpus
    recordings: Recordings

    @classmethod
    def of(cls, store: Store, run_id: str, data_root: str | None = None) -> "Shown":
        """Raises StoreError where the run has no report, or a table of it is missing."""
        facts, summary = run_files.facts(store, run_id), run_files.summary(store, run_id)
        return cls(store, facts, summary, rankings(store, run_id, facts), Recordings(store, facts, data_root))

    def ranking(self, corpus: str | None) -> Ranking | None:
        """The corpus of that name, the first where none is named; None where there is no such corpus."""
        return next((one for one in self.rankings if corpus in (None, one.corpus)), None)

    def find(self, address: str) -> tuple[Ranking, Ranked] | None:
        """The utterance of an address CORPUS/ID; None where the run's tables have none of that name."""
        for ranking in self.rankings:
            name = address.removeprefix(f"{ranking.corpus}/")
            if name != address and name in ranking.by_name:
                return ranking, ranking.by_name[name]
        return None

    def sound(self, ranking: Ranking, one: Ranked) -> Sound:
        """Raises like Recordings.sound."""
        return self.recordings.sound(ranking.corpus, ranking.sources is not None, one.facts)

    def unheard(self, ranking: Ranking) -> str | None:
        """Why no recording of a corpus can be played, where that is so."""
        try:
            self.recordings.locate(ranking.sources or [ranking.corpus])
        except TimnetError as error:
            return f"The recordings cannot be played: {error}"
        return None

    def silent(self, ranking: Ranking, some: Sequence[Ranked]) -> list[str | None]:
        """Why each of these recordings cannot be played, as far as that is to be seen without opening it."""

        def why(one: Ranked) -> str | None:
            try:
                there = self.recordings.is_there(ranking.corpus, ranking.sources is not None, one.facts)
            except TimnetError as error:
                return f"The recording cannot be played: {error}"
            return None if there else "The recording is missing."

        with ThreadPoolExecutor() as threads:  # on S3 each is a question to the server
            return list(threads.map(why, some))

    @cached_property
    def profile(self) -> FeatureProfile | None:
        """How the features were made; None where another version of the program says it in other words."""
        try:
            return FeatureProfile(**self.facts["features"])
        except TypeError:
            return None

    def timing(self, ranking: Ranking, one: Ranked) -> Timing | None:
        """Where the recording lies in what the model was given; None where the run does not say."""
        if self.profile is None:
            return None
        signal_s = ranking.facts["signal_length"] / SAMPLE_RATE_HZ
        return Timing(one.facts["duration_s"], signal_s, self.profile.hop_samples / self.profile.sample_rate_hz)

    def features(self, ranking: Ranking, one: Ranked, sound: Sound | None) -> np.ndarray | None:
        """What the model was given, float32 (n_frames, n_coefficients).

        From the store, or else made again of the sound; None where there is neither.
        """
        folders, name, at_least = ranking.facts["features"], one.name, one.row
        if ranking.sources is None:
            folder = folders[0]
        else:
            corpus = corpus_of(name)
            folder = folders[ranking.sources.index(corpus)]
            at_least -= ranking.first_rows[corpus]
            name = name.removeprefix(f"{corpus}/")
        found = feature_shards.find(self.store, folder, name, at_least)
        if found is None and sound is not None and self.profile is not None:
            return extract(sound.samples, sound.sample_rate_hz, self.profile, ranking.facts["signal_length"])
        return found
