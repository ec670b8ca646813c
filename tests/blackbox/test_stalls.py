"""No command holds its worker for long: counts the work between two check points in the largest calls of every command.

The count (tests/hooks/count_work.c) does not depend on the speed and the load of the machine. So a loop without a check
point, and a row that lacks CMD_LONG, fail here on any machine."""

import os
import subprocess
import sys

import pytest

from harness import ROOT, Closed, Error, encode

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))

from bench import calls  # noqa: E402

MB = 1 << 20
# Units between two points, each about a nanosecond.
MOST = 500_000
# So many names take less than 128 KiB: a command of more bytes runs on a fiber anyway.
SIZES = calls.Sizes(count=9_000, value=4 * MB, text=64 << 10, keys=9_000)
# Each part takes a share of the rows that is small enough for a slow machine.
PARTS = 12
CROWD = 200

# Rows of which no call succeeds here, with the reason.
REFUSED = {
    "acl|deluser": "there are no users to remove", "acl|setuser": "there are no users to change",
    "acl|dryrun": "there are no users", "acl|load": "there is no file of users", "acl|save": "there is no file of users",
    "client|pause": "excluded", "client|reply": "excluded", "monitor": "excluded", "shutdown": "excluded",
    "config|rewrite": "the tenant does not own the file", "config|set": "the generated parameters do not exist",
    "function|delete": "there are no libraries", "function|kill": "no function runs",
    "latency|graph": "there are no events",
}

# Rows with repeated arguments that lack CMD_LONG, and their work for each argument. A command of more than 128 KiB runs
# on a fiber anyway.
SHORT_FOR_EACH = {
    "sort": "reads it", "sort_ro": "reads it", "config|set": "finds a name", "acl|deluser": "compares a name",
    "acl|dryrun": "nothing", "acl|setuser": "nothing", "tenant|create": "copies it", "tenant|set": "copies it",
}

# Calls that take longer in one piece: a part of the name, units, and the reason.
LONGER = {
    "new names of key_value": (1_500_000, "a full tenant evicts in one piece"),
    "short names of key_value": (1_500_000, "a full tenant evicts in one piece"),
    "client|list": (80_000_000, "the operator's list asks for each client whether an argument names it"),
    "(operator)": (1_500_000, "the arguments of an operator's command wait as one piece for the control plane"),
    "(heard)": (2_500_000, "MONITOR shows a command in one piece"),
}
# The shard's own work in a turn, before the first task: a table that is resized hashes long names in one piece.
SHARD_WORK = 1_500_000


class Meter:
    """Reads the longest piece of work, on a connection of another tenant to the same worker."""

    def __init__(self, server):
        self.binary, self.connect = server.binary, lambda: server.client(calls.NEIGHBOUR)
        self.client = self.connect()

    def read(self):
        """Returns the units since the last call, and the two code addresses. The operator may have closed the
        client."""
        try:
            return self.client.cmd("DEBUG", "LONGEST-WORK")
        except (Closed, ConnectionError):
            self.client = self.connect()
            return self.read()

    def place(self, address):
        """Returns the function and the line of a code address, with those that contain it inlined."""
        done = subprocess.run(["addr2line", "-f", "-s", "-i", "-e", self.binary, hex(address - 1)],
                              capture_output=True, text=True, check=False)
        lines = done.stdout.split()
        return " < ".join(f"{name} {line}" for name, line in zip(lines[::2], lines[1::2]))


def run(server, case):
    """Runs the commands of a call on a new connection, and closes it. Returns the reply to the last command, or None if
    the connection has ended."""
    last = None
    with server.client(case.where) as client:
        try:
            client.send(b"".join(encode(*command) for command in [*calls.complete(case.commands), [b"PING", calls.END]]))
            while (reply := client.read()) not in (calls.END, [b"pong", calls.END], "NOAUTH Authentication required."):
                last = reply
        except (Closed, ConnectionError):
            return None
    return last


def most_of(call, begin, end):
    shard = SHARD_WORK if "loop_turn" in begin and "fiber_resume" in end else 0
    return max([MOST, shard, *(units for part, (units, _) in LONGER.items() if part in call)])


def test_a_row_with_repeated_arguments_may_take_long():
    sys.path.insert(0, os.path.join(ROOT, "packaging"))
    import tables
    rows = [row for row in tables.commands() if "*" in str(row.get("arguments", ""))]
    assert {row["name"] for row in rows if "CMD_LONG" not in row["flags"]} == set(SHORT_FOR_EACH)


@pytest.fixture
def world(atomdb, tmp_path):
    admin = tmp_path / "admin"
    admin.write_text(calls.OPERATOR)
    server = atomdb.start(calls.config(SIZES, admin))
    made = calls.World(server.client, SIZES, CROWD)
    yield made
    made.close()


@pytest.mark.hooks
@pytest.mark.parametrize("part", range(PARTS))
def test_every_command_has_check_points(atomdb, world, part):
    meter = Meter(atomdb)
    if meter.read()[0] == 0:
        pytest.skip("the daemon is built without ATOMDB_COUNT_WORK")
    late, answered, last = [], set(), None
    writes = {row.name for row in world.table if row.writes} | {"exec", "restore", "debug"}
    rows = world.table[part::PARTS]
    for case in (case for row in rows for case in calls.row_calls(row, SIZES, world.payload)):
        if case.row in writes or (case.row, case.where) != last or case.where == calls.OPERATOR:
            world.restore(case.where, case.row)
            last = case.row, case.where
        meter.read()
        if case.row not in answered:
            if not isinstance(run(atomdb, case), Error):
                answered.add(case.row)
        else:
            with atomdb.client(case.where) as client:
                calls.run([client], case, encode)
        units, begin, end = meter.read()
        call = f"{case.row}: {case.title} ({case.where})"
        if units > MOST and units > most_of(call, *(places := [meter.place(begin), meter.place(end)])):
            late.append(f"{call}: {units} units from {places[0]} to {places[1]}")
    assert not late, "\n".join(late)
    assert {row.name for row in rows} - answered - set(REFUSED) == set()
