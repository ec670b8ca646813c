"""SIGHUP applies a changed configuration without affecting other tenants."""

import subprocess

import pytest

from harness import Error, info, wait_for

pytestmark = pytest.mark.threads


def tenants(*rows):
    return 'tenancy = "listed";\ntenants: (\n  %s\n);\n' % ",\n  ".join("{ %s }" % row for row in rows)


A = 'name = "a"; secret = "sa"; max_entries = 10;'
B = 'name = "b"; secret = "sb"; max_entries = 10;'
C = 'name = "c"; secret = "sc";'


def test_a_reload_adds_a_tenant(atomdb):
    atomdb.start(tenants(A))
    with atomdb.client("sa") as a, atomdb.client() as new:
        a.cmd("SET", "k", "v")
        assert new.cmd("AUTH", "sb").code == "WRONGPASS"
        atomdb.reload(tenants(A, B))
        assert new.cmd("AUTH", "sb") == "OK"
        assert new.cmd("DBSIZE") == 0
        assert a.cmd("GET", "k") == b"v"


def test_a_reload_removes_a_tenant_and_closes_its_clients(atomdb):
    atomdb.start(tenants(A, B))
    with atomdb.client("sa") as a, atomdb.client("sb") as b1, atomdb.client("sb") as b2:
        for client in (a, b1):
            client.many(("SET", f"k{number}", "v" * 1000) for number in range(10))
        atomdb.reload(tenants(A) + 'removed = ( "b" );')
        assert b1.closed() and b2.closed()
        assert a.cmd("DBSIZE") == 10
        assert "Tenant removed with its data: tenant b, 10 keys, " in atomdb.log()
        with atomdb.client() as again:
            assert again.cmd("AUTH", "sb").code == "WRONGPASS"
        wait_for(lambda: atomdb.metric("redis_db_keys", db="db0") == 10, 5, "the removed tenant's keys to be freed")
        atomdb.reload(tenants(A, B))
        with atomdb.client("sb") as b:
            assert b.cmd("DBSIZE") == 0, "the new tenant has the keys of the removed one"


def test_a_reload_changes_a_tenant(atomdb):
    atomdb.start(tenants(A, B))
    with atomdb.client("sa") as a, atomdb.client("sb") as b:
        for client in (a, b):
            client.many(("SET", f"k{number}", "v") for number in range(20))
            assert client.cmd("DBSIZE") == 10
        atomdb.reload(tenants(A.replace("10", "15"), B.replace("10", "4")))
        wait_for(lambda: b.cmd("DBSIZE") == 4, 5, "the lower quota")
        for client, expected in ((a, 15), (b, 4)):
            client.many(("SET", f"n{number}", "v") for number in range(20))
            assert client.cmd("DBSIZE") == expected


def test_a_reload_replaces_a_secret(atomdb):
    atomdb.start(tenants('name = "a"; secrets = [ "old" ];'))
    with atomdb.client("old") as client:
        client.cmd("SET", "k", "v")
        atomdb.reload(tenants('name = "a"; secrets = [ "old", "new" ];'))
        with atomdb.client("new") as other:
            assert other.cmd("GET", "k") == b"v"
        atomdb.reload(tenants('name = "a"; secrets = [ "new" ];'))
        assert client.cmd("GET", "k") == b"v", "an authenticated client stays authenticated"
        with atomdb.client() as late:
            assert late.cmd("AUTH", "old").code == "WRONGPASS"
            assert late.cmd("AUTH", "new") == "OK"
            assert late.cmd("GET", "k") == b"v"


@pytest.mark.parametrize("bad", [
    tenants(A, B.replace("max_entries", "max_entires")),
    tenants(A, B)[:-10],
    tenants(A, A),
    tenants(A, B) + 'workers = "many";',
    tenants(A, B) + "workers = -1;",
    tenants(A, 'name = "b"; secret_file = "/does/not/exist";'),
    "\0\1\2",
], ids=["unknown key", "cut off", "twice", "wrong type", "out of range", "no secret file", "not text"])
def test_a_bad_file_changes_nothing(atomdb, bad):
    atomdb.start(tenants(A))
    with atomdb.client("sa") as a:
        a.cmd("SET", "k", "v")
        atomdb.reload(bad, good=False)
        assert a.cmd("GET", "k") == b"v"
        with atomdb.client() as other:
            assert other.cmd("AUTH", "sb").code == "WRONGPASS"
            assert other.cmd("AUTH", "sa") == "OK"
            other.many(("SET", f"k{number}", "v") for number in range(30))
            assert other.cmd("DBSIZE") == 10
        assert atomdb.http("/health").status == 200
        atomdb.reload(tenants(A, B))
        with atomdb.client("sb") as b:
            assert b.cmd("PING") == "PONG"


