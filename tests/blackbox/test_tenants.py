"""Tenants: authentication, names and limits."""

import hashlib
import re
import time

import pytest

from harness import Closed, Error, encode, ended, info, wait_for

WRONGPASS = Error("WRONGPASS invalid username-password pair or user is disabled.")
OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
LISTED = """
tenancy = "listed";
tenants: ( { name = "shop"; secrets = [ "shop-old", "shop-new" ]; max_entries = 0; max_memory = "0"; },
           { name = "blog"; secret_sha256 = "%s"; },
           { name = "wiki"; secret_file = "%s"; } );
"""


def user_of(client, kind="INFO"):
    return re.findall(r" user=(\S*)", client.cmd("CLIENT", kind).decode())


def test_the_acl_user_is_the_name_used_in_auth(atomdb):
    rows = 'tenants: ( { name = "shop"; secret = "s3cret"; } );'
    atomdb.start(rows)
    with atomdb.client() as named, atomdb.client("s3cret") as unnamed, atomdb.client() as greeted:
        assert named.cmd("AUTH", "shop", "s3cret") == "OK"
        assert greeted.cmd("HELLO", 3, "AUTH", "shop", "s3cret")[b"proto"] == 3
        for client, name in ((named, b"shop"), (greeted, b"shop"), (unnamed, b"default")):
            assert client.cmd("ACL", "WHOAMI") == name and client.cmd("ACL", "USERS") == [name]
            assert user_of(client) == [name.decode()]
            assert client.cmd("ACL", "LIST") == [b"user " + name + b" on ~* &* +@all"]
            rules = client.cmd("ACL", "GETUSER", name)
            rules = rules if isinstance(rules, dict) else dict(zip(rules[::2], rules[1::2]))
            assert list(rules[b"flags"]) == [b"on"] and rules[b"commands"] == b"+@all" and rules[b"keys"] == b"~*"
            assert client.cmd("ACL", "GETUSER", "nobody") is None
        assert sorted(user_of(named, "LIST")) == ["default", "shop", "shop"]
        # The clients of a renamed tenant have the new name.
        atomdb.reload(rows.replace('"shop"', '"store"'))
        assert named.cmd("ACL", "WHOAMI") == b"store" and unnamed.cmd("ACL", "WHOAMI") == b"default"
        assert unnamed.cmd("CLIENT", "KILL", "USER", "shop") == "ERR No such user 'shop'"
        assert unnamed.cmd("CLIENT", "KILL", "USER", "store") == 2
        assert named.closed() and greeted.closed()
        assert unnamed.cmd("CLIENT", "KILL", "USER", "default", "SKIPME", "yes") == 0
    with atomdb.client() as client:
        assert client.cmd("AUTH", "store", "s3cret") == "OK" and client.cmd("AUTH", "s3cret") == "OK"
        assert client.cmd("ACL", "WHOAMI") == b"default"
        assert client.cmd("AUTH", "store", "s3cret") == "OK" and client.cmd("RESET") == "RESET"
        assert client.cmd("AUTH", "s3cret") == "OK" and client.cmd("ACL", "WHOAMI") == b"default"


def test_a_named_tenant_has_no_built_in_limit_on_keys(atomdb, tmp_path):
    """Only tenants that clients open have the default limit, or all tenants if the file sets it. TENANT INFO agrees
    with the keys."""
    (tmp_path / "admin").write_text("root")
    config = f'anonymous = "guest"; admin: {{ secret_file = "{tmp_path}/admin"; }}; tenants: ( {{ name = "blog"; secret = "s"; }} );\n'

    def keys_kept(secret):
        with atomdb.client(secret) as client:
            client.many(("SET", f"k{number}", "v") for number in range(100))
            return client.cmd("DBSIZE")

    def told(operator, name):
        pairs = operator.cmd("TENANT", "INFO", name)
        return dict(zip(pairs[::2], pairs[1::2]))[b"max_entries"]

    atomdb.start(config)
    with atomdb.client("root") as operator:
        operator.cmd("TENANT", "CREATE", "live", "secret", "l")
        for secret, name in (("s", "blog"), ("l", "live"), (None, "guest")):
            assert keys_kept(secret) == 100 and told(operator, name) == b"0"
        assert keys_kept("mine") == 30
        opened = [name for name in operator.cmd("TENANT", "LIST") if len(name) == 12]
        assert told(operator, opened[0]) == b"30"
        assert operator.cmd("CONFIG", "SET", "defaults.max_entries", "30") == "OK"
        for secret, name in (("s", "blog"), ("l", "live"), (None, "guest")):
            wait_for(lambda: keys_kept(secret) == 30, 5, "the written limit")
            assert told(operator, name) == b"30"


