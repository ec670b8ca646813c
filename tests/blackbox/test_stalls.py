"""No command holds its worker for long: the largest calls of every command, with the work between two check points counted.

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
# So many names take less than 256 KB: a command with more bytes runs on a fiber anyway.
SIZES = calls.Sizes(count=20_000, value=4 * MB, text=64 << 10, keys=20_000)
PARTS = 4
CONFIG = """
workers = 1;
enable_debug_command = true;
defaults: { max_entries = 0; max_memory = "0"; };
"""

# Rows of which no call succeeds here, with the reason.
REFUSED = {
    "acl|deluser": "there are no users to remove", "acl|setuser": "there are no users to change",
    "acl|dryrun": "there are no users", "acl|load": "there is no file of users", "acl|save": "there is no file of users",
    "client|pause": "excluded", "client|reply": "excluded", "monitor": "excluded", "shutdown": "excluded",
    "config|rewrite": "the tenant does not own the file", "config|set": "the generated parameters do not exist",
    "function|delete": "there are no libraries", "function|kill": "no function runs",
    "latency|graph": "there are no events",
    **{f"tenant|{name}": "only the operator may" for name in ("create", "drop", "info", "kill", "list", "set")},
}

# Calls that take longer in one piece: part of the name, units, and the reason.
LONGER = {
    "channel of 4194304 bytes": (2_500_000, "hashes of a name have no check points"),
    "mget: 20 large values": (4_000_000, "the unsent part of a large reply moves in one piece"),
}
# Making room for a large value has no check points. It ends at the first piece of the copy.
ROOM, ROOM_MOST = ("copy_long", "copy_zeros"), 4_000_000


class Meter:
    """Reads the longest piece of work, on a connection of another tenant to the same worker."""

    def __init__(self, server):
        self.binary, self.client = server.binary, server.client("neighbour")

    def read(self):
        """Returns the units since the last call, and the two code addresses."""
        return self.client.cmd("DEBUG", "LONGEST-WORK")

    def place(self, address):
        """Returns the function and the line of a code address, with those that contain it inlined."""
        done = subprocess.run(["addr2line", "-f", "-s", "-i", "-e", self.binary, hex(address - 1)],
                              capture_output=True, text=True, check=False)
        lines = done.stdout.split()
        return " < ".join(f"{name} {line}" for name, line in zip(lines[::2], lines[1::2]))


class Tenant:
    """A tenant with the keys that the calls use."""

    def __init__(self, server):
        self.server, self.secret = server, "tenant"
        self.restore()
        with server.client(self.secret) as client:
            self.payload = client.cmd("DUMP", calls.LARGE)
            self.table = calls.read_table(client.cmd)

    def restore(self):
        """Restores the keys that a call has changed."""
        with self.server.client(self.secret) as client:
            client.cmd("DEL", calls.MISSING, "other")
            if client.many([("STRLEN", calls.LARGE), ("TTL", calls.LARGE)]) != [SIZES.value, -1]:
                assert client.cmd("SET", calls.LARGE, b"ab" * (SIZES.value // 2)) == "OK"
            if client.cmd("PFCOUNT", calls.HLL) not in range(900, 1100):
                client.cmd("DEL", calls.HLL)
                assert client.cmd("PFADD", calls.HLL, *range(1000)) == 1
            assert client.cmd("SET", calls.NUMBER, 5) == "OK"
            if client.cmd("DBSIZE") < SIZES.keys:
                pairs = [word for i in range(SIZES.keys) for word in (b"k:%d" % i, b"v")]
                assert client.cmd("MSET", *pairs) == "OK"

    def run(self, commands):
        """Runs commands on a new connection, and closes it. Returns the reply to the last command, or None if the
        connection has ended."""
        begun = max((i for i, command in enumerate(commands) if command == [b"MULTI"]), default=len(commands))
        if begun < len(commands) and not any(command[0] in calls.END_MULTI for command in commands[begun:]):
            commands = [*commands, [b"DISCARD"]]
        last = None
        with self.server.client(self.secret) as client:
            try:
                client.send(b"".join(encode(*command) for command in [*commands, [b"PING", b"end"]]))
                # RESET leaves the tenant, so that PING is refused.
                while (reply := client.read()) not in (b"end", [b"pong", b"end"], "NOAUTH Authentication required."):
                    last = reply
            except (Closed, ConnectionError):
                return None
        return last

    def calls(self, part):
        """Yields the name of a row, a title and commands, of a part of the rows."""
        for row in self.table[part::PARTS]:
            if row.name not in calls.EXCLUDED:
                for title, commands in calls.Maker(row, SIZES, self.payload, self.secret.encode()).calls():
                    yield row.name, title, commands
        names = {row.name for row in self.table[part::PARTS]}
        for name, title, commands in calls.sequences(SIZES, self.payload):
            if name in names:
                yield name, title, commands


def most_of(call, end):
    known = [units for part, (units, _) in LONGER.items() if part in call]
    return max([MOST, *known, *[ROOM_MOST for name in ROOM if name in end]])


@pytest.mark.hooks
@pytest.mark.parametrize("part", range(PARTS))
def test_every_command_has_check_points(atomdb, part):
    server = atomdb.start(CONFIG)
    tenant, meter = Tenant(server), Meter(server)
    if meter.read()[0] == 0:
        pytest.skip("the daemon is built without ATOMDB_COUNT_WORK")
    late, answered, last = [], set(), None
    writes = {row.name for row in tenant.table if row.writes} | {"exec", "restore", "debug"}
    for name, title, commands in tenant.calls(part):
        if name in writes or name != last:
            tenant.restore()
            last = name
        meter.read()
        reply = tenant.run(commands)
        units, begin, end = meter.read()
        if not isinstance(reply, Error):
            answered.add(name)
        if units > MOST and units > most_of(f"{name}: {title}", to := meter.place(end)):
            late.append(f"{name}: {title}: {units} units from {meter.place(begin)} to {to}")
    assert not late, "\n".join(late)
    assert {row.name for row in tenant.table[part::PARTS]} - answered - set(REFUSED) == set()
