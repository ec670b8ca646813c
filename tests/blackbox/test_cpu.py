"""CPU time: it is counted for each tenant, and limited."""

import os
import time

import pytest

from harness import info, wait_for

CONFIG = """workers = 1;
tenants: ( { name = "busy"; secret = "b"; max_memory = "0"; }, { name = "quiet"; secret = "q"; max_memory = "0"; } );"""


def process_seconds(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        return sum(int(field) for field in stat.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")


def tenant_seconds(server, tenant):
    return server.metric("atomdb_tenant_cpu_seconds_total", tenant=tenant)


@pytest.mark.threads
def test_cpu_time_is_counted_by_tenant(atomdb, tmp_path):
    """The busy tenant has most of the CPU time of the process, and INFO, TENANT INFO and the metrics agree."""
    (tmp_path / "admin").write_text("root")
    atomdb.start(CONFIG + f'admin: {{ secret_file = "{tmp_path}/admin"; }};')
    with atomdb.client("b") as busy, atomdb.client("q") as quiet:
        began = process_seconds(atomdb)

        def work():
            busy.many(("SET", f"key:{number}", "x" * 64) for number in range(20000))
            quiet.cmd("PING")
            return process_seconds(atomdb) - began >= 0.5

        wait_for(work, 60, "half a second of CPU time")
        all_seconds = process_seconds(atomdb) - began
        used = tenant_seconds(atomdb, "busy")
        assert 0.5 * all_seconds < used < 1.3 * all_seconds
        assert tenant_seconds(atomdb, "quiet") < 0.1 * used
        cpu = info(busy, "cpu")
        told = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
        assert abs(told - used) < 0.05 * used
        assert float(cpu["used_cpu_user"]) > 0 and float(cpu["used_cpu_sys"]) > 0
        assert cpu["used_cpu_user_main_thread"] == cpu["used_cpu_user"] and cpu["used_cpu_user_children"] == "0.000000"
        quiet_cpu = info(quiet, "cpu")
        assert float(quiet_cpu["used_cpu_user"]) < 0.1 * float(cpu["used_cpu_user"])
        with atomdb.client("root") as operator:
            fields = operator.cmd("TENANT", "INFO", "busy")
            milliseconds = fields[fields.index(b"cpu_milliseconds") + 1]
        assert abs(milliseconds / 1000 - used) < 0.05 * used


@pytest.mark.parametrize("limit", ["0.02", "0.1"])
def test_cpu_limit_delays_and_does_not_fail(atomdb, tmp_path, limit):
    """The tenant gets its part of a CPU at most, no command fails, and other tenants do not notice."""
    (tmp_path / "admin").write_text("root")
    atomdb.start(CONFIG + f'admin: {{ secret_file = "{tmp_path}/admin"; }};')
    with atomdb.client("b") as busy, atomdb.client("q") as quiet, atomdb.client("root") as operator:
        busy.cmd("SET", "a", "x" * 1000000)
        before = tenant_seconds(atomdb, "busy")
        busy.many([("BITCOUNT", "a")] * 10)
        one = (tenant_seconds(atomdb, "busy") - before) / 10
        assert operator.cmd("TENANT", "SET", "busy", "cpu_limit", limit) == "OK"
        fields = operator.cmd("TENANT", "INFO", "busy")
        assert fields[fields.index(b"cpu_limit") + 1] == limit.encode()
        began, before = time.monotonic(), tenant_seconds(atomdb, "busy")

        def work():
            assert set(busy.many(("BITCOUNT", "a") for _ in range(40))) == {busy.cmd("BITCOUNT", "a")}
            assert quiet.cmd("PING") == "PONG"
            return atomdb.metric("atomdb_tenant_cpu_throttled_seconds_total", tenant="busy") > 0.5

        wait_for(work, 60, "a tenant over its limit")
        used = tenant_seconds(atomdb, "busy") - before
        # The burst is a tenth of a second, and a command under way is counted at its end.
        assert used < float(limit) * (time.monotonic() - began + 0.1) + 0.05 + 4 * one
        assert atomdb.metric("atomdb_tenant_cpu_throttled_seconds_total", tenant="quiet") == 0
        assert operator.cmd("TENANT", "SET", "busy", "cpu_limit", "0") == "OK"
        assert busy.cmd("BITCOUNT", "a") > 0


def begin_storm(server, kind, client):
    """Leaves 100,000 keys that expire, or that FLUSHALL drops, to the worker. Returns the tenant's seconds before."""
    for allowance_ms in (2000, 10000, 50000):
        due = int(time.time() * 1000) + allowance_ms
        expiry = ("PXAT", due) if kind == "expiry" else ()
        for first in range(0, 100000, 10000):
            assert set(client.many(("SET", f"key:{number}", "v", *expiry) for number in range(first, first + 10000))) == {"OK"}
        before = tenant_seconds(server, "busy")
        if kind == "FLUSHALL":
            assert client.cmd("FLUSHALL") == "OK"
            return before
        if time.time() * 1000 < due:
            return before
    raise AssertionError("the machine is too slow to set all keys before their deadline")


@pytest.mark.parametrize("kind", ["expiry", "FLUSHALL"])
def test_background_work_for_a_tenant_is_its_time(atomdb, kind):
    """AtomDB charges the tenant for the time to free its 100,000 keys, though it sends no command meanwhile."""
    atomdb.start(CONFIG)
    with atomdb.client("b") as busy:
        busy.cmd("PING")
        before = begin_storm(atomdb, kind, busy)
        wait_for(lambda: atomdb.metric("atomdb_arena_bytes", shard="0", use="entries") == 0, 60, "all keys to be freed")
    # 40 ns a key, the least that a machine needs for it.
    assert tenant_seconds(atomdb, "busy") - before > 100000 * 40e-9
    assert tenant_seconds(atomdb, "quiet") == 0


@pytest.mark.parametrize("kind", ["FLUSHALL", "eviction"])
def test_background_work_for_a_tenant_counts_towards_its_limit(atomdb, tmp_path, kind):
    """The tenant sends few commands. The work to free 50,000 keys exceeds a hundredth of a CPU by far."""
    (tmp_path / "admin").write_text("root")
    atomdb.start(CONFIG + f'admin: {{ secret_file = "{tmp_path}/admin"; }};')
    with atomdb.client("b") as busy, atomdb.client("root") as operator:

        def limit(**limits):
            for name, value in limits.items():
                assert operator.cmd("TENANT", "SET", "busy", name, value) == "OK"

        def throttled():
            return atomdb.metric("atomdb_tenant_cpu_throttled_seconds_total", tenant="busy")

        def free_many():
            limit(cpu_limit=0, max_entries=0)
            for first in range(0, 50000, 10000):
                assert set(busy.many(("SET", f"key:{number}", "v") for number in range(first, first + 10000))) == {"OK"}
            limit(cpu_limit="0.01")
            before = throttled()
            if kind == "eviction":
                limit(max_entries=1)
            else:
                assert busy.cmd("FLUSHALL") == "OK"
            wait_for(lambda: atomdb.metric("atomdb_arena_bytes", shard="0", use="entries") < 1000, 60, "all keys to be freed")
            # 40 ns a key at a hundredth of a CPU, less the burst of 0.1 s.
            return throttled() - before >= 50000 * 40e-9 / 0.01 - 0.1

        # The worker counts less than it should if it had to wait for a CPU shortly before.
        wait_for(free_many, 60, "the tenant to be over its limit")


def test_a_tenant_over_its_limit_does_not_keep_the_worker_busy(atomdb, tmp_path):
    """Its commands wait for a timer. The worker does not spin meanwhile."""
    (tmp_path / "admin").write_text("root")
    atomdb.start(CONFIG + f'admin: {{ secret_file = "{tmp_path}/admin"; }};')
    with atomdb.client("b") as busy, atomdb.client("root") as operator:
        busy.cmd("SET", "a", "x" * 200000)
        assert operator.cmd("TENANT", "SET", "busy", "cpu_limit", "0.01") == "OK"
        began, before = time.monotonic(), process_seconds(atomdb)
        while time.monotonic() - began < 1:
            assert busy.cmd("BITCOUNT", "a") > 0
        assert process_seconds(atomdb) - before < 0.5 * (time.monotonic() - began)