def limited(**limits):
    """Returns a configuration with one tenant, "t" with secret "s" and only these limits."""
    settings = {"max_entries": "0", "max_memory": '"0"', **limits}
    text = " ".join(f"{name} = {value};" for name, value in settings.items())
    return f'tenancy = "listed";\ntenants: ( {{ name = "t"; secret = "s"; {text} }} );\n'


def test_open_mode_gives_each_secret_its_own_tenant(atomdb):
    atomdb.start()
    with atomdb.client("mySecret123") as a, atomdb.client("otherSecret") as b:
        assert a.cmd("SET", "name", "Alice") == "OK"
        assert b.cmd("GET", "name") is None
        assert b.cmd("DBSIZE") == 0
        assert b.cmd("SET", "name", "Bob") == "OK"
        assert a.cmd("GET", "name") == b"Alice"
        assert b.cmd("FLUSHALL") == "OK"
        assert a.cmd("GET", "name") == b"Alice"
    with atomdb.client("mySecret123") as a:
        assert a.cmd("GET", "name") == b"Alice"


def test_similar_secrets_open_different_tenants(atomdb):
    atomdb.start()
    for number, secret in enumerate(["s", "S", "s ", "s\0", "ss", "", "s" * 1000]):
        with atomdb.client() as client:
            reply = client.cmd("AUTH", secret)
            if secret == "" and reply != "OK":
                assert reply == WRONGPASS
                continue
            assert reply == "OK"
            assert client.cmd("GET", "mark") is None, repr(secret)
            client.cmd("SET", "mark", number)


def test_auth_moves_to_another_tenant(atomdb):
    atomdb.start()
    with atomdb.client("one") as client, atomdb.client("two") as two:
        client.cmd("SET", "k", "one")
        client.cmd("SELECT", 3)
        client.cmd("CLIENT", "SETNAME", "mover")
        assert client.cmd("AUTH", "two") == "OK"
        assert client.cmd("DBSIZE") == 0
        client.cmd("FLUSHALL")
        client.cmd("SELECT", 0)
        client.cmd("SET", "k", "two")
        assert two.cmd("GET", "k") == b"two"
        assert client.cmd("AUTH", "one") == "OK"
        client.cmd("SELECT", 0)
        assert client.cmd("GET", "k") == b"one"


def listed_config(directory):
    (directory / "wiki.secret").write_text("wiki secret\n")
    return LISTED % (hashlib.sha256(b"blog").hexdigest(), directory / "wiki.secret")


@pytest.fixture
def listed(atomdb, tmp_path):
    return atomdb.start(listed_config(tmp_path))


def test_listed_mode_accepts_listed_tenants_only(listed):
    with listed.client() as client:
        for wrong in (["nobody"], ["shop"], ["shop-ol"], ["shop-old "], [""], ["x" * 10000], ["default", "nobody"],
                      ["blog", "shop-old"], ["shop", "blog"], ["nobody", "shop-old"], ["shop", ""], ["", ""]):
            assert client.cmd("AUTH", *wrong) == WRONGPASS, wrong
            assert client.cmd("PING") == Error("NOAUTH Authentication required.")
        assert client.cmd("HELLO", 3, "AUTH", "shop", "no") == WRONGPASS
        assert client.cmd("PING") == Error("NOAUTH Authentication required.")
    assert "nobody" not in listed.log() and "shop-old" not in listed.log()


