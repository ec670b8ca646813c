"""No command lets a tenant see, count, change or close anything of another tenant."""

import pytest

from harness import Closed, commands_table, encode, info

CONFIG = 'defaults: { max_entries = 0; max_memory = "0"; };\n'
KEYS = [f"key:{number}" for number in range(8)] + ["number", "expiring"]
FAR = "4102444800"
# DUMP of the number 7.
SEVEN = b'\x00\xc0\x07\n\x00t\xcdH\xa2\x83\xab\xce\x92'
# Arguments of each command with keys. The table gives the positions of the keys; these arguments follow them.
ARGUMENTS = {
    "set": ["mine", "GET"], "getex": ["EX", "1"], "setnx": ["mine"], "setex": ["1", "mine"], "psetex": ["1", "mine"],
    "getset": ["mine"], "incrby": ["1"], "decrby": ["1"], "append": ["mine"], "expire": ["1"], "pexpire": ["1"],
    "expireat": ["1"], "pexpireat": ["1"], "pfadd": ["mine"], "getrange": ["0", "-1"], "substr": ["0", "-1"], "setrange": ["2", "mine"],
    "incrbyfloat": ["1.5"], "getbit": ["3"], "setbit": ["3", "1"], "bitpos": ["1"], "bitfield": ["INCRBY", "u8", "0", "1"],
    "bitfield_ro": ["GET", "u8", "0"], "move": ["9"], "restore": ["0", SEVEN],
}
TABLE = commands_table()
# COMMAND treats channels like keys. test_interaction.py tests the interaction of clients.
CHANNELS = ("ssubscribe", "sunsubscribe", "spublish")
WITH_KEYS = [row for row in TABLE if row.keys != "NO_KEYS" and row.name not in CHANNELS]


def snapshot(client):
    """Returns everything that a tenant can see of its keys. Changes nothing."""
    state = {}
    for database in (0, 5):
        client.cmd("SELECT", database)
        state[database] = {key: (client.cmd("GET", key), client.cmd("PEXPIRETIME", key)) for key in client.cmd("KEYS", "*")}
        state["size", database] = client.cmd("DBSIZE")
    client.cmd("SELECT", 0)
    return state


@pytest.fixture
def pair(atomdb):
    """Tenant a with keys, and tenant b without."""
    atomdb.start(CONFIG)
    with atomdb.client("secret-a") as a, atomdb.client("secret-b") as b:
        for database in (0, 5):
            a.cmd("SELECT", database)
            a.many(("SET", key, f"private to a in {database}") for key in KEYS)
            a.cmd("SET", "number", 41)
            a.cmd("SET", "expiring", "x", "EXAT", FAR)
        a.cmd("SELECT", 0)
        yield a, b


def test_the_table_has_commands_with_keys():
    assert len(WITH_KEYS) >= 25
    assert {"get", "set", "del", "mset", "expire", "persist"} <= {row.name for row in WITH_KEYS}


@pytest.mark.parametrize("row", WITH_KEYS, ids=lambda row: row.name)
def test_a_command_with_keys_does_not_reach_another_tenant(pair, row):
    a, b = pair
    before = snapshot(a)
    fresh = b.cmd(*_call(row, ["not there"]))
    b.cmd("FLUSHALL")
    for database in (0, 5):
        b.cmd("SELECT", database)
        for key in KEYS:
            reply = b.cmd(*_call(row, [key]))
            assert reply == fresh, f"{row.name} {key} depends on the keys of a"
            b.cmd("FLUSHALL")
        if row.step:
            b.cmd(*_call(row, KEYS))
    assert snapshot(a) == before


# Commands whose keys do not directly follow the name.
CALLS = {
    "lcs": lambda keys: ["lcs", keys[0], keys[-1]],
    "rename": lambda keys: ["rename", keys[0], "renamed"],
    "renamenx": lambda keys: ["renamenx", keys[0], "renamed"],
    "copy": lambda keys: ["copy", keys[0], "copied"],
    "pfmerge": lambda keys: ["pfmerge", *keys],
    "pfdebug": lambda keys: ["pfdebug", "ENCODING", keys[0]],
    "bitop": lambda keys: ["bitop", "OR", keys[0], *keys],
}


