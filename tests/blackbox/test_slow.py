"""Information on a tenant's own commands only: slow log, latency, memory, parameters."""

import re
import time

import pytest

from harness import Error, info


@pytest.fixture
def settings(client):
    """Restores the default parameters after the test: redis-server has one set for all tests."""
    before = {"slowlog-log-slower-than": "10000", "slowlog-max-len": "128", "latency-monitor-threshold": "0"}

    def reset():
        assert client.cmd("CONFIG", "SET", *(word for pair in before.items() for word in pair)) == "OK"
        client.cmd("SLOWLOG", "RESET")
        client.cmd("LATENCY", "RESET")

    reset()
    yield client
    reset()


def parameter(client, name):
    reply = client.cmd("CONFIG", "GET", name)
    return reply[1].decode()


@pytest.mark.like_redis
def test_the_slow_log_has_the_commands_of_a_transaction_but_not_exec(settings):
    client = settings
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.cmd("SLOWLOG", "RESET")
    for command in (["MULTI"], ["GET", "k"], ["PING"], ["EXEC"]):
        client.cmd(*command)
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    names = [entry[3][0] for entry in client.cmd("SLOWLOG", "GET", "-1")]
    assert names == [b"PING", b"GET", b"MULTI", b"SLOWLOG"]


@pytest.mark.like_redis
def test_the_slow_log_has_the_latest_commands_and_their_arguments(settings):
    client = settings
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    client.cmd("SLOWLOG", "RESET")
    assert client.cmd("SLOWLOG", "LEN") == 0
    client.cmd("CLIENT", "SETNAME", "me")
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.cmd("SLOWLOG", "RESET")
    client.cmd("SET", "key", "v" * 128)
    client.cmd("SET", "key", "v" * 130)
    client.cmd("DEL", *range(40))
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    entries = client.cmd("SLOWLOG", "GET", "-1")
    assert client.cmd("SLOWLOG", "LEN") == len(entries) == 4
    arguments = [entry[3] for entry in entries]
    assert [b"SLOWLOG", b"RESET"] in arguments
    assert [b"SET", b"key", b"v" * 128] in arguments
    assert [b"SET", b"key", b"v" * 128 + b"... (2 more bytes)"] in arguments
    assert [b"DEL", *(b"%d" % i for i in range(30)), b"... (10 more arguments)"] in arguments
    ids = [entry[0] for entry in entries]
    assert ids == list(range(ids[0], ids[0] - 4, -1)), "the newest entry is first"
    for entry in entries:
        assert len(entry) == 6
        assert abs(entry[1] - time.time()) < 30
        assert 0 <= entry[2] < 10_000_000
        assert entry[4].startswith(b"127.0.0.1:") and entry[5] == b"me"
    assert len(client.cmd("SLOWLOG", "GET", "2")) == 2
    assert client.cmd("SLOWLOG", "RESET") == "OK"
    assert client.cmd("SLOWLOG", "GET") == []


@pytest.mark.like_redis
def test_the_slow_log_has_a_maximum_length(settings):
    client = settings
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "3")
    for number in range(10):
        client.cmd("GET", number)
    entries = client.cmd("SLOWLOG", "GET")
    assert [entry[3][1] for entry in entries] == [b"9", b"8", b"7"]


@pytest.mark.like_redis
def test_the_slow_log_hides_secrets(settings, shared, secret):
    client = settings
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0")
    with shared.client() as other:
        assert other.cmd("AUTH", secret) == "OK"
        assert other.cmd("AUTH", "default", secret) == "OK"
        other.cmd("HELLO", "2", "AUTH", "default", secret, "SETNAME", "n")
    client.cmd("CONFIG", "SET", "save", "x", "requirepass", secret)
    client.cmd("ACL", "SETUSER", "default", "bogus" + secret)
    text = repr(client.cmd("SLOWLOG", "GET", "-1"))
    assert secret not in text
    assert text.count("(redacted)") == 8


@pytest.mark.like_redis
def test_config_set_changes_all_parameters_or_none(settings):
    client = settings
    assert parameter(client, "slowlog-log-slower-than") == "10000"
    assert parameter(client, "slowlog-max-len") == "128"
    assert client.cmd("CONFIG", "SET", "slowlog-max-len", "7", "latency-monitor-threshold", "9") == "OK"
    assert parameter(client, "slowlog-max-len") == "7"
    assert parameter(client, "latency-monitor-threshold") == "9"
    refused = client.cmd("CONFIG", "SET", "slowlog-max-len", "8", "latency-monitor-threshold", "x")
    assert isinstance(refused, Error)
    assert parameter(client, "slowlog-max-len") == "7", "CONFIG SET with an error changes nothing"
    assert client.cmd("CONFIG", "SET", "save", "") == "OK"
    assert client.cmd("CONFIG", "SET", "appendonly", "no") == "OK"


