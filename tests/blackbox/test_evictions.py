"""A write that evicts very many keys has check points between the evictions. The tests count the work between two."""

import pytest

from harness import Error, info, wait_for
from test_stalls import MOST, Meter

MB = 1 << 20
# The memory is full of small keys. Each of these writes has to evict thousands of them, of its own tenant or of a
# larger one.
FULL = """
workers = 1;
enable_debug_command = true;
max_memory = "8M";
defaults: { max_entries = 0; max_memory = "%s"; };
"""
SMALL_KEYS = 150_000
GROWTH = 2 * MB
SET_LARGE = ["SETRANGE", "large", GROWTH - 1, "x"]
# Tenant, commands before, and the write.
WRITES = {
    "a tenant above its share": ("tenant", [], SET_LARGE),
    "the same in a transaction": ("tenant", [["MULTI"], SET_LARGE], ["EXEC"]),
    "a tenant below its share": ("small", [], ["SETRANGE", "large", MB - 1, "x"]),
    "rename": ("tenant", [SET_LARGE], ["RENAME", "large", "renamed"]),
    "copy": ("tenant", [SET_LARGE], ["COPY", "large", "copied"]),
    "first deadline": ("tenant", [SET_LARGE], ["EXPIRE", "large", 1000]),
    "growth": ("tenant", [["SETRANGE", "large", MB - 1, "x"]], ["SETRANGE", "large", 2 * MB, "x"]),
    "events": ("tenant", [], SET_LARGE),
}


@pytest.mark.hooks
@pytest.mark.parametrize("quota", ["0", "7M"], ids=["share", "quota"])
def test_evictions_for_one_write_have_check_points(atomdb, quota):
    server = atomdb.start(FULL % quota)
    meter = Meter(server)
    if meter.read()[0] == 0:
        pytest.skip("the daemon is built without ATOMDB_COUNT_WORK")
    late = []
    with server.client("tenant") as full, server.client("tenant") as subscriber:
        for case, (secret, before, write) in WRITES.items():
            assert full.cmd("FLUSHALL") == "OK"
            wait_for(lambda: server.metric("atomdb_arena_used_bytes", shard="0") < MB, what="the memory to be free")
            assert full.cmd("DEBUG", "POPULATE", SMALL_KEYS) == "OK"
            if case == "events":
                full.cmd("CONFIG", "SET", "notify-keyspace-events", "KEA")
                subscriber.cmd("SUBSCRIBE", "__keyevent@0__:evicted")
            with server.client(secret) as client:
                for command in before:
                    client.cmd(*command)
                evicted = int(info(full)["evicted_keys"])
                meter.read()
                reply = client.cmd(*write)
                units, begin, end = meter.read()
                assert not isinstance(reply, Error), f"{case}: {reply}"
                assert secret == "small" or int(info(full)["evicted_keys"]) > evicted + 5000, case
                if units > MOST:
                    late.append(f"{case}: {units} units from {meter.place(begin)} to {meter.place(end)}")
                client.cmd("FLUSHALL")
    assert not late, "\n".join(late)