def test_a_missing_file_changes_nothing(atomdb):
    import os

    atomdb.start(tenants(A))
    directory, name = os.path.split(atomdb.config)
    with atomdb.client("sa") as client:
        atomdb.reload("@include \"nothing.conf\"\n", good=False)
        assert client.cmd("PING") == "PONG"
    assert name in os.listdir(directory)


def test_a_reload_changes_the_tenancy(atomdb):
    atomdb.start(tenants(A))
    with atomdb.client("sa") as a:
        a.cmd("SET", "k", "v")
        atomdb.reload(tenants(A).replace("listed", "open"))
        with atomdb.client("anything") as guest:
            assert guest.cmd("SET", "k", "guest") == "OK"
            atomdb.reload(tenants(A), refused=True)
            assert guest.cmd("GET", "k") == b"guest"
            atomdb.reload(tenants(A) + 'removed = ( "@opened" );')
            assert guest.closed()
            with atomdb.client() as late:
                assert late.cmd("AUTH", "anything2").code == "WRONGPASS"
        assert a.cmd("GET", "k") == b"v"


def test_a_reload_that_would_lose_keys_is_refused(atomdb):
    """A tenant with a new name and secret, a removed tenant, an empty list, an empty file: nothing changes, and the
    log names the tenants with their keys."""
    atomdb.start(tenants(A, B))
    with atomdb.client("sa") as a, atomdb.client("sb") as b:
        a.many(("SET", f"k{number}", "v") for number in range(7))
        b.cmd("SET", "k", "v")
        bytes_of_a = int(info(a, "memory")["used_memory"])
        for config in (tenants(B), tenants(A.replace("name = \"a\"; secret = \"sa\"", 'name = "x"; secret = "sx"'), B),
                       "", "tenants: ();", 'tenancy = "listed"; tenants: ();'):
            atomdb.reload(config, refused=True)
            command = [atomdb.binary, "--reload", str(atomdb.pid)]
            assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 1
            assert a.cmd("DBSIZE") == 7 and b.cmd("DBSIZE") == 1
            with atomdb.client() as other:
                assert other.cmd("AUTH", "anything").code == "WRONGPASS"
                assert other.cmd("AUTH", "a", "sa") == "OK"
        said = [line for line in atomdb.log().splitlines() if "would delete keys of tenants" in line]
        assert "a (7 keys, " in said[0] and "b (" not in said[0] and "removed" in said[0]
        assert abs(int(said[0].split("a (7 keys, ")[1].split()[0]) - bytes_of_a) < 4096
        assert "b (1 keys, " in said[-1]
        # The operator must say which of two tenants is removed.
        atomdb.reload(tenants(A) + 'removed = ( "c" );', refused=True)
        atomdb.reload(tenants(A) + 'removed = ( "b", "c" );')
        assert b.closed() and a.cmd("DBSIZE") == 7


LOST_LIMITS = {
    "of the defaults": ("defaults: { max_entries = 0; };", "", "max_entries 30"),
    "the whole group": ('workers = 1; defaults: { max_entries = 1000; max_ttl = 60; };', "workers = 1;", "max_entries 30"),
    "memory": ('defaults: { max_entries = 0; max_memory = "0"; };', "defaults: { max_entries = 0; };", "max_memory 67108864"),
    "of the tenant": (tenants('name = "a"; secret = "sa"; max_entries = 1000;'), tenants('name = "a"; secret = "sa";') +
                      "defaults: { max_entries = 7; };", "max_entries 7"),
    "with another name": (tenants('name = "a"; secret = "sa"; max_memory = "0";'), tenants('name = "b"; secret = "sa";'),
                          "max_memory 67108864"),
    "of an open tenant that gets a name": ('defaults: { max_memory = "0"; max_entries = 0; };',
                                           'tenants: ( { name = "a"; secret = "sa"; } );', "max_memory 67108864"),
    "eviction": ('defaults: { max_entries = 100; eviction = "none"; };', "defaults: { max_entries = 100; };", 'eviction "lru"'),
}


