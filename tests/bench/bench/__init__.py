"""The parts of tests/bench/run: servers, load, cases, report."""
