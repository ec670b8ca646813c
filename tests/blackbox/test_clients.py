"""Clients that users install: redis-cli, redis-benchmark, Debian's python3-redis, and packages of npm
(tests/clients)."""

import csv
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
import redis

CLIENTS = pathlib.Path(__file__).parent.parent / "clients"
ROOMY = 'defaults: { max_entries = 0; max_memory = "0"; };\n'


def cli(server, secret, *arguments, stdin=None, seconds=30):
    command = ["redis-cli", "-p", str(server.port), "--no-auth-warning", "-a", secret, *map(str, arguments)]
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds)
    assert result.returncode == 0, (command, result)
    return result.stdout


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_redis_cli_works_with_both_protocols(shared, secret, protocol):
    run = lambda *arguments, **options: cli(shared, secret, protocol, *arguments, **options).rstrip("\n")
    assert run("SET", "k", "v", "EX", 100) == "OK"
    assert run("GET", "k") == "v"
    assert run("--no-raw", "GET", "none") == "(nil)"
    assert run("--no-raw", "INCR", "n") == "(integer) 1"
    assert run(stdin="SET a 1\nINCR a\nMULTI\nINCR a\nGET a\nEXEC\n").split() == ["OK", "2", "OK", "QUEUED", "QUEUED", "3", "3"]
    assert run("--json" if protocol == "-3" else "--csv", "MGET", "k", "none") in ('["v",null]', '"v",NULL')
    assert sorted(run("--scan", "--pattern", "?").split()) == ["a", "k", "n"]
    assert run("-n", 5, "DBSIZE") == "0"
    assert run("-x", "SET", "large", stdin="x" * 100_000) == "OK"
    assert run("STRLEN", "large") == "100000"
    assert "redis_version:7.0" in run("INFO", "server")
    assert run("--pipe", stdin="".join(f"SET p{number} {number}\r\n" for number in range(500))).endswith("errors: 0, replies: 500")


def test_the_monitoring_modes_of_redis_cli_work(shared, secret):
    """The modes show statistics, sampled keys and latency."""
    with shared.client(secret) as client:
        client.many(("SET", f"key:{number}", "x" * number) for number in range(1, 20))
    assert 'Biggest string found \'"key:19"\' has 19 bytes' in cli(shared, secret, "--bigkeys")
    assert "19 strings with " in cli(shared, secret, "--memkeys")
    with shared.client(secret) as client:
        client.many([("GET", f"key:{2 + number % 2}") for number in range(20_000)])
    hottest = [line.split() for line in cli(shared, secret, "--hotkeys").splitlines() if line.startswith("hot key found")]
    assert {row[-1] for row in hottest[:2]} == {'"key:2"', '"key:3"'} and int(hottest[0][5]) > 20, hottest
    assert cli(shared, secret, "--raw", "--latency", "-i", "0.05").split()[2].replace(".", "").isdigit()
    command = ["redis-cli", "-p", str(shared.port), "--no-auth-warning", "-a", secret, "--stat", "-i", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stat:
        rows = [stat.stdout.readline().split() for _ in range(5)]
        stat.kill()
    keys, _, clients, _, requests, _, connections = rows[-1][:7]
    assert int(keys) == 19 and int(clients) >= 1 and int(requests) > 19 and int(connections) >= 2, rows


def test_redis_cli_help_knows_the_commands(shared, secret):
    # In interactive use, redis-cli reads COMMAND DOCS at its start.
    said = cli(shared, secret, stdin="help set\nhelp @string\n")
    assert "SET" in said and "EX seconds" in said, said


def test_redis_benchmark_measures_its_commands(atomdb):
    atomdb.start(ROOMY)
    result = subprocess.run(["redis-benchmark", "-p", str(atomdb.port), "-a", "secret", "-n", "20000", "-c", "20", "-P", "16",
                             "-r", "1000", "--csv", "-t", "ping,set,get,incr,mset"], capture_output=True, text=True, timeout=50)
    assert result.returncode == 0, result.stderr
    rows = list(csv.reader(line for line in result.stdout.splitlines() if line.startswith('"')))
    assert [row[0] for row in rows[1:]] == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
    assert all(float(row[1]) > 0 for row in rows[1:])
    with atomdb.client("secret") as client:
        assert client.cmd("DBSIZE") > 1000
        assert int(client.cmd("GET", "counter:000000000000") or 0) >= 0


def test_python_redis_runs_commands(shared, secret):
    r = redis.Redis(port=shared.port, password=secret, decode_responses=True)
    r.flushall()
    assert r.set("k", "v", ex=100, nx=True) and r.set("k", "w", nx=True) is None
    assert r.get("k") == "v" and 0 < r.ttl("k") <= 100
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "c") == ["1", "2", None]
    assert r.incr("a", 5) == 6 and r.incrbyfloat("b", 0.5) == 2.5
    assert sorted(r.scan_iter(match="*", count=1)) == ["a", "b", "k"]
    assert r.pfadd("h", "x", "y") == 1 and r.pfcount("h") == 2
    assert r.bitfield("bits").set("u8", 0, 200).get("u8", 0).execute() == [0, 200]
    assert r.info("server")["redis_version"].startswith("7.0")
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    assert r.client_list()[0]["cmd"] == "client|list" and r.client_setname("py") and r.client_getname() == "py"
    assert r.config_set("slowlog-log-slower-than", -1) and r.slowlog_reset() and r.slowlog_get(1) == []
    assert r.acl_whoami() == "default" and r.memory_usage("k") > 0
    assert r.object("encoding", "a") == "int" and r.object("idletime", "a") < 100
    raw = redis.Redis(port=shared.port, password=secret)
    assert raw.restore("copy", 0, raw.dump("k")) and r.get("copy") == "v"