@pytest.mark.parametrize("before, after, becomes", LOST_LIMITS.values(), ids=LOST_LIMITS.keys())
def test_a_limit_that_the_file_lost_evicts_no_keys(atomdb, before, after, becomes):
    atomdb.start(before)
    with atomdb.client("sa") as client:
        value = "v" * (1000000 if "memory" in becomes else 1)
        client.many(("SET", f"k{number}", value) for number in range(90))
        for _ in range(2):
            atomdb.reload(after, refused=True)
            command = [atomdb.binary, "--reload", str(atomdb.pid)]
            assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 1
        said = [line for line in atomdb.log().splitlines() if "would delete keys of tenants" in line]
        assert "(90 keys, " in said[0] and f": {becomes})" in said[0] and "set them at the tenant or in defaults" in said[0]
        assert client.cmd("SET", "one more", "v") == "OK" and client.cmd("DBSIZE") == 91
        assert client.cmd("EXISTS", "k0") == 1
        # If the file sets the limit, the operator wants it.
        key, _, limit = becomes.partition(" ")
        written = after.replace("max_entries = 100; ", "max_entries = 100; eviction = \"lru\"; ") if key == "eviction" else (
            after.replace('secret = "sa";', f'secret = "sa"; {key} = {limit};') if "secret" in after else
            after.replace("defaults: {", f"defaults: {{ {key} = {limit};") if "defaults" in after else
            after + f"defaults: {{ {key} = {limit}; }};")
        atomdb.reload(written)
        if key == "max_entries":
            wait_for(lambda: client.cmd("DBSIZE") == int(limit), 10, "the limit that is written")
        if key == "max_memory":
            wait_for(lambda: client.cmd("DBSIZE") < 67, 10, "the limit that is written")
        warned = [line for line in atomdb.log().splitlines() if "exceed a limit of the configuration" in line]
        assert len(warned) == (key != "eviction") and all("(91 keys, " in line and becomes in line for line in warned)


def test_the_refusal_for_many_tenants_is_short(atomdb):
    atomdb.start("defaults: { max_entries = 0; };")
    for number in range(7):
        with atomdb.client(f"secret {number}") as client:
            client.many(("SET", f"k{digit}", "v") for digit in range(31 if number < 5 else 30))
    atomdb.reload("", refused=True)
    line = [line for line in atomdb.log().splitlines() if "would delete keys of tenants" in line][-1]
    assert line.count(": max_entries 30)") == 3 and " and 2 more, in all 155 keys, " in line
    assert atomdb.metric("redis_db_keys", db="db0") == 5 * 31 + 2 * 30


def test_a_lost_limit_that_no_tenant_exceeds_is_accepted(atomdb):
    atomdb.start('defaults: { max_entries = 0; max_memory = "0"; eviction = "none"; };')
    with atomdb.client("sa") as client:
        atomdb.reload('defaults: { max_entries = 0; max_memory = "0"; };')
        client.many(("SET", f"k{number}", "v") for number in range(30))
        atomdb.reload("")
        client.many(("SET", f"n{number}", "v") for number in range(3))
        assert client.cmd("DBSIZE") == 30 and client.cmd("EXISTS", "k0", "k2", "k3") == 1
        # The limit grows again when the file loses it.
        atomdb.reload("defaults: { max_entries = 5; };")
        wait_for(lambda: client.cmd("DBSIZE") == 5, 10, "the limit that is written")
        atomdb.reload("")
        assert client.cmd("DBSIZE") == 5
    assert "would delete keys" not in atomdb.log()


def test_a_renamed_tenant_keeps_keys_and_clients(atomdb):
    atomdb.start(tenants(A, B))
    with atomdb.client("sa") as a:
        a.many(("SET", f"k{number}", "v") for number in range(10))
        atomdb.reload(tenants(A.replace('"a"', '"store"').replace("10", "12"), B))
        assert a.cmd("DBSIZE") == 10
        assert "Tenant renamed: tenant store, it was a" in atomdb.log()
        with atomdb.client() as other:
            assert other.cmd("AUTH", "a", "sa").code == "WRONGPASS"
            assert other.cmd("AUTH", "store", "sa") == "OK"
            assert other.cmd("DBSIZE") == 10
        assert atomdb.metric("atomdb_tenant_keys", tenant="store") == 10
        assert atomdb.metric("atomdb_tenant_keys", tenant="a") is None
        a.many(("SET", f"n{number}", "v") for number in range(10))
        wait_for(lambda: a.cmd("DBSIZE") == 12, 5, "the quota of the new name")


@pytest.mark.parametrize("change", ["removed = \"shop\";", "removed = ( 7 );", 'removed = ( "no name" );', 'removed = ( "@all" );',
                                    'removed = ( "a" );', 'tenancy = "open"; removed = ( "@opened" );'])
def test_a_wrong_value_of_removed_is_refused(atomdb, change):
    atomdb.start(tenants(A, B))
    config = tenants(A, B) if "tenancy" not in change else tenants(A, B).replace('tenancy = "listed";', "")
    atomdb.reload(config + change, good=False)


def test_two_tenants_may_exchange_secrets(atomdb):
    atomdb.start(tenants(A, B))
    with atomdb.client("sa") as a, atomdb.client("sb") as b:
        a.cmd("SET", "k", "of a")
        b.cmd("SET", "k", "of b")
        atomdb.reload(tenants(A.replace('"sa"', '"sb"'), B.replace('"sb"', '"sa"')))
        assert a.cmd("GET", "k") == b"of a" and b.cmd("GET", "k") == b"of b"
        with atomdb.client("sb") as other:
            assert other.cmd("GET", "k") == b"of a"


