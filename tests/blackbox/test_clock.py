"""Changes of the system clock: the deadlines of keys follow them; ages and timeouts do not."""

import struct
import time

import pytest

from harness import info, wait_for

pytestmark = pytest.mark.hooks

UNLIMITED = 'defaults: { max_entries = 0; max_memory = "0"; };\n'
SECOND, DAY, TEN_YEARS = 1000, 86400000, 315360000000
STEPS = (SECOND, DAY, TEN_YEARS)


class Clock:
    """An offset of the daemon's clock, in milliseconds."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, ahead):
        with open(self.path, "r+b" if self.path.exists() else "wb") as out:
            out.write(struct.pack("=q", ahead))


@pytest.fixture
def clock(tmp_path, monkeypatch):
    made = Clock(tmp_path / "clock")
    monkeypatch.setenv("ATOMDB_TEST_CLOCK", str(made.path))
    return made


def keys_of(client):
    return sorted(client.cmd("KEYS", "*"))


@pytest.mark.parametrize("step", STEPS)
def test_keys_stay_while_the_clock_goes_ahead_and_back(atomdb, clock, step):
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        client.cmd("SET", "far", "v", "PX", step + 500000)
        clock.set(step)
        assert 400000 < client.cmd("PTTL", "far") <= 500000
        client.cmd("SET", "ahead", "v", "PX", 500000)
        clock.set(0)
        assert step + 400000 < client.cmd("PTTL", "far") <= step + 500000
        assert step + 400000 < client.cmd("PTTL", "ahead") <= step + 500000
        client.many([("SET", f"soon{i}", "v", "PX", 200) for i in range(100)])
        assert client.cmd("SET", "at", "v", "PXAT", int(time.time() * 1000) + 100000) == "OK"
        # The time of a transaction is that of its begin.
        assert client.many([("MULTI",), ("SET", "soon", "v", "PX", 200), ("EXISTS", "at", "soon"), ("EXEC",)])[-1] == ["OK", 2]
        wait_for(lambda: atomdb.metric("redis_db_keys", db="db0") == 3, 10, "expired keys to be removed")
        assert keys_of(client) == [b"ahead", b"at", b"far"]
        assert int(info(client)["uptime_in_seconds"]) < 100
        line = client.cmd("CLIENT", "INFO").decode()
        assert int(line.split(" age=")[1].split()[0]) < 100 and " idle=0 " in line
        assert client.cmd("OBJECT", "IDLETIME", "far") < 100
        assert atomdb.metric("redis_uptime_in_seconds") < 100
        lag = atomdb.metric("atomdb_expiry_lag_seconds_sum")
        assert 0 <= lag < 1000, lag


@pytest.mark.parametrize("step", STEPS)
def test_keys_expire_when_the_clock_catches_up(atomdb, clock, step):
    clock.set(-step)
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        client.cmd("SET", "due", "v", "PX", step // 2)
        client.cmd("SET", "left", "v", "PX", step + 500000)
        clock.set(0)
        assert 400000 < client.cmd("PTTL", "left") <= 500000
        assert client.cmd("EXISTS", "due") == 0
        assert client.cmd("DBSIZE") == 1
        assert 0 <= atomdb.metric("atomdb_expiry_lag_seconds_sum") < 100


def test_remaining_keys_expire_in_time_after_the_clock_goes_back(atomdb, clock):
    """Expired keys do not exist again. Other keys exist, DBSIZE counts them, and they expire in time."""
    atomdb.start(UNLIMITED)
    many = 50000
    with atomdb.client("s") as client:
        client.many([("SET", i, i, "PX", 600000 + i) for i in range(many)])
        clock.set(DAY)
        client.cmd("PING")
        clock.set(0)
        assert client.cmd("SET", "soon", "v", "PX", 100) == "OK"
        left = wait_for(lambda: client.cmd("DBSIZE"), 10, "the count")
        there = [reply for reply in client.many([("PTTL", i) for i in range(many)]) if reply != -2]
        assert left - len(there) in (0, 1)
        assert all(500000 < ttl <= 600000 + many for ttl in there)
        wait_for(lambda: atomdb.metric("redis_db_keys", db="db0") == len(there), 10, "expired keys to be removed")
        clock.set(DAY)
        assert client.cmd("DBSIZE") == 0


def test_a_transaction_uses_the_time_of_exec(atomdb, clock):
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        client.many([("MULTI",), ("SET", "k", "v", "PX", 60000), ("PTTL", "k")])
        clock.set(-TEN_YEARS)
        assert client.cmd("EXEC") == ["OK", 60000]
        clock.set(0)
        assert client.cmd("EXISTS", "k") == 0


@pytest.mark.parametrize("end", ["restart", "crash"])
@pytest.mark.parametrize("step", STEPS)
def test_deadlines_survive_a_restart_with_another_clock(service, clock, step, end):
    """The clock is wrong before the restart and correct after it, and vice versa."""
    service.start(UNLIMITED)
    with service.client("s") as client:
        client.many([("SET", f"k{i}", "v", "PX", step + 400 + i) for i in range(1000)])
        client.cmd("SET", "far", "v", "PX", 4 * TEN_YEARS)
    clock.set(-step)
    getattr(service, end)()
    with service.client("s") as client:
        assert client.cmd("DBSIZE") == 1001
        client.cmd("SET", "soon", "v", "PX", 50)
        wait_for(lambda: service.metric("redis_db_keys", db="db0") == 1001, 10, "expired keys to be removed")
        clock.set(step + 2000)
        assert client.cmd("DBSIZE") == 1
        client.many([("SET", f"k{i}", "v", "PX", 100_000 + i) for i in range(1000)])
    clock.set(0)
    getattr(service, end)()
    with service.client("s") as client:
        assert client.cmd("DBSIZE") == 1001
        assert step < client.cmd("PTTL", "k999") < step + 200_000
        client.cmd("SET", "soon", "v", "PX", 50)
        wait_for(lambda: service.metric("redis_db_keys", db="db0") == 1001, 10, "expired keys to be removed")
    clock.set(step + 300_000)
    getattr(service, end)()
    with service.client("s") as client:
        assert client.cmd("DBSIZE") == 1
    assert service.metric("redis_db_keys", db="db0") == 1