def test_a_named_tenant_is_reached_by_name_and_by_secret(listed):
    for name, secret in (("shop", "shop-old"), ("blog", "blog"), ("wiki", "wiki secret")):
        with listed.client((name, secret)) as by_name, listed.client(secret) as by_secret:
            assert by_name.cmd("SET", "who", name) == "OK"
            assert by_secret.cmd("GET", "who") == name.encode()
        with listed.client() as client:
            assert client.cmd("HELLO", 3, "AUTH", name, secret)[b"proto"] == 3
            assert client.cmd("GET", "who") == name.encode()
    assert listed.metric("atomdb_tenant_keys", tenant="shop") == 1


def test_two_secrets_open_one_tenant(listed):
    with listed.client("shop-old") as old, listed.client(("shop", "shop-new")) as new:
        old.cmd("SET", "k", "v")
        assert new.cmd("GET", "k") == b"v"


def test_a_failed_auth_keeps_the_tenant(listed):
    with listed.client("blog") as client:
        client.cmd("SET", "k", "v")
        assert client.cmd("AUTH", "wrong") == WRONGPASS
        assert client.cmd("GET", "k") == b"v"


def test_a_wrong_secret_takes_as_long_as_a_right_one(listed, tmp_path):
    """Compares medians of many interleaved attempts. This detects a skipped digest of 16 KB, but not a comparison
    that ends at the first difference."""
    listed.reload(listed_config(tmp_path) + "resp: { auth_rate = 0; };\n")
    samples = {"right": [], "wrong": []}
    secrets = {"right": ("blog", "blog"), "wrong": ("blog", "blag")}
    with listed.client("blog") as client:
        for _ in range(400):
            for kind, pair in secrets.items():
                start = time.perf_counter()
                client.cmd("AUTH", *pair)
                samples[kind].append(time.perf_counter() - start)
    right, wrong = (sorted(samples[kind])[200] for kind in ("right", "wrong"))
    assert wrong < right * 3 and right < wrong * 3


def test_clients_without_auth_use_the_anonymous_tenant(atomdb):
    atomdb.start('tenancy = "listed"; anonymous = "guest";\n'
                 'tenants: ( { name = "guest"; max_entries = 3; }, { name = "t"; secret = "s"; } );')
    with atomdb.client() as guest, atomdb.client() as other, atomdb.client("s") as member:
        assert guest.cmd("SET", "k", "guest") == "OK"
        assert other.cmd("GET", "k") == b"guest"
        assert member.cmd("GET", "k") is None
        assert guest.cmd("AUTH", "s") == "OK"
        assert guest.cmd("GET", "k") is None
        assert guest.cmd("RESET") == "RESET"
        assert guest.cmd("GET", "k") == b"guest"
        assert other.cmd("AUTH", "wrong") == WRONGPASS
        for number in range(5):
            assert other.cmd("SET", f"k{number}", "x") == "OK"
        assert other.cmd("DBSIZE") == 3


def test_the_31st_key_evicts_the_least_recently_used(atomdb):
    atomdb.start()
    with atomdb.client("s") as client:
        assert client.many(("SET", f"k{number}", number) for number in range(30)) == ["OK"] * 30
        assert client.cmd("DBSIZE") == 30
        assert client.cmd("GET", "k0") == b"0"
        assert client.cmd("SET", "k30", "30") == "OK"
        assert client.cmd("DBSIZE") == 30
        assert client.cmd("EXISTS", "k1") == 0
        assert client.cmd("EXISTS", "k0") == 1
        assert info(client)["evicted_keys"] == "1"
    assert atomdb.metric("redis_evicted_keys_total") == 1


def test_the_byte_quota_evicts_the_oldest(atomdb):
    atomdb.start(limited(max_memory='"2M"'))
    with atomdb.client("s") as client:
        for number in range(100):
            assert client.cmd("SET", f"k{number}", "x" * 100_000) == "OK"
        count = client.cmd("DBSIZE")
        assert 10 <= count <= 20
        present = [client.cmd("EXISTS", f"k{number}") for number in range(100)]
        assert present == [0] * (100 - count) + [1] * count, "the tenant evicted other keys than the oldest"
        used = atomdb.metric("atomdb_tenant_memory_bytes", tenant="t")
        assert used <= 2 << 20
        # The command itself has no room: the tenant refuses it before it evicts a key.
        assert client.cmd("SET", "huge", "x" * (3 << 20)) == OOM
        assert client.cmd("EXISTS", "huge") == 0 and client.cmd("DBSIZE") == count