def test_python_redis_runs_transactions(shared, secret):
    r = redis.Redis(port=shared.port, password=secret)
    r.set("n", 0)
    with r.pipeline() as pipe:
        pipe.watch("n")
        r.incr("n")
        pipe.multi()
        pipe.incr("n")
        with pytest.raises(redis.WatchError):
            pipe.execute()
    r.transaction(lambda pipe: (pipe.multi(), pipe.set("n", 10), pipe.incr("n")), "n")
    assert r.get("n") == b"11"
    assert r.pipeline(transaction=False).get("n").incr("n").execute() == [b"11", 12]


def test_python_redis_receives_messages_and_events(shared, secret):
    r = redis.Redis(port=shared.port, password=secret)
    r.config_set("notify-keyspace-events", "Ex")
    with r.pubsub(ignore_subscribe_messages=True) as p:
        p.subscribe("news")
        p.psubscribe("__keyevent@*__:expired")
        # The client misses messages until the server has both subscriptions.
        while r.pubsub_numsub("news") != [(b"news", 1)] or r.pubsub_numpat() != 1:
            p.get_message(timeout=0.01)
        assert r.publish("news", "hello") == 1
        r.set("k", 1, px=10)
        got, end = [], time.monotonic() + 20
        while len(got) < 2 and time.monotonic() < end:
            message = p.get_message(timeout=1)
            if message:
                got.append((message["channel"], message["data"]))
        assert got == [(b"news", b"hello"), (b"__keyevent@0__:expired", b"k")]


@pytest.fixture
def patience():
    """Allows more time, because installing packages takes longer than a test."""
    signal.alarm(300)


def test_the_npm_clients_pass_their_tests(patience, atomdb, tmp_path):
    """Installs the packages of the lock file and runs their tests."""
    npm = shutil.which("npm")
    assert npm, "npm is not installed"
    for name in ("package.json", "package-lock.json", ".npmrc", "clients.test.mjs"):
        shutil.copy(CLIENTS / name, tmp_path)
    installed = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert installed.returncode == 0, installed.stderr[-2000:]
    atomdb.start(ROOMY)
    result = subprocess.run(["node", "--test", "--test-reporter=tap", "clients.test.mjs"], cwd=tmp_path, capture_output=True,
                            text=True, timeout=120, env=dict(os.environ, ATOMDB_PORT=str(atomdb.port)))
    assert result.returncode == 0, result.stdout[-4000:]
    assert "# pass 11" in result.stdout
