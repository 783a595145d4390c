"""What will be looked up next: from logs in any order, by recency, frequency and the hour of the day."""

from __future__ import annotations

import datetime
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli import main
from gateway.edge_log.hours import HourlyLookups
from gateway.edge_log.lines import Line
from gateway.edge_log.predictor import Predictor

ID, OTHER = "a" * 64, "b" * 64


def looked_up(hour: int, path: str = f"/results/{ID}", **changed) -> Line:
    moment = datetime.datetime.fromtimestamp(hour * 3600 + 1800, datetime.UTC)
    return Line(**{"time": moment.isoformat(), "method": "GET", "path": path, "status": 200, "edge": "HIT"} | changed)


class TestHours:
    @given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([ID, OTHER])), max_size=40), st.randoms())
    def test_the_order_of_the_lines_does_not_matter(self, events, chance):
        lines = [looked_up(hour, f"/results/{each}") for hour, each in events]
        shuffled = list(lines)
        chance.shuffle(shuffled)
        results = []
        for order in (lines, shuffled):
            lookups = HourlyLookups(hours=24)
            for line in order:
                lookups.add(line)
            results.append(list(lookups))
        assert results[0] == results[1]

    def test_only_the_hours_that_a_result_lives_are_kept_without_gaps(self):
        lookups = HourlyLookups(hours=10)
        for hour in (1, 15, 20, 2):
            lookups.add(looked_up(hour))
        assert [(hour, sum(counts.values())) for hour, counts in lookups] == [
            (15, 1), (16, 0), (17, 0), (18, 0), (19, 0), (20, 1)
        ]  # fmt: skip

    def test_only_look_ups_that_were_answered_count(self):
        lookups = HourlyLookups(hours=10)
        for line in (
            looked_up(1, status=404),
            looked_up(1, method="DELETE"),
            looked_up(1, method="HEAD"),  # the warming itself
            looked_up(1, "/jobs/x"),
            looked_up(1, time="2026-13-45T99:00:00+00:00"),
            looked_up(1, time="2026-11-20T08:00:00"),
        ):
            lookups.add(line)
        assert list(lookups) == []
        lookups.add(looked_up(1, f"/results/{ID}/text", status=304))
        assert list(lookups) == [(1, {f"{ID}/text": 1})]

    def test_zones_are_told_apart(self):
        lookups = HourlyLookups(hours=10)
        lookups.add(looked_up(0, time="2026-11-20T08:10:00+08:00"))
        lookups.add(looked_up(0, time="2026-11-20T00:50:00+00:00"))
        assert [counts for _, counts in lookups] == [{ID: 2}]


def history(days: int, events) -> Predictor:
    """A predictor that has seen ``days`` whole days of ``events(day, hour)``, and was fitted."""
    predictor = Predictor()
    for day in range(days):
        for hour in range(24):
            predictor.advance(24 * day + hour, events(day, hour))
    predictor.fit()
    return predictor


class TestPredictor:
    def test_with_little_known_the_latest_and_most_frequent_come_first(self):
        predictor = Predictor()
        predictor.advance(1, {"old": 1})
        predictor.advance(30, {"often": 3, "once": 1})
        predictor.fit()
        assert [name for name, _ in predictor.rank(3)] == ["often", "once", "old"]

    def test_documents_are_expected_at_their_own_hour_of_the_day(self):
        def events(day, hour):
            return {f"at {hour} number {number}": 1 for number in range(10)} if hour in (9, 15, 21) else {}

        predictor = history(6, events)
        for hour in range(9):
            predictor.advance(6 * 24 + hour, {})
        assert {name.split(" number")[0] for name, _ in predictor.rank(10)} == {"at 9"}

    def test_a_nightly_run_over_the_day_s_documents_is_expected(self):
        chance = random.Random(1)

        def events(day, hour):
            if hour == 2:
                return {f"{day - 1}-{each}-{number}": 1 for each in range(8, 18) for number in range(8)}
            fresh = {f"{day}-{hour}-{number}": 1 for number in range(8)} if 8 <= hour < 18 else {}
            return fresh | {f"noise-{chance.randrange(300)}": 1 for _ in range(5)}

        predictor = history(6, events)
        predictor.advance(6 * 24, {})
        predictor.advance(6 * 24 + 1, {})
        foreseen = [name for name, _ in predictor.rank(80)]
        assert sum(name.startswith("5-") for name in foreseen) >= 72

    def test_probabilities_are_true_to_what_happens(self):
        chance = random.Random(2)
        predictor = history(6, lambda day, hour: {f"{n}": 1 for n in range(400) if chance.random() < 0.3})
        expected = sum(share for _, share in predictor.rank(400))
        assert 0.2 * 400 < expected < 0.4 * 400

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), max_size=8), max_size=60))
    def test_any_history_gives_probabilities_of_known_documents_in_order(self, hours):
        predictor = Predictor(horizon=2, most=6)
        for hour, counts in enumerate(hours):
            predictor.advance(hour * 2, counts)
        predictor.fit()
        ranked = predictor.rank(5)
        assert {name for name, _ in ranked} <= {name for counts in hours for name in counts}
        assert [share for _, share in ranked] == sorted((share for _, share in ranked), reverse=True)
        assert all(0 <= share <= 1 for _, share in ranked)
        assert len(predictor) <= 6

    def test_equal_logs_give_equal_predictions(self):
        def events(day, hour):
            return {f"{(day * hour + each) % 90}": 1 for each in range(hour)}

        assert history(4, events).rank(50) == history(4, events).rank(50)


def test_a_dry_run_prints_the_plan_with_shortened_ids(log, entry, capsys):
    path = log(entry(), entry(), entry(path=f"/results/{OTHER}/thumbnail.webp"), "bad")
    assert main(["warm", str(path), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["aaaaaaaa…", "bbbbbbbb…/thumbnail.webp"]
    assert main(["warm", str(path), "--dry-run", "--full-ids", "--count", "1"]) == 0
    assert capsys.readouterr().out.split()[1] == ID
    assert json.loads(entry())["path"] == f"/results/{ID}"


def test_what_cannot_be_meant_is_told(log, entry, tmp_path, capsys):
    assert main(["warm", str(tmp_path / "missing.log"), "--dry-run"]) == 1
    assert main(["warm", str(log(entry())), "--rate", "0"]) == 2
    assert main(["warm", str(log(entry())), "--url", "edge"]) == 1
    assert "Traceback" not in capsys.readouterr().err