def _call(row, keys):
    if row.name in CALLS:
        return CALLS[row.name](keys)
    if row.step == 2:
        return [*row.words, *(word for key in keys for word in (key, "mine"))]
    return [*row.words, *(keys if row.step else keys[:1]), *ARGUMENTS.get(row.name, [])]


def test_calls_are_well_formed(pair):
    """Checks that the calls above succeed, so that the test cannot pass because of an error reply."""
    _, b = pair
    for row in WITH_KEYS:
        reply = b.cmd(*_call(row, ["not there"]))
        assert not (isinstance(reply, str) and ("syntax" in reply or "wrong number" in reply)), (row.name, reply)


def test_commands_over_all_keys_reach_the_own_keys_only(pair):
    a, b = pair
    before = snapshot(a)
    assert b.cmd("KEYS", "*") == []
    assert b.cmd("SCAN", 0, "COUNT", 1000) == [b"0", []]
    assert b.cmd("DBSIZE") == 0
    assert b.cmd("RANDOMKEY") is None
    assert info(b).get("db0") is None
    b.cmd("SET", "own", "x")
    assert b.cmd("RANDOMKEY") == b"own"
    for flush in (["FLUSHDB"], ["FLUSHALL"], ["FLUSHALL", "ASYNC"], ["FLUSHDB", "SYNC"]):
        b.cmd("SET", "own", "x")
        assert b.cmd(*flush) == "OK"
        assert b.cmd("DBSIZE") == 0
    assert snapshot(a) == before


def test_client_list_shows_the_own_clients_only(atomdb, pair):
    a, b = pair
    a.cmd("CLIENT", "SETNAME", "client-of-a")
    with atomdb.client("secret-b") as b2:
        b2.cmd("CLIENT", "SETNAME", "client-of-b")
        listing = b.cmd("CLIENT", "LIST")
        assert b"client-of-a" not in listing and b"client-of-b" in listing and len(listing.splitlines()) == 2
        for identity in range(1, 20):
            assert b"client-of-a" not in b.cmd("CLIENT", "LIST", "ID", identity)
        assert b.cmd("CLIENT", "LIST", "TYPE", "normal").count(b"\n") == 2


def ids(listing):
    return [int(line.split()[0].removeprefix("id=")) for line in listing.decode().splitlines()]


def test_client_ids_count_the_own_clients(atomdb):
    """CLIENT ID, HELLO and CLIENT LIST number the clients of a tenant from 1, independently of other tenants."""
    atomdb.start()
    with atomdb.client("secret-a") as first, atomdb.client("secret-b") as other:
        assert first.cmd("CLIENT", "ID") == other.cmd("CLIENT", "ID") == 1
        for _ in range(10):
            atomdb.client("secret-b").close()
            atomdb.client().close()
        with atomdb.client("secret-a") as second, atomdb.client("secret-a") as third:
            assert second.cmd("CLIENT", "ID") == 2
            hello = third.cmd("HELLO", 3)
            assert hello[b"id"] == third.cmd("CLIENT", "ID") == 3
            listing = first.cmd("CLIENT", "LIST")
            assert sorted(ids(listing)) == [1, 2, 3] and listing.count(b" fd=-1 ") == 3
            # After AUTH a client has a new number in the other tenant, and another new one when it returns.
            assert second.cmd("AUTH", "secret-a") == "OK" and second.cmd("CLIENT", "ID") == 2
            assert second.cmd("AUTH", "secret-b") == "OK" and second.cmd("CLIENT", "ID") == 12
            assert second.cmd("AUTH", "secret-a") == "OK" and second.cmd("CLIENT", "ID") == 4
            assert first.cmd("CLIENT", "KILL", "ID", 3) == 1 and third.closed()
        assert other.cmd("CLIENT", "ID") == 1


