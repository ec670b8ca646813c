"""INFO has the fields of Redis and the figures of the tenant."""

import shutil

import pytest

import harness
from harness import Error, info, wait_for

# Fields of Redis that INFO lacks, with the reason.
HOST = "of the host or of the whole daemon: a tenant must not see it"
ABSENT = {
    "redis_build_id": "atomdb_version names the build",
    "process_supervised": HOST, "executable": HOST, "total_system_memory": HOST, "total_system_memory_human": HOST,
    "client_recent_max_input_buffer": "AtomDB frees a buffer as soon as it is empty; CLIENT LIST has the others",
    "client_recent_max_output_buffer": "as for the input buffer",
    "allocator_allocated": HOST, "allocator_active": HOST, "allocator_resident": HOST, "allocator_frag_ratio": HOST,
    "allocator_frag_bytes": HOST, "allocator_rss_ratio": HOST, "allocator_rss_bytes": HOST, "rss_overhead_ratio": HOST,
    "rss_overhead_bytes": HOST,
    "lazyfreed_objects": "dropped objects no longer belong to the tenant",
    "expire_cycle_cpu_milliseconds": "one timing wheel expires the keys of many tenants",
}
OWN = {"atomdb_version", "tenant", "max_entries", "throttled_commands", "lost_events"}


def fields(client, *sections):
    """Returns the fields in order, without those that depend on earlier commands."""
    lines = client.cmd("INFO", *sections).decode().split("\r\n")
    names = [line.split(":", 1)[0] for line in lines if line]
    return [name for name in names if not name.startswith(("cmdstat_", "latency_percentiles", "errorstat_", "db"))]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is the reference")
@pytest.mark.parametrize("sections", [(), ("all",), ("everything",), ("default",), ("server", "keyspace"), ("STATS",),
                                      ("nosuch",), ("commandstats", "default")])
def test_info_has_the_fields_of_redis(client, tmp_path, sections):
    redis = harness.Redis(tmp_path).start()
    try:
        with redis.client(redis.secret) as reference:
            theirs = fields(reference, *sections)
    finally:
        redis.stop()
    mine = fields(client, *sections)
    assert [name for name in mine if name not in OWN] == [name for name in theirs if name not in ABSENT]


@pytest.mark.like_redis
def test_errors_are_counted_by_code(client):
    client.cmd("CONFIG", "RESETSTAT")
    assert info(client)["total_error_replies"] == "0" and not client.cmd("INFO", "errorstats").count(b"errorstat_")
    client.cmd("SET", "a", "b")
    for command in (("INCR", "a"), ("NOSUCH",), ("GET",), ("EXEC",), ("CLIENT", "NOSUCH"), ("AUTH", "no", "no"),
                    ("PFADD", "a", "x"), ("RESTORE", "a", "0", "x")):
        assert isinstance(client.cmd(*command), Error)
    # A transaction counts the errors of rejected and of executed commands.
    for command in (("MULTI",), ("NOSUCH",), ("EXEC",), ("MULTI",), ("INCR", "a"), ("INCR", "a"), ("EXEC",)):
        client.cmd(*command)
    # Errors without a reply also count.
    client.send(harness.encode("CLIENT", "REPLY", "SKIP") + harness.encode("INCR", "a"))
    figures = info(client)
    assert {name: value for name, value in figures.items() if name.startswith("errorstat_")} == {
        "errorstat_BUSYKEY": "count=1", "errorstat_ERR": "count=9", "errorstat_EXECABORT": "count=1",
        "errorstat_WRONGPASS": "count=1", "errorstat_WRONGTYPE": "count=1"}
    assert figures["total_error_replies"] == "13"
    client.cmd("CONFIG", "RESETSTAT")
    assert info(client)["total_error_replies"] == "0" and not client.cmd("INFO", "errorstats").count(b"errorstat_")


def test_errors_are_counted_per_tenant(shared, client):
    client.cmd("NOSUCH")
    with shared.client("another tenant") as other:
        assert not info(other, "errorstats") and info(other)["total_error_replies"] == "0"


def test_info_has_the_memory_and_the_io_of_the_tenant(client):
    client.cmd("CONFIG", "RESETSTAT")
    before = info(client)
    client.cmd("SET", "large", b"v" * 1000000)
    client.cmd("DEL", "large")
    after = info(client)
    peak, used = int(after["used_memory_peak"]), int(after["used_memory"])
    assert peak > 1000000 > used > 0
    assert after["used_memory_peak_perc"] == f"{used * 100 / peak:.2f}%"
    assert int(after["used_memory_overhead"]) + int(after["used_memory_dataset"]) == used
    assert int(after["total_reads_processed"]) >= int(before["total_reads_processed"]) + 3
    assert int(after["total_writes_processed"]) == int(before["total_writes_processed"]) + 3


def test_info_has_the_rates_since_the_last_info(client):
    info(client)

    def rate():
        client.many([("SET", "key", "v" * 1000)] * 2000)
        figures = info(client)
        return (float(figures["instantaneous_ops_per_sec"]) > 1000
                and float(figures["instantaneous_input_kbps"]) > 1000
                and float(figures["instantaneous_output_kbps"]) > 1)

    wait_for(rate, 10, "a rate of more than 1000 commands a second", pause=0.1)


def test_refused_clients_are_counted(atomdb):
    atomdb.start('tenancy = "listed"; tenants: ( { name = "small"; secret = "secret"; max_clients = 1; } );')
    with atomdb.client("secret") as client:
        assert info(client)["rejected_connections"] == "0"
        with atomdb.client() as other:
            assert other.cmd("AUTH", "secret").startswith("ERR max number of clients")
        assert info(client)["rejected_connections"] == "1"


@pytest.mark.like_redis
def test_info_counts_tracked_keys_and_their_clients(client, shared, secret):
    with shared.client(secret) as other:
        other.cmd("HELLO", "3")
        client.cmd("HELLO", "3")
        for one in (client, other):
            one.cmd("CLIENT", "TRACKING", "on")
        client.many([("GET", "a"), ("GET", "b")])
        other.many([("GET", "b"), ("GET", "c")])
        figures = info(client)
        assert (figures["tracking_total_keys"], figures["tracking_total_items"], figures["tracking_clients"]) == (
            "3", "4", "2")
        for one in (client, other):
            one.cmd("CLIENT", "TRACKING", "off")


def test_info_has_the_mean_time_to_live(client):
    client.many([("SET", f"k{i}", "v", "EX", 1000) for i in range(10)] + [("SET", "for ever", "v")])
    keys, expires, ttl = (int(field.split("=")[1]) for field in info(client)["db0"].split(","))
    assert (keys, expires) == (11, 10) and 900000 < ttl <= 1000000