def test_a_tenant_cannot_change_parameters_of_the_operator(client):
    for name, value in (("maxmemory", "1"), ("maxclients", "1"), ("maxmemory-policy", "noeviction"), ("timeout", "5")):
        assert client.cmd("CONFIG", "SET", name, value) == \
            "NOPERM this user has no permissions to run the 'config|set' command"
        assert client.cmd("CONFIG", "SET", name, parameter(client, name)) == "OK"
    assert isinstance(client.cmd("CONFIG", "REWRITE"), Error)


@pytest.mark.like_redis
def test_resetstat_sets_the_counters_to_zero(client):
    client.cmd("SET", "key", "value")
    for _ in range(5):
        client.cmd("GET", "key")
        client.cmd("GET", "none")
    assert int(info(client)["keyspace_hits"]) >= 5
    assert client.cmd("CONFIG", "RESETSTAT") == "OK"
    client.cmd("GET", "key")
    after = info(client)
    assert (after["keyspace_hits"], after["keyspace_misses"]) == ("1", "0")
    assert int(after["total_commands_processed"]) <= 3


@pytest.mark.like_redis
def test_latency_histogram_counts_calls_in_buckets(client):
    client.cmd("CONFIG", "SET", "latency-tracking", "yes")
    client.cmd("CONFIG", "RESETSTAT")
    for _ in range(10):
        client.cmd("GET", "key")
    client.cmd("CLIENT", "GETNAME")
    reply = client.cmd("LATENCY", "HISTOGRAM", "get", "client", "nosuch", "set")
    assert reply[::2] == [b"get", b"client|getname"]
    calls, count, name, buckets = reply[1]
    assert (calls, count, name) == (b"calls", 10, b"histogram_usec")
    assert buckets[1::2] == sorted(buckets[1::2]) and buckets[-1] == 10
    assert set(buckets[::2]) <= {1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633,
                                 135266, 270532, 541065, 1082130}
    assert b"get" in client.cmd("LATENCY", "HISTOGRAM")[::2]
    client.cmd("CONFIG", "RESETSTAT")
    assert client.cmd("LATENCY", "HISTOGRAM", "get") == []


def test_slow_commands_are_latency_events(settings, atomdb):
    """Runs commands that take milliseconds: KEYS over many keys."""
    del settings
    atomdb.start('defaults: { max_entries = 0; max_memory = "1G"; };')
    with atomdb.client("a") as client, atomdb.client("b") as other:
        for start in range(0, 300_000, 10_000):
            client.cmd("MSET", *(word for number in range(start, start + 10_000) for word in (f"key:{number}", "x")))
        # On a slow machine even a short command takes milliseconds.
        assert other.cmd("CONFIG", "SET", "latency-monitor-threshold", "3600000") == "OK"
        client.many([("CONFIG", "SET", "latency-monitor-threshold", "1"), ("KEYS", "*nosuch*"),
                     ("CONFIG", "SET", "latency-monitor-threshold", "0")])
        events = {name: rest for name, *rest in client.cmd("LATENCY", "LATEST")}
        assert b"command" in events and set(events) <= {b"command", b"fast-command"}
        when, latest, worst = events[b"command"]
        assert abs(when - time.time()) < 60 and 1 <= latest <= worst
        history = client.cmd("LATENCY", "HISTORY", "command")
        assert history[-1] == [when, latest]
        graph = client.cmd("LATENCY", "GRAPH", "command").decode().split("\n")
        lengths = [length for _, length in history]
        assert graph[0] == f"command - high {max(lengths)} ms, low {min(lengths)} ms (all time high {worst} ms)"
        assert graph[1] == "-" * 80 and (len(lengths) > 1 or (graph[5], graph[6]) == ("_", " "))
        assert b"command" in client.cmd("LATENCY", "DOCTOR")
        assert other.cmd("LATENCY", "LATEST") == [] and b"No command" in other.cmd("LATENCY", "DOCTOR")
        assert client.cmd("LATENCY", "RESET", "command", "fast-command") == len(events)
        assert client.cmd("LATENCY", "LATEST") == []