def test_info_shows_the_own_figures_only(pair):
    a, b = pair
    for _ in range(50):
        a.cmd("GET", "number")
        a.cmd("GET", "none")
    figures = info(b)
    assert figures["connected_clients"] == "1"
    assert figures["keyspace_hits"] == "0" and figures["keyspace_misses"] == "0"
    assert int(figures["used_memory"]) < int(info(a)["used_memory"])
    assert int(figures["total_commands_processed"]) < 20
    assert int(info(a)["keyspace_hits"]) >= 50


def test_no_output_shows_a_secret(atomdb, pair):
    a, b = pair
    seen = atomdb.log() + atomdb.http("/metrics").body + atomdb.http("/").body + atomdb.http("/health").body
    for client in (a, b):
        seen += client.cmd("CLIENT", "LIST").decode() + client.cmd("INFO", "everything").decode()
        seen += repr(client.cmd("CONFIG", "GET", "*"))
        client.cmd("AUTH", "secret-wrong", "secret-wronger")
    seen += atomdb.log()
    assert "secret-" not in seen


def calls_without_keys():
    """Returns valid arguments of each command without keys."""
    calls = {
        "ping": [], "echo": ["x"], "select": ["5"], "keys": ["*"], "scan": ["0"], "randomkey": [], "dbsize": [],
        "flushdb": [], "flushall": [], "info": [], "time": [], "command": [], "command|count": [], "command|docs": ["get"],
        "command|getkeys": ["get", "key:1"], "command|getkeysandflags": ["get", "key:1"], "command|help": [], "command|info": ["get"], "command|list": [],
        "config|get": ["*"], "config|help": [], "client|getname": [], "client|help": [], "client|id": [],
        "client|info": [], "client|list": [], "client|no-evict": ["on"], "client|setinfo": ["lib-name", "x"],
        "client|setname": ["b"], "hello": ["3"], "auth": ["secret-b"], "reset": [], "quit": [], "config": ["nosuch"],
        "client": ["nosuch"], "object": ["nosuch"], "object|help": [], "swapdb": ["0", "5"], "pfselftest": [], "wait": ["0", "0"],
        "hotkeys": [], "bigkeys": [], "lolwut": [], "role": [], "debug": ["POPULATE", "10"], "config|resetstat": [], "config|rewrite": [],
        "config|set": ["slowlog-log-slower-than", "0", "latency-tracking", "yes", "notify-keyspace-events", "KEA"],
        "memory": ["nosuch"], "memory|doctor": [], "memory|help": [], "memory|malloc-stats": [], "memory|purge": [],
        "memory|stats": [], "slowlog": ["nosuch"], "slowlog|get": ["-1"], "slowlog|help": [], "slowlog|len": [],
        "slowlog|reset": [], "latency": ["nosuch"], "latency|doctor": [], "latency|graph": ["command"],
        "latency|help": [], "latency|histogram": [], "latency|history": ["command"], "latency|latest": [],
        "latency|reset": [], "acl": ["nosuch"], "acl|cat": [], "acl|deluser": ["x"], "acl|dryrun": ["default", "get"],
        "acl|genpass": [], "acl|getuser": ["default"], "acl|help": [], "acl|list": [], "acl|load": [], "acl|log": [],
        "acl|save": [], "acl|setuser": ["x"], "acl|users": [], "acl|whoami": [], "function": ["nosuch"],
        "function|delete": ["x"], "function|flush": [], "function|help": [], "function|kill": [], "function|list": [],
        "function|stats": [],
        "client|caching": ["yes"],
        "client|getredir": [], "client|kill": ["TYPE", "normal"], "client|pause": ["1"], "client|reply": ["on"],
        "client|tracking": ["on"], "client|trackinginfo": [], "client|unblock": ["1"], "client|unpause": [],
        "multi": [], "exec": [], "discard": [], "unwatch": [], "subscribe": ["c"], "unsubscribe": ["c"],
        "psubscribe": ["*"], "punsubscribe": ["*"], "publish": ["c", "key"], "pubsub": ["nosuch"], "pubsub|channels": [],
        "pubsub|help": [], "pubsub|numpat": [], "pubsub|numsub": ["c"], "pubsub|shardchannels": [],
        "pubsub|shardnumsub": ["c"],
        "monitor": [], "shutdown": ["NOSAVE"], "tenant": ["nosuch"], "tenant|create": ["x", "secret", "y"],
        "tenant|drop": ["a"], "tenant|help": [], "tenant|info": ["a"], "tenant|kill": ["a"], "tenant|list": [],
        "tenant|set": ["a", "max_entries", "1"],
    }
    return calls


