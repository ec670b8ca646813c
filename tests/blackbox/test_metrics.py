"""Metrics of the life of the daemon: connected and rejected clients, durations."""

import time

import harness


def states(server):
    page = server.http("/metrics").body
    return {line.split('"')[1]: int(line.rsplit(" ", 1)[1]) for line in page.splitlines()
            if line.startswith("atomdb_clients{")}


def test_clients_are_counted_by_state(atomdb):
    atomdb.start("workers = 2;\n")
    nobody = dict.fromkeys(("stranger", "authenticated", "transaction", "subscribed", "monitor", "waiting", "closing"), 0)
    expect = lambda **some: harness.wait_for(lambda: states(atomdb) == {**nobody, **some}, 10, f"{some}: {states(atomdb)}")
    expect()
    stranger, client, other = atomdb.client(), atomdb.client("s"), atomdb.client("s")
    expect(stranger=1, authenticated=2)
    client.cmd("MULTI")
    other.cmd("SUBSCRIBE", "channel")
    expect(stranger=1, transaction=1, subscribed=1)
    client.cmd("EXEC")
    other.cmd("UNSUBSCRIBE", "channel")
    other.cmd("MONITOR")
    expect(stranger=1, authenticated=1, monitor=1)
    client.cmd("CLIENT", "PAUSE", "100000", "WRITE")
    stranger.cmd("AUTH", "s")
    stranger.send(harness.encode("DEL", "key"))
    expect(authenticated=1, waiting=1, monitor=1)
    client.cmd("CLIENT", "UNPAUSE")
    assert stranger.read() == 0
    expect(authenticated=2, monitor=1)
    other.close()
    client.close()
    expect(authenticated=1)
    stranger.close()
    expect()


def test_rejected_connections_are_counted_by_reason(atomdb):
    """Each limit on connections counts its own rejections only."""
    atomdb.start('resp: { max_clients = 4; };\nmax_tenants = 1;\n'
                 'tenants: ( { name = "small"; secret = "small"; max_clients = 1; } );\n')
    rejected = lambda: {reason: atomdb.metric("atomdb_rejected_connections_total", reason=reason)
                        for reason in ("max_clients", "open_files", "memory", "tenant_max_clients", "max_tenants")}
    none = dict.fromkeys(rejected(), 0)
    assert rejected() == none
    with atomdb.client("small"), atomdb.client("open") as only, atomdb.client() as third, atomdb.client() as fourth:
        only.cmd("SET", "key", "value")
        assert isinstance(third.cmd("AUTH", "another"), harness.Error)
        assert rejected() == {**none, "max_tenants": 1}
        assert isinstance(third.cmd("AUTH", "small"), harness.Error)
        assert rejected() == {**none, "max_tenants": 1, "tenant_max_clients": 1}
        assert third.closed()
        harness.wait_for(lambda: atomdb.metric("redis_connected_clients") == 3, 10, "the third client to leave")
        with atomdb.client() as fifth:
            assert fourth.cmd("AUTH", "open") == "OK"
            with atomdb.client() as sixth:
                assert isinstance(sixth.read(), harness.Error)
            assert isinstance(fifth.cmd("PING"), harness.Error)
    assert rejected() == {**none, "max_tenants": 1, "tenant_max_clients": 1, "max_clients": 1}
    assert atomdb.metric("redis_rejected_connections_total") == 1


def test_durations_of_commands_are_counted_in_buckets(atomdb):
    atomdb.start()
    with atomdb.client("s") as client:
        for _ in range(50):
            client.cmd("GET", "key")
        for i in range(3000):
            client.cmd("SET", f"key:{i}", "value")
    bucket = lambda le, cmd="get": atomdb.metric("atomdb_command_duration_seconds_bucket", cmd=cmd, le=le)
    assert bucket("+Inf") == atomdb.metric("atomdb_command_duration_seconds_count", cmd="get") == 50
    assert bucket("4.294967296") == 50 and bucket("0.001048576") >= 45
    assert bucket("+Inf", "getdel") is None
    mean = (atomdb.metric("atomdb_command_duration_seconds_sum", cmd="set") / 3000)
    assert 1e-8 < mean < 1e-3 * harness.PATIENCE
    # The buckets agree with the sum: some runs are longer than the mean, some shorter.
    below = [float(le) for le in ("0.000001024", "0.000004096", "0.000016384", "0.000065536") if bucket(le, "set") > 1500]
    assert below and below[0] / 16 < mean < below[0] * 16 * harness.PATIENCE


def test_expiry_lag_and_eviction_age_are_counted(atomdb):
    atomdb.start("defaults: { max_entries = 10; };\n")
    with atomdb.client("s") as client:
        for i in range(5):
            client.cmd("SET", f"due:{i}", "value", "PX", "1")
        harness.wait_for(lambda: atomdb.metric("atomdb_expiry_lag_seconds_count") == 5, 10, "the keys to expire")
        assert atomdb.metric("atomdb_expiry_lag_seconds_bucket", le="+Inf") == 5
        assert atomdb.metric("atomdb_expiry_lag_seconds_bucket", le="16.384") == 5
        for i in range(13):
            client.cmd("SET", f"key:{i}", "value")
        age = lambda le: atomdb.metric("atomdb_eviction_age_seconds_bucket", le=le)
        assert age("+Inf") == age("524.288") == 3
        # The least recently used key is the next to be evicted.
        dump = client.cmd("DUMP", "key:12")
        client.cmd("FLUSHALL")
        client.cmd("RESTORE", "old", "0", dump, "IDLETIME", "3000")
        for i in range(10):
            client.cmd("SET", f"key:{i}", "value")
        assert client.cmd("EXISTS", "old") == 0
        assert age("+Inf") == 4 and age("2097.152") == 3 and age("4194.304") == 4
        assert atomdb.metric("atomdb_eviction_age_seconds_sum") > 2500


def test_metrics_have_quota_ratios_and_arena_bytes(atomdb):
    atomdb.start('tenants: ( { name = "t"; secret = "t"; max_entries = 8; max_memory = "1M"; },\n'
                 '           { name = "free"; secret = "free"; max_entries = 0; max_memory = "0"; } );\n')
    with atomdb.client("t") as client:
        for i in range(2):
            client.cmd("SET", f"key:{i}", "x" * 100_000)
        ratio = lambda what, tenant="t": atomdb.metric(f"atomdb_tenant_quota_{what}_used_ratio", tenant=tenant)
        assert ratio("keys") == 0.25
        assert 0.19 < ratio("memory") < 0.3
        assert ratio("keys", "free") is None and ratio("memory", "free") is None
        used = lambda use: sum(atomdb.metric("atomdb_arena_bytes", shard=str(shard), use=use) or 0 for shard in range(2))
        # The worker publishes it at the beginning of a turn.
        client.cmd("PING")
        assert 200_000 <= used("entries") < 300_000 and used("tables") > 0


def test_a_worker_is_busy_while_it_works(atomdb):
    atomdb.start("workers = 1;\n")
    busy = lambda: atomdb.metric("atomdb_worker_busy_seconds_total", worker="0")
    before, start = busy(), time.monotonic()
    with atomdb.client("s") as client:
        for _ in range(200):
            client.many([("SET", f"key:{i}", "value") for i in range(50)])
    took = time.monotonic() - start
    assert 0 < busy() - before < took
    moved = atomdb.metric("atomdb_worker_inbox_messages_total", worker="0")
    assert moved is not None
