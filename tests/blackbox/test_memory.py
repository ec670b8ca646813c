"""Fragmented memory returns to the system."""

from harness import info, wait_for

OPEN = "workers = 1; defaults: { max_entries = 0; max_memory = \"0\"; };"
KEYS = 200_000


def fill(client):
    value = "v" * 64
    for start in range(0, KEYS, 10_000):
        client.many([("SET", "key:%d" % i, value) for i in range(start, start + 10_000)])


def gone(number):
    return number % 2 == 0


def delete(client, which):
    numbers = [i for i in range(KEYS) if which(i)]
    for start in range(0, len(numbers), 1000):
        client.cmd("UNLINK", *("key:%d" % i for i in numbers[start:start + 1000]))


def check(client, which):
    assert client.cmd("DBSIZE") == sum(not which(i) for i in range(KEYS))
    for start in range(0, KEYS, 1000):
        reply = client.cmd("MGET", *("key:%d" % i for i in range(start, start + 1000)))
        assert reply == [None if which(i) else b"v" * 64 for i in range(start, start + 1000)]


def resident(server):
    return server.metric("atomdb_arena_resident_bytes", shard="0")


def used(server):
    return server.metric("atomdb_arena_used_bytes", shard="0")


def quiet(server):
    return server.metric("atomdb_compaction_running", shard="0") == 0


def test_remaining_entries_are_compacted(atomdb):
    atomdb.start(OPEN)
    with atomdb.client("one") as client:
        fill(client)
        before = resident(atomdb)
        delete(client, lambda i: i % 4 != 0)
        wait_for(lambda: quiet(atomdb) and resident(atomdb) < 1.25 * used(atomdb) + (2 << 20), what="compaction")
        assert resident(atomdb) < before / 2
        assert atomdb.metric("atomdb_compaction_moved_keys_total", shard="0") > KEYS / 20
        assert atomdb.metric("atomdb_arena_fragmentation_ratio", shard="0") < 1.5
        check(client, lambda i: i % 4 != 0)
        moved = int(info(client)["active_defrag_key_hits"])
        assert moved == atomdb.metric("atomdb_compaction_moved_keys_total", shard="0")
    with atomdb.client("two") as other:
        assert info(other)["active_defrag_key_hits"] == "0", "INFO counts the tenant's own keys"


def test_memory_purge_compacts_while_another_tenant_works(atomdb):
    atomdb.start(OPEN)
    with atomdb.client("one") as client, atomdb.client("two") as other:
        fill(client)
        before = resident(atomdb)
        delete(client, gone)
        assert client.cmd("MEMORY", "PURGE") == "OK"
        turns = 0

        def other_works():
            nonlocal turns
            for _ in range(20):
                assert other.cmd("SET", "counter", str(turns)) == "OK"
                assert other.cmd("GET", "counter") == str(turns).encode()
                turns += 1
            return quiet(atomdb) and resident(atomdb) < used(atomdb) + (1 << 20)

        wait_for(other_works, what="purge")
        assert resident(atomdb) < 0.7 * before
        check(client, gone)
        client.cmd("FLUSHALL")
        assert client.cmd("MEMORY", "PURGE") == "OK"
        wait_for(lambda: resident(atomdb) < before / 20, what="purge")


def test_compaction_keeps_the_order_of_use_and_the_deadlines(atomdb):
    atomdb.start(OPEN)
    with atomdb.client("one") as client:
        fill(client)
        delete(client, gone)
        kept = ["key:%d" % i for i in range(1, KEYS, 2)]
        deadline = client.cmd("TIME")[0]
        for key in kept[:100]:
            client.cmd("EXPIRE", key, 5000)
        client.cmd("MEMORY", "PURGE")
        wait_for(lambda: quiet(atomdb) and resident(atomdb) < used(atomdb) + (1 << 20), what="purge")
        assert all(0 <= client.cmd("EXPIRETIME", key) - int(deadline) - 5000 < 60 for key in kept[:100])
        atomdb.reload(OPEN.replace("max_entries = 0", "max_entries = %d" % 101))
        wait_for(lambda: client.cmd("DBSIZE") == 101, what="eviction")
        assert client.cmd("EXISTS", *kept[:100], kept[-1]) == 101, "EXPIRE and the last SET used these keys last"