def test_tenants_do_not_see_slow_logs_of_others(shared, client, secret):
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0", "latency-tracking", "yes")
    client.cmd("SET", "private", "x")
    with shared.client(secret + "-other") as other:
        other.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0", "latency-tracking", "yes")
        other.cmd("SET", "mine", "x")
        text = repr(other.cmd("SLOWLOG", "GET", "-1"))
        assert "mine" in text and "private" not in text
        other.cmd("SLOWLOG", "RESET")
        assert other.cmd("LATENCY", "HISTOGRAM", "set")[1][1] == 1
        other.cmd("CONFIG", "SET", "slowlog-max-len", "5")
        other.cmd("CONFIG", "RESETSTAT")
    assert parameter(client, "slowlog-max-len") == "128"
    assert "private" in repr(client.cmd("SLOWLOG", "GET", "-1"))
    assert client.cmd("LATENCY", "HISTOGRAM", "set")[1][1] == 1


def test_the_slow_log_is_charged(shared, client):
    before = int(info(client)["used_memory"])
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "100000")
    for _ in range(100):
        client.cmd("GET", "x" * 100)
    used = int(info(client)["used_memory"])
    assert used > before + 100 * 100
    client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    client.cmd("SLOWLOG", "RESET")
    assert int(info(client)["used_memory"]) < used - 100 * 100


def test_a_slow_log_stays_within_the_quota(atomdb):
    atomdb.start('defaults: { max_memory = "200K"; eviction = "none"; };')
    with atomdb.client("a") as client:
        client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "1000000")
        for _ in range(2000):
            client.cmd("GET", "x" * 128)
        assert client.cmd("SLOWLOG", "LEN") < 1000
        assert client.cmd("SLOWLOG", "RESET") == "OK"
        assert client.cmd("SET", "key", "value") == "OK"


def test_memory_usage_and_stats_have_plausible_sizes(client):
    client.cmd("SET", "key", "v" * 1000)
    assert 1000 < client.cmd("MEMORY", "USAGE", "key") < 1200
    assert client.cmd("MEMORY", "USAGE", "none") is None
    reply = client.cmd("MEMORY", "STATS")
    stats = dict(zip(reply[::2], reply[1::2]))
    assert stats[b"keys.count"] == 1
    assert stats[b"total.allocated"] == stats[b"overhead.total"] + stats[b"dataset.bytes"]
    assert 1000 < stats[b"dataset.bytes"] < 3000
    assert dict(zip(stats[b"db.0"][::2], stats[b"db.0"][1::2]))[b"overhead.hashtable.main"] > 0
    assert b"there is room" in client.cmd("MEMORY", "DOCTOR")
    assert client.cmd("MEMORY", "MALLOC-STATS").startswith(b"db0: ")
    assert client.cmd("MEMORY", "PURGE") == "OK"


@pytest.mark.like_redis
def test_acl_and_function_answer_as_in_redis(client):
    assert client.cmd("ACL", "WHOAMI") == b"default"
    assert client.cmd("ACL", "USERS") == [b"default"]
    assert b"string" in client.cmd("ACL", "CAT")
    assert b"getset" in client.cmd("ACL", "CAT", "string")
    password = client.cmd("ACL", "GENPASS")
    assert len(password) == 64 and password != client.cmd("ACL", "GENPASS")
    assert client.cmd("FUNCTION", "LIST") == []
    assert client.cmd("ROLE")[0] == b"master"
    assert client.cmd("LOLWUT", "VERSION", "1") == b"Redis ver. 7.0.15\n"


def test_acl_users_are_refused(client):
    for arguments in (["SETUSER", "x"], ["DELUSER", "x"], ["LOAD"], ["SAVE"]):
        assert client.cmd("ACL", *arguments).startswith("ERR AtomDB has no ACL users")


def fields(client, section):
    """Returns the lines of a section of INFO with their fields."""
    lines = client.cmd("INFO", section).decode().split("\r\n")
    assert lines[0].lower() == f"# {section}"
    return {name: dict(part.split("=") for part in text.split(",")) for name, text in (line.split(":") for line in lines[1:] if line)}