def test_keys_written_during_a_reload_are_not_lost(atomdb):
    """A tenant is empty when the reload checks it, and a client writes to it until the reload ends. The daemon keeps
    acknowledged writes."""
    atomdb.start(tenants(A, B))
    for number in range(30):
        with atomdb.client("sb") as b:
            b.send(b"".join(b"*3\r\n$3\r\nSET\r\n$2\r\nk%d\r\n$1\r\nv\r\n" % (digit % 10) for digit in range(500)))
            atomdb.write_config(tenants(A))
            command = [atomdb.binary, "--reload", str(atomdb.pid)]
            gone = subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
            written = b.rest().count(b"+OK") if gone else 1
        atomdb.reload(tenants(A, B))
        with atomdb.client("sb") as b:
            assert b.cmd("DBSIZE") > 0 or written == 0, number
            b.cmd("FLUSHALL")


def test_a_reload_changes_max_clients(atomdb):
    atomdb.start("resp: { max_clients = 100; };")
    with atomdb.client("s") as client:
        assert client.cmd("CONFIG", "GET", "maxclients") == [b"maxclients", b"100"]
        atomdb.reload("resp: { max_clients = 1; };")

        def refused():
            with atomdb.client() as late:
                return late.rest().startswith(b"-ERR max number of clients")

        assert refused()
        assert client.cmd("PING") == "PONG"
        atomdb.reload("resp: { max_clients = 100; };")
        with atomdb.client("s") as late:
            assert late.cmd("PING") == "PONG"


def test_a_setting_that_needs_a_restart_is_logged(atomdb):
    atomdb.start("workers = 1;")
    atomdb.reload("workers = 2;")
    wait_for(lambda: "needs a restart" in atomdb.log(), 5, "the log to say so")
    with atomdb.client("s") as client:
        assert client.cmd("PING") == "PONG"


def test_many_reloads_under_load_lose_no_command(atomdb):
    atomdb.start(tenants(A, B))
    with atomdb.client("sa") as a:
        for number in range(20):
            a.send(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 200)
            with atomdb.client() as b:
                reply = b.cmd("AUTH", "sb")
                assert reply == "OK" or isinstance(reply, Error)
                atomdb.reload(tenants(A) if number % 2 == 0 else tenants(A, B, C))
            assert [a.read() for _ in range(200)][-1] == (number + 1) * 200


def test_the_reload_option_waits_for_the_result(atomdb):
    def ask():
        command = [atomdb.binary, "--reload", str(atomdb.pid)]
        result = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True)
        assert result.stderr == (f"atomdb: process {atomdb.pid} did not reload the configuration: see its log\n"
                                 if result.returncode else "")
        return result.returncode

    def keys_kept():
        with atomdb.client("sa") as a:
            a.many(("SET", f"k{number}", "v") for number in range(12))
            return a.cmd("DBSIZE")

    atomdb.start(tenants(A))
    assert keys_kept() == 10
    atomdb.write_config(tenants(A.replace("10", "8")))
    assert ask() == 0
    wait_for(lambda: keys_kept() == 8, 5, "the quota to be in force")
    atomdb.write_config(tenants(A.replace("10", '"many"')))
    assert ask() == 1
    assert "The configuration could not be read" in atomdb.log()
    assert keys_kept() == 8


def test_another_process_is_not_signalled(atomdb):
    with subprocess.Popen(["sleep", "60"]) as other:
        command = [atomdb.binary, "--reload", str(other.pid)]
        result = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True)
        alive = other.poll() is None
        other.kill()
    assert alive and result.returncode == 1
    assert result.stderr == f"atomdb: process {other.pid} is not AtomDB\n"


def test_a_lower_max_memory_evicts_keys_of_the_largest(atomdb):
    unlimited = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'
    atomdb.start(unlimited)
    with atomdb.client("large") as large, atomdb.client("small") as small:
        large.many(("SET", f"k{number}", "v" * 1000) for number in range(40000))
        small.many(("SET", f"k{number}", "v" * 1000) for number in range(4000))
        atomdb.reload(unlimited + 'max_memory = "24M";\n')
        wait_for(lambda: large.cmd("DBSIZE") < 24000, 10, "the largest tenant to shrink")
        wait_for(lambda: atomdb.metric("atomdb_arena_resident_bytes", shard="0") <= 24 << 20, 10, "the memory to be freed")
        assert "Tenants use more memory than max_memory allows: " in atomdb.log()
        left = large.cmd("DBSIZE")
        assert left > 10000, "the daemon evicted more keys than necessary"
        assert small.cmd("DBSIZE") == 4000
        assert large.cmd("GET", "k0") is None and large.cmd("EXISTS", "k39999") == 1
        assert atomdb.metric("atomdb_shed_keys_total", shard="0") >= 40000 - left
        assert atomdb.metric("redis_evicted_keys_total") >= 40000 - left