def test_one_tenant_evicts_only_itself(atomdb):
    atomdb.start()
    with atomdb.client("quiet") as quiet, atomdb.client("loud") as loud:
        quiet.many(("SET", f"k{number}", "x") for number in range(30))
        loud.many(("SET", f"k{number}", "x" * 1000) for number in range(5000))
        assert quiet.cmd("DBSIZE") == 30
        assert loud.cmd("DBSIZE") == 30


def test_eviction_none_refuses_writes(atomdb):
    atomdb.start(limited(max_entries="5", eviction='"none"'))
    with atomdb.client("s") as client:
        for number in range(5):
            assert client.cmd("SET", f"k{number}", "x") == "OK"
        for write in (["SET", "new", "x"], ["SETNX", "new", "x"], ["INCR", "new"], ["APPEND", "new", "x"],
                      ["MSET", "k0", "y", "new", "x"], ["GETSET", "new", "x"], ["SETEX", "new", "10", "x"]):
            assert client.cmd(*write) == OOM, write
        assert client.cmd("DBSIZE") == 5
        assert client.cmd("GET", "k0") in (b"x", b"y")
        assert client.cmd("SET", "k1", "still writable") == "OK"
        assert client.cmd("DEL", "k2") == 1
        assert client.cmd("SET", "new", "x") == "OK"
        assert info(client)["evicted_keys"] == "0"


def test_eviction_none_refuses_writes_beyond_the_byte_quota(atomdb):
    atomdb.start(limited(max_memory='"1M"', eviction='"none"'))
    with atomdb.client("s") as client:
        replies = [client.cmd("SET", f"k{number}", "x" * 10_000) for number in range(200)]
        written = replies.count("OK")
        assert replies == ["OK"] * written + [OOM] * (200 - written)
        assert 50 < written < 105
        assert client.cmd("DBSIZE") == written
        assert client.cmd("FLUSHALL") == "OK"
        assert client.cmd("SET", "k", "x" * 10_000) == "OK"


def test_a_full_tenant_can_delete_keys(atomdb):
    """If the tenant has no free byte, the worker still reads a command that arrives in pieces: it may be a DEL."""
    atomdb.start(limited(max_memory='"1M"', eviction='"none"'))
    with atomdb.client("s") as client:
        for size in (1000, 100, 1):
            number = 0
            while client.cmd("SET", f"k{size}:{number}", "x" * size) == "OK":
                number += 1
        for byte in encode("DEL", "k1000:0", "k1000:1") + encode("SET", "new", "x"):
            client.send(bytes([byte]))
        assert [client.read(), client.read()] == [2, "OK"]
        assert client.many([("GET", "new")] * 2000) == [b"x"] * 2000


def test_default_ttl_applies_to_keys_without_a_ttl(atomdb):
    atomdb.start(limited(default_ttl="100"))
    with atomdb.client("s") as client:
        client.cmd("SET", "plain", "x")
        client.cmd("INCR", "counter")
        client.cmd("MSET", "m1", "x", "m2", "x")
        client.cmd("SET", "own", "x", "EX", 1000)
        assert [40 <= client.cmd("TTL", name) <= 100 for name in ("plain", "counter", "m1", "m2")] == [True] * 4
        assert 900 <= client.cmd("TTL", "own") <= 1000


def test_max_ttl_limits_every_ttl(atomdb):
    atomdb.start(limited(max_ttl="100"))
    with atomdb.client("s") as client:
        client.cmd("SET", "plain", "x")
        client.cmd("SET", "longer", "x", "EX", 1000)
        client.cmd("SET", "shorter", "x", "EX", 10)
        client.cmd("SET", "raised", "x", "EX", 10)
        assert client.cmd("EXPIRE", "raised", 100000) == 1
        client.cmd("SET", "persisted", "x", "EX", 10)
        client.cmd("PERSIST", "persisted")
        for name in ("plain", "longer", "raised", "persisted"):
            assert 40 <= client.cmd("TTL", name) <= 100, name
        assert 0 < client.cmd("TTL", "shorter") <= 10