def test_a_command_without_keys_does_not_reach_another_tenant(pair):
    """Tenant b runs each command without keys."""
    a, b = pair
    before = snapshot(a)
    calls = calls_without_keys()
    for row in TABLE:
        if row.keys == "NO_KEYS":
            assert row.name in calls, f"add the arguments of {row.name} to calls_without_keys()"
    for name in sorted(calls, key=lambda name: (name in ("reset", "quit"), name == "quit")):
        reply = b.cmd(*name.split("|"), *calls[name])
        assert b"private to a" not in repr(reply).encode() and b"key:3" not in repr(reply).encode(), name
    assert snapshot(a) == before


def test_no_command_reaches_the_listeners_of_another(atomdb):
    """No call of b causes a message to a client of a that subscribes to everything, or aborts its watching
    transaction."""
    atomdb.start(CONFIG + "enable_debug_command = true;\n")
    others = calls_without_keys()
    with atomdb.client("secret-a") as a, atomdb.client("secret-a") as listener, atomdb.client("secret-a") as cached:
        a.cmd("CONFIG", "SET", "notify-keyspace-events", "KEAmn", "slowlog-log-slower-than", "0")
        for client in (listener, cached):
            client.cmd("HELLO", 3)
            client.cmd("CLIENT", "SETNAME", "same")
        a.many(("SET", key, "private to a") for key in KEYS)
        listener.many([("SUBSCRIBE", "c"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "c")])
        cached.cmd("CLIENT", "TRACKING", "ON", "BCAST")
        for row in TABLE:
            a.cmd("WATCH", *KEYS, "renamed", "copied")
            a.cmd("SLOWLOG", "RESET")
            clients = a.cmd("CLIENT", "LIST").count(b"\n")
            with atomdb.client("secret-b") as b:
                b.cmd("HELLO", 3)
                b.cmd("CONFIG", "SET", "notify-keyspace-events", "KEAmn", "slowlog-log-slower-than", "0")
                b.cmd("CLIENT", "SETNAME", "same")
                b.many(("SET", key, "7") for key in KEYS)
                call = _call(row, KEYS[:2]) if row in WITH_KEYS else [*row.words, *others.get(row.name, ["c"])]
                b.send_anyway(encode(*call) + encode("DISCARD") + encode("AUTH", "secret-b") + encode("ECHO", "done"))
                try:
                    while b.read() != b"done":
                        pass
                except (Closed, ConnectionError):  # QUIT, CLIENT KILL
                    pass
            for client in (listener, cached):
                assert client.cmd("ECHO", "quiet") == b"quiet", row.name
            slow = a.cmd("SLOWLOG", "GET", "-1")
            assert {entry[3][0].lower() for entry in slow} <= {b"slowlog", b"client", b"echo"}, (row.name, slow)
            assert a.cmd("CLIENT", "LIST").count(b"\n") == clients, row.name
            assert a.cmd("MULTI") == "OK" and a.cmd("PING") == "QUEUED"
            assert a.cmd("EXEC") == ["PONG"], row.name
