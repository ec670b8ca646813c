"""The tools of the benchmark: the load reaches the servers, the figures are correct, the table is complete."""

import json
import os
import subprocess
import sys

import pytest

import harness

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench")
sys.path.insert(0, BENCH)

from bench.report import HEADLINES, Row, headlines, into_file, table  # noqa: E402


def bench(binary, tmp_path, *arguments):
    """Returns the output of tests/bench/run, and its samples by case."""
    path, port = tmp_path / "samples.json", harness.free_port(followers=20)
    done = subprocess.run([os.path.join(BENCH, "run"), "--no-build", "--build", os.path.dirname(binary), "--atomdb",
                           binary, "--quick", "--rounds", "1", "--port", str(port), "--json", str(path),
                           *arguments], capture_output=True, text=True, timeout=140 * harness.PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, {row["what"]: row for row in json.loads(path.read_text())["rows"]}


def test_the_load_reaches_floor_and_atomdb_and_their_ratio_is_reported(binary, tmp_path):
    text, rows = bench(binary, tmp_path, "--servers", "floor,atomdb", "cpu-p50")
    used, speed = rows.values()
    for server in ("floor", "atomdb"):
        figures = used["notes"][server][0]
        assert figures["ops"] > 1000 and figures["server_cpu_ns"] > 0 and figures["misses"] == 0
        assert figures["p50_ns"] <= figures["p99_ns"] <= figures["max_ns"]
        assert speed["samples"][server][0] > 0
    ratio = used["samples"]["atomdb"][0] / used["samples"]["floor"][0]
    assert f"| {ratio:.2f} (" in text


def test_every_case_has_a_name_and_a_title():
    text = subprocess.run([os.path.join(BENCH, "run"), "--list"], capture_output=True, text=True, check=True).stdout
    marked = [line.split()[1] for line in text.splitlines() if line.startswith("*")]
    assert marked == ["cpu", "cpu-p50", "mem", "mem-ttl", "idle", "storm", "noisy", "fair", "scrape", "restart", "crash"]
    assert all(len(line.split(maxsplit=1)) == 2 for line in text.splitlines())


def test_ratios_are_taken_within_a_round():
    row = Row("it", "µs", relative=True, target=2)
    for floor, atomdb in ((1, 1.5), (10, 15), (4, 12)):
        row.add("floor", floor)
        row.add("atomdb", atomdb)
    assert row.ratio("atomdb") == pytest.approx(1.5)
    assert row.verdict() == "≤ 2 met"
    text = table([row], "the command", 3, (0, 0))
    assert "| it | µs | 1.00 (4.00) | 1.50 (12.00) | ≤ 2 met |" in text


def test_the_table_goes_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    into_file(path, "new")
    assert path.read_text() == "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n"


def test_the_readme_shows_headlines_of_the_results():
    def between_markers(path):
        with open(os.path.join(BENCH, "..", "..", path), encoding="utf-8") as file:
            return file.read().split("<!-- bench -->\n")[1].split("\n<!-- /bench -->")[0]

    shown = list(headlines(between_markers("tests/bench/RESULTS.md")))
    assert len(shown) == len(HEADLINES) + 2
    assert shown == between_markers("README.md").splitlines()