@pytest.mark.like_redis
def test_info_counts_calls_rejections_and_failures(client):
    client.cmd("CONFIG", "SET", "latency-tracking", "yes")
    client.cmd("CONFIG", "RESETSTAT")
    assert b"Commandstats" not in client.cmd("INFO") and b"# Latencystats" in client.cmd("INFO", "all")
    client.many([("SET", "k", "x")] * 3 + [("INCR", "k"), ("GET",), ("GET", "k"), ("CLIENT", "ID")])
    stats = fields(client, "commandstats")
    counts = {name: (int(row["calls"]), int(row["rejected_calls"]), int(row["failed_calls"])) for name, row in stats.items()}
    assert {name: counts[name] for name in ("cmdstat_set", "cmdstat_incr", "cmdstat_get", "cmdstat_client|id")} == {
        "cmdstat_set": (3, 0, 0), "cmdstat_incr": (1, 0, 1), "cmdstat_get": (1, 1, 0), "cmdstat_client|id": (1, 0, 0)}
    assert float(stats["cmdstat_set"]["usec_per_call"]) == pytest.approx(int(stats["cmdstat_set"]["usec"]) / 3, abs=0.5)
    percentiles = fields(client, "latencystats")
    assert 0 < float(percentiles["latency_percentiles_usec_set"]["p50"]) <= float(percentiles["latency_percentiles_usec_set"]["p99.9"])
    assert "latency_percentiles_usec_del" not in percentiles and "cmdstat_del" not in stats


@pytest.mark.like_redis
def test_every_command_is_counted_without_latency_tracking(client):
    """As in Redis, transactions count, and subcommands, rejected and failed calls have their own counts."""
    client.cmd("CONFIG", "SET", "latency-tracking", "no")
    client.cmd("CONFIG", "RESETSTAT")
    client.many([("SET", "k", "x"), ("GET", "k"), ("get", "k"), ("GET",), ("INCR", "k"), ("CONFIG", "GET", "maxmemory"), ("CONFIG",),
                 ("CONFIG", "NOSUCH"), ("nosuch", "x"), ("OBJECT", "ENCODING", "k"), ("CLIENT", "SETNAME", "a b"), ("PING",),
                 ("MULTI",), ("SET", "k", "1"), ("INCR", "k"), ("INCR", "other", "x"), ("EXEC",),
                 ("MULTI",), ("INCR", "k"), ("SETNAME",), ("DISCARD",),
                 ("MULTI",), ("SET", "k", "x"), ("INCR", "k"), ("EXEC",), ("EXEC",),
                 ("DBSIZE",)] + [("GETRANGE", "k", 0, 1)] * 1000)
    counts = {name: (int(row["calls"]), int(row["rejected_calls"]), int(row["failed_calls"]))
              for name, row in fields(client, "commandstats").items()}
    assert counts == {
        "cmdstat_config|resetstat": (1, 0, 0), "cmdstat_set": (2, 0, 0), "cmdstat_get": (2, 1, 0), "cmdstat_incr": (2, 1, 2),
        "cmdstat_config|get": (1, 0, 0), "cmdstat_config": (0, 1, 0), "cmdstat_object|encoding": (1, 0, 0),
        "cmdstat_client|setname": (1, 0, 1), "cmdstat_ping": (1, 0, 0), "cmdstat_multi": (3, 0, 0), "cmdstat_exec": (3, 0, 2),
        "cmdstat_discard": (1, 0, 0), "cmdstat_dbsize": (1, 0, 0), "cmdstat_getrange": (1000, 0, 0)}
    line = next(line for line in client.cmd("INFO", "commandstats").decode().split("\r\n") if line.startswith("cmdstat_getrange"))
    assert re.fullmatch(r"cmdstat_getrange:calls=1000,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=0", line)
    assert int(fields(client, "commandstats")["cmdstat_getrange"]["usec"]) > 0
    client.cmd("CONFIG", "RESETSTAT")
    assert list(fields(client, "commandstats")) == ["cmdstat_config|resetstat"]


@pytest.mark.like_redis
def test_info_counts_subscriptions_and_tracked_keys(shared, secret, client):
    client.cmd("HELLO", 3)
    with shared.client(secret) as listener:
        listener.cmd("HELLO", 3)
        for command in (("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "s"), ("CLIENT", "TRACKING", "ON")):
            listener.cmd(*command)
        listener.many([("PING",)])
        listener.cmd("GET", "key")
        assert client.cmd("PUBSUB", "NUMPAT") == 1
        figures = info(client)
        wanted = {"pubsub_channels": "2", "pubsub_patterns": "1", "pubsubshard_channels": "1", "tracking_clients": "1",
                  "tracking_total_keys": "1"}
        assert {name: figures.get(name) for name in wanted} == wanted