def test_the_operator_sees_fragmentation(atomdb, tmp_path):
    path = tmp_path / "admin-secret"
    path.write_text("admin")
    atomdb.start(OPEN + 'admin: { secret_file = "%s"; };' % path)
    with atomdb.client("one") as client, atomdb.client("admin") as operator:
        fill(client)
        # Compaction does not start for so little free memory.
        delete(client, lambda i: i % 20 == 0)
        wait_for(lambda: quiet(atomdb), what="compaction")
        figures = info(operator)
        assert 1 < float(figures["mem_fragmentation_ratio"]) < 1.3
        assert int(figures["mem_fragmentation_bytes"]) == resident(atomdb) - used(atomdb) > 0
        assert figures["active_defrag_running"] == "0"
        reply = operator.cmd("MEMORY", "STATS")
        stats = dict(zip(reply[::2], reply[1::2]))
        assert stats[b"fragmentation.bytes"] == int(figures["mem_fragmentation_bytes"])
        assert 1 < float(stats[b"fragmentation"]) < 1.3
        assert b"fragmentation 1." in operator.cmd("MEMORY", "DOCTOR")
        assert info(client)["mem_fragmentation_ratio"] == "1.00", "a tenant must not see it"
        assert b"fragmentation" not in client.cmd("MEMORY", "DOCTOR")


MIB = 1 << 20
QUOTA = 64 * MIB
# Memory of the process, of its clients, and of one running command.
CONSTANT = 96 * MIB
TWO = """workers = 1; max_memory = "1G"; tenancy = "listed"; defaults: { max_entries = 0; };
    tenants: ( { name = "large"; secret = "large"; max_memory = "0"; }, { name = "shop"; secret = "shop"; max_memory = "64M"; } );"""


def stays_small(server):
    """Returns True if the process has never used more. AddressSanitizer quarantines 256 MiB of freed memory."""
    quarantine = 256 * MIB * (server.status("VmSize") > 1 << 42)
    return server.status("VmHWM") < QUOTA + CONSTANT + quarantine


def test_a_payload_is_not_unpacked_beyond_the_quota(atomdb):
    """RESTORE of 4 MB that expand to 300 MB."""
    atomdb.start(TWO)
    with atomdb.client("large") as large:
        large.cmd("SETRANGE", "zeros", 300 * MIB, "x")
        payload = large.cmd("DUMP", "zeros")
        large.cmd("FLUSHALL")
    assert len(payload) < 8 * MIB
    atomdb.stop()
    atomdb.start(TWO)
    with atomdb.client("shop") as shop:
        shop.cmd("SET", "kept", "1")
        assert shop.cmd("RESTORE", "zeros", 0, payload).code == "OOM"
        assert shop.cmd("RESTORE", "kept", 0, payload, "REPLACE").code == "OOM"
        assert shop.cmd("GET", "kept") == b"1"
    assert stays_small(atomdb)


def test_large_values_that_replace_each_other_do_not_pile_up(atomdb):
    atomdb.start(TWO)
    with atomdb.client("shop") as shop:
        shop.cmd("SETRANGE", "a", 25 * MIB, "x")
        shop.many([("COPY", "a", "b", "REPLACE")] * 40)
        shop.cmd("DEL", "b")
        shop.many([("BITOP", "NOT", "a", "a")] * 20)
    assert stays_small(atomdb)


def test_a_command_takes_at_most_half_of_the_quota_while_it_runs(atomdb):
    atomdb.start(TWO)
    with atomdb.client("shop") as shop:
        shop.cmd("SETRANGE", "a", 40 * MIB, "x")
        assert shop.cmd("BITOP", "NOT", "b", "a").code == "OOM"
        assert shop.cmd("DUMP", "a").code == "OOM"
        assert shop.cmd("STRLEN", "a") == 40 * MIB + 1 and shop.cmd("DBSIZE") == 1
    assert stays_small(atomdb)