def test_max_clients_limits_the_clients_of_a_tenant(atomdb):
    atomdb.start(limited(max_clients="2").replace(" );\n", ", { name = \"u\"; secret = \"u\"; } );\n"))
    with atomdb.client("s") as one, atomdb.client("s") as two, atomdb.client() as three:
        reply = three.cmd("AUTH", "s")
        assert isinstance(reply, Error) and "max number of clients" in reply
        with atomdb.client("u") as other:
            assert other.cmd("PING") == "PONG"
        two.close()
        one.cmd("PING")

        def accepted():
            with atomdb.client() as four:
                return four.cmd("AUTH", "s") == "OK"

        wait_for(accepted, 5, "the place of the closed client")


def test_max_clients_limits_the_clients_of_the_server(atomdb):
    atomdb.start("resp: { max_clients = 5; };")
    held = [atomdb.client("s") for _ in range(5)]
    with atomdb.client() as refused:
        assert refused.rest().startswith(b"-ERR max number of clients reached\r\n")
    assert held[0].cmd("PING") == "PONG"
    held.pop().close()

    def accepted():
        try:
            with atomdb.client() as again:
                return again.cmd("AUTH", "s") == "OK"
        except (OSError, Closed, AssertionError):
            return False

    wait_for(accepted, 5, "a free place")
    assert atomdb.metric("redis_rejected_connections_total") >= 1
    for client in held:
        client.close()


def test_commands_per_second_limits_the_rate_of_a_tenant(atomdb):
    atomdb.start(limited(commands_per_second="50"))
    with atomdb.client("s") as client:
        replies = client.many(("PING",) for _ in range(500))
        answered = replies.count("PONG")
        refused = [reply for reply in replies if isinstance(reply, Error)]
        assert 40 <= answered <= 150 and answered + len(refused) == 500
        assert all(reply.startswith("ERR") for reply in refused)
        wait_for(lambda: client.cmd("PING") == "PONG", 5, "the bucket to fill again", 0.05)
    assert atomdb.metric("atomdb_tenant_throttled_commands_total", tenant="t") >= len(refused)


def test_max_tenants_limits_the_open_tenants(atomdb):
    atomdb.start("max_tenants = 3;")
    with atomdb.client("a") as a, atomdb.client("b") as b, atomdb.client("c") as c, atomdb.client() as d:
        for client in (a, b, c):
            assert client.cmd("SET", "k", "v") == "OK"
        reply = d.cmd("AUTH", "d")
        assert isinstance(reply, Error) and reply.code == "ERR" and "tenants" in reply
        assert d.cmd("PING").code == "NOAUTH"
        assert d.cmd("AUTH", "a") == "OK"
        c.cmd("FLUSHALL")
        c.close()

        def opened():
            with atomdb.client() as e:
                return e.cmd("AUTH", "e") == "OK"

        wait_for(opened, 5, "the empty tenant's place")


def test_memory_of_all_tenants_is_bounded(atomdb):
    atomdb.start('max_memory = "32M"; defaults: { max_entries = 0; max_memory = "0"; };')
    errors = 0
    for name in "abcdef":
        with atomdb.client(name) as client:
            for number in range(100):
                reply = client.cmd("SET", f"k{number}", "x" * 100_000)
                assert reply in ("OK", OOM)
                errors += reply == OOM
    assert atomdb.status("VmRSS") < 200 << 20
    with atomdb.client("a") as client:
        assert client.cmd("PING") == "PONG"


def test_auth_timeout_closes_an_unauthenticated_client(atomdb):
    atomdb.start("resp: { auth_timeout = 1; };")
    with atomdb.client() as silent, atomdb.client("s") as member:
        assert silent.closed(8), "the server keeps an unauthenticated client"
        assert member.cmd("PING") == "PONG"


def test_idle_timeout_closes_an_idle_client(atomdb):
    atomdb.start("resp: { idle_timeout = 3; auth_timeout = 0; };")
    with atomdb.client("s") as idle, atomdb.client("s") as busy:
        wait_for(lambda: busy.cmd("PING") and ended(idle), 30, "the idle client to be closed", 0.1)
        assert busy.cmd("PING") == "PONG"
