"""Memory pressure: the daemon evicts the least recently used keys, logs it, and stops when there is room again.

A directory of the test simulates the control group. Its files have the format of the kernel."""

import os
import time

import pytest

from harness import wait_for

pytestmark = pytest.mark.hooks

MIB = 1 << 20
LIMIT = 256 * MIB
VALUE = b"x" * 30000
KEYS = 2000
CONFIG = """
workers = 1;
tenancy = "listed";
defaults: { max_entries = 0; max_memory = "0"; };
tenants: ( { name = "large"; secret = "large"; },
           { name = "small"; secret = "small"; },
           { name = "store"; secret = "store"; eviction = "none"; } );
"""


class Group:
    """A control group: its memory, and the time that its tasks wait for more."""

    def __init__(self, directory):
        self.root = directory / "cgroup"
        self.directory = self.root / "atomdb.service"
        self.directory.mkdir(parents=True)
        self.membership = directory / "membership"
        self.membership.write_text("0::/atomdb.service\n")
        self.write("memory.max", LIMIT)
        self.write("memory.high", "max")
        self.write("memory.stat", "anon 5\ninactive_file 0")
        self.stalls(0)
        self.room(LIMIT // 2)

    def write(self, name, value):
        """Replaces the file atomically, because the daemon may read it at any time."""
        (self.directory / "new").write_text(f"{value}\n")
        os.replace(self.directory / "new", self.directory / name)

    def room(self, size):
        self.write("memory.current", LIMIT - size)

    def stalls(self, percent):
        self.write("memory.pressure", f"some avg10={percent:.2f} avg60=0.00 avg300=0.00 total=1\n"
                                      "full avg10=0.00 avg60=0.00 avg300=0.00 total=0")


@pytest.fixture
def group(tmp_path):
    return Group(tmp_path)


@pytest.fixture
def full(atomdb, group):
    """The large tenant uses most of the memory. Its keys were used in order."""
    atomdb.start(CONFIG, environment={"ATOMDB_TEST_CGROUP": str(group.membership),
                                      "ATOMDB_TEST_CGROUP_ROOT": str(group.root)})
    for name, keys in (("large", KEYS), ("small", 50), ("store", 50)):
        with atomdb.client(name) as client:
            client.many([("SET", i, VALUE) for i in range(keys)])
    return atomdb


def missing(server, name, keys):
    """Returns the number of evicted keys, and checks that they are the least recently used ones."""
    with server.client(name) as client:
        there = client.many([("EXISTS", i) for i in range(keys)])
    gone = there.count(0)
    assert there == [0] * gone + [1] * (keys - gone)
    return gone


def said(server, what):
    return server.log().count(what)


def relieve(server):
    wait_for(lambda: said(server, "Memory is no longer short") == 1, 10, "the end of the shortage")
    shed = server.metric("atomdb_shed_keys_total")
    assert missing(server, "large", KEYS) == shed
    assert missing(server, "small", 50) == 0
    assert missing(server, "store", 50) == 0
    # The limit stays the same, and there is room for new keys.
    with server.client("large") as client:
        client.many([("SET", f"new:{i}", VALUE) for i in range(KEYS)])
        assert client.cmd("DBSIZE") == 2 * KEYS - shed
    time.sleep(1.5)
    assert server.metric("atomdb_shed_keys_total") == shed
    assert said(server, "Memory is short") >= 1


def test_the_limit_is_logged(full):
    assert "The memory limit of the control group applies: all tenants together may use 224.00M of 256.00M" in full.log()
    assert full.metric("atomdb_shed_keys_total") == 0


def test_short_memory_evicts_the_oldest_keys_of_the_largest_tenant(full, group):
    time.sleep(1.2)
    assert full.metric("atomdb_shed_keys_total") == 0
    # A sixteenth of the limit is 16 MiB. An eighth must be free, so 22 MiB are missing.
    group.room(10 * MIB)
    wait_for(lambda: said(full, "Memory is short"), 10, "the warning")
    group.room(LIMIT // 2)
    wait_for(lambda: full.metric("atomdb_shed_keys_total") * len(VALUE) > 20 * MIB, 10, "evicted keys")
    relieve(full)
    assert full.metric("atomdb_shed_keys_total") < KEYS


def test_stalls_evict_a_few_keys_each_second(full, group):
    group.stalls(25)
    wait_for(lambda: full.metric("atomdb_shed_keys_total") > 0, 10, "evicted keys")
    group.stalls(0)
    relieve(full)
