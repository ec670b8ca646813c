"""Interaction of the clients of a tenant: transactions, pub/sub, notifications, tracking, CLIENT KILL."""

import time

import pytest

from harness import Error, Push, encode, wait_for


@pytest.fixture
def trio(shared, secret, client):
    """Three clients of one tenant. The first one uses RESP3."""
    with shared.client(secret) as second, shared.client(secret) as third:
        client.cmd("HELLO", 3)
        yield client, second, third


def silent(client):
    """Returns True if the client has received nothing: the next input is the reply to ECHO."""
    return client.cmd("ECHO", "nothing before") == b"nothing before"


def run(client, *commands):
    return [client.cmd(*command.split()) for command in commands]


@pytest.mark.like_redis
def test_exec_runs_the_queued_commands(trio):
    a, b, _ = trio
    assert run(b, "MULTI", "SET k 1", "INCR k", "GET k", "SELECT 3", "SET other x") == ["OK"] + ["QUEUED"] * 5
    assert a.cmd("EXISTS", "k") == 0
    assert b.cmd("EXEC") == ["OK", 2, b"2", "OK", "OK"]
    assert b.cmd("GET", "other") == b"x" and a.cmd("GET", "k") == b"2"
    assert run(b, "MULTI", "SET k text", "INCR k", "GET k", "EXEC")[-1][1:] == [
        Error("ERR value is not an integer or out of range"), b"text"]
    assert run(b, "MULTI", "SET k 9", "DISCARD", "EXEC")[2:] == ["OK", Error("ERR EXEC without MULTI")]
    assert run(b, "DISCARD") == [Error("ERR DISCARD without MULTI")]


@pytest.mark.like_redis
@pytest.mark.parametrize("bad", ["NOSUCH", "GET", "SET k", "CLIENT NOSUCH"])
def test_a_refused_command_aborts_the_transaction(client, bad):
    client.cmd("MULTI")
    client.cmd("SET", "k", 1)
    assert isinstance(client.cmd(*bad.split()), Error)
    assert client.cmd("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
    assert client.cmd("EXISTS", "k") == 0


@pytest.mark.like_redis
def test_multi_does_not_queue_multi_watch_exec_and_reset(client):
    assert run(client, "MULTI", "MULTI", "WATCH k", "EXEC a") == [
        "OK", Error("ERR MULTI calls can not be nested"), Error("ERR WATCH inside MULTI is not allowed"),
        Error("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command")]
    assert run(client, "MULTI", "EXEC") == ["OK", []]
    assert run(client, "MULTI", "RESET") == ["OK", "RESET"]


@pytest.mark.like_redis
@pytest.mark.parametrize("change, aborts", [
    ("SET k 2", True), ("APPEND k x", True), ("INCR k", True), ("DEL k", True), ("EXPIRE k 100", True), ("FLUSHALL", True),
    ("GETEX k EX 10", True), ("GETDEL k", True), ("MSET j 1 k 2", True), ("GET k", False), ("SET j 1", False),
    ("SETNX k 1", False), ("PERSIST k", False), ("DEL j", False), ("SET k 2 NX", False)])
def test_a_change_of_a_watched_key_aborts_the_transaction(trio, change, aborts):
    a, b, _ = trio
    a.cmd("SET", "k", 1)
    assert a.cmd("WATCH", "k") == "OK"
    b.cmd(*change.split())
    assert run(a, "MULTI", "PING", "EXEC")[-1] == (None if aborts else ["PONG"])
    assert run(a, "MULTI", "PING", "EXEC")[-1] == ["PONG"]


@pytest.mark.like_redis
def test_unwatch_discard_and_exec_end_a_watch(trio):
    a, b, _ = trio
    for end in ("UNWATCH", "DISCARD", "EXEC"):
        a.cmd("WATCH", "k")
        if end != "UNWATCH":
            a.cmd("MULTI")
        a.cmd(end)
        b.cmd("SET", "k", 1)
        assert run(a, "MULTI", "PING", "EXEC")[-1] == ["PONG"], end


@pytest.mark.like_redis
def test_a_watched_key_that_expires_aborts_the_transaction(trio):
    a, b, _ = trio
    for ttl_ms in (30, 300, 3000, 30000):
        a.cmd("UNWATCH")
        b.cmd("SET", "k", 1, "PX", ttl_ms)
        a.cmd("WATCH", "k")
        if b.cmd("EXISTS", "k"):
            break
    wait_for(lambda: b.cmd("EXISTS", "k") == 0)
    assert run(a, "MULTI", "PING", "EXEC")[-1] is None


@pytest.mark.like_redis
def test_subscribers_receive_the_messages_of_their_channels_and_patterns(trio):
    a, b, c = trio
    assert a.cmd("SUBSCRIBE", "news") == Push([b"subscribe", b"news", 1])
    assert c.cmd("PSUBSCRIBE", "n*") == [b"psubscribe", b"n*", 1]
    assert b.cmd("PUBLISH", "news", "hello") == 2
    assert a.read() == Push([b"message", b"news", b"hello"])
    assert c.read() == [b"pmessage", b"n*", b"news", b"hello"]
    assert b.cmd("PUBLISH", "other", "x") == 0
    assert b.cmd("PUBSUB", "CHANNELS") == [b"news"] and b.cmd("PUBSUB", "NUMPAT") == 1
    assert b.cmd("PUBSUB", "NUMSUB", "news", "none") == [b"news", 1, b"none", 0]
    assert a.cmd("PING") == "PONG" and c.cmd("PING") == [b"pong", b""]
    assert isinstance(c.cmd("GET", "k"), Error) and a.cmd("GET", "k") is None
    assert a.cmd("UNSUBSCRIBE") == Push([b"unsubscribe", b"news", 0])
    assert c.cmd("PUNSUBSCRIBE", "n*") == [b"punsubscribe", b"n*", 0]
    assert b.cmd("PUBLISH", "news", "x") == 0 and c.cmd("GET", "k") is None


def until_pong(client):
    """Returns everything that the client has received before the reply to ECHO."""
    client.send(encode("ECHO", "the end"))
    seen = []
    while (value := client.read()) != b"the end":
        seen.append(value)
    return seen


def has_push(value):
    return isinstance(value, Push) or (isinstance(value, list) and any(has_push(part) for part in value))


MESSAGE = Push([b"message", b"c", b"m"])
MISSED = [Push([b"message", b"__keyevent@0__:keymiss", key]) for key in (b"a", b"b")]
INVALID = Push([b"invalidate", [b"k"]])


@pytest.mark.parametrize("before, kept, reply, pushes", [
    ([], ["PING", "PUBLISH c m", "ECHO x"], ["PONG", 1, b"x"], [MESSAGE]),
    (["UNSUBSCRIBE c", "SSUBSCRIBE c"], ["PING", "SPUBLISH c m"], ["PONG", 1], [Push([b"smessage", b"c", b"m"])]),
    ([], ["MGET a b", "GET a"], [[None, None], None], [*MISSED, MISSED[0]]),
    (["CLIENT TRACKING ON", "GET k"], ["SET k 1", "GET k", "SET k 2"], ["OK", b"1", "OK"], [INVALID, INVALID]),
    ([], ["CLIENT TRACKING ON", "SET j 0", "SUBSCRIBE c", "FLUSHALL"], ["OK", "OK", [b"subscribe", b"c", 2], "OK"],
     [Push([b"invalidate", None])]),
    ([], ["SUBSCRIBE x y", "PING"], [[b"subscribe", b"x", 3], "PONG"], [Push([b"subscribe", b"y", 4])]),
    ([], ["UNSUBSCRIBE", "PING"], [[b"unsubscribe", b"c", 1], "PONG"],
     [Push([b"unsubscribe", b"__keyevent@0__:keymiss", 0])]),
    (["UNSUBSCRIBE"], ["PUNSUBSCRIBE", "UNSUBSCRIBE p q"],
     [[b"punsubscribe", None, 0], [b"unsubscribe", b"p", 0]], [Push([b"unsubscribe", b"q", 0])]),
    ([], ["PSUBSCRIBE c* d*", "PUBLISH c m"], [[b"psubscribe", b"c*", 3], 2],
     [Push([b"psubscribe", b"d*", 4]), MESSAGE, Push([b"pmessage", b"c*", b"c", b"m"])])])
def test_pushes_follow_the_array_of_a_transaction(client, before, kept, reply, pushes):
    run(client, "HELLO 3", "CONFIG SET notify-keyspace-events Em", "SUBSCRIBE c", "SUBSCRIBE __keyevent@0__:keymiss")
    run(client, *before)
    until_pong(client)
    assert run(client, "MULTI", *kept) == ["OK"] + ["QUEUED"] * len(kept)
    result = client.cmd("EXEC")
    assert result == reply and not has_push(result)
    seen = until_pong(client)
    assert seen == pushes and all(isinstance(push, Push) for push in seen)


def test_pushes_of_a_command_surround_its_reply(client):
    run(client, "HELLO 3", "CONFIG SET notify-keyspace-events Em", "SUBSCRIBE c", "SUBSCRIBE __keyevent@0__:keymiss")
    assert client.cmd("PUBLISH", "c", "m") == MESSAGE and client.read() == 1
    assert client.cmd("GET", "a") == MISSED[0] and client.read() is None
    assert client.cmd("MGET", "a", "b") == [None, None]
    assert until_pong(client) == MISSED


def test_exec_has_one_element_for_each_subscribe_in_resp2(client):
    """Each command has one element. Further confirmations and messages follow the array."""
    assert run(client, "MULTI", "SUBSCRIBE x y", "PUBLISH x m", "SUBSCRIBE x", "ECHO z", "EXEC")[-1] == [
        [b"subscribe", b"x", 1], 1, [b"subscribe", b"x", 2], b"z"]
    assert [client.read(), client.read()] == [[b"subscribe", b"y", 2], [b"message", b"x", b"m"]]
    assert client.cmd("UNSUBSCRIBE", "x") == [b"unsubscribe", b"x", 1]
    assert client.cmd("UNSUBSCRIBE") == [b"unsubscribe", b"y", 0]
    assert client.cmd("PING") == "PONG"


def test_a_monitor_sees_its_own_transaction_after_the_reply(client):
    assert client.cmd("MONITOR") == "OK"
    assert client.cmd("MULTI") == "OK" and client.read().endswith('"MULTI"')
    assert run(client, "PING", "ECHO x") == ["QUEUED"] * 2
    assert client.cmd("EXEC") == ["PONG", b"x"]
    assert [client.read().split("] ")[1] for _ in range(3)] == ['"PING"', '"ECHO" "x"', '"EXEC"']


def test_client_reply_takes_effect_after_exec(client):
    """The array of EXEC is complete: CLIENT REPLY takes effect after it."""
    assert run(client, "MULTI", "CLIENT REPLY OFF", "PING", "EXEC")[-1] == [None, "PONG"]
    client.send(encode("PING"))
    assert client.cmd("CLIENT", "REPLY", "ON") == "OK"
    assert run(client, "MULTI", "CLIENT REPLY SKIP", "PING", "EXEC")[-1] == [None, "PONG"]
    client.send(encode("PING"))
    assert client.cmd("ECHO", "x") == b"x"


@pytest.mark.parametrize("command", [
    ["KEYS"], ["SCAN", 0, "MATCH"], ["PUBSUB", "CHANNELS"], ["PUBSUB", "SHARDCHANNELS"], ["PSUBSCRIBE"]])
@pytest.mark.parametrize("pattern", ["*" + "?" * 20000 + "b", "*" + "a" * 20000 + "b", "*" + "[b-za]" * 4000 + "b"])
def test_a_costly_pattern_is_refused(shared, secret, client, command, pattern):
    """Each of these patterns would take minutes and block all clients."""
    name = "a" * 100000
    client.cmd("SET", name, "v")
    with shared.client(secret) as subscriber:
        run(subscriber, f"SUBSCRIBE {name}", f"SSUBSCRIBE {name}")
        assert client.cmd(*command, pattern) == Error("ERR the pattern takes too long to match")


def test_many_stars_cost_little(trio):
    a, b, _ = trio
    many = "*a" * 2000
    a.cmd("SUBSCRIBE", "a" * 50000)
    assert b.cmd("PUBSUB", "CHANNELS", many + "b") == [] and b.cmd("PUBSUB", "CHANNELS", many) == [b"a" * 50000]
    assert a.cmd("PSUBSCRIBE", many) == Push([b"psubscribe", many.encode(), 2])
    assert b.cmd("PUBLISH", "a" * 3000, "m") == 1
    assert a.read() == Push([b"pmessage", many.encode(), b"a" * 3000, b"m"])


@pytest.mark.like_redis
def test_shard_channels_are_separate(trio):
    a, b, _ = trio
    assert a.cmd("SSUBSCRIBE", "s") == Push([b"ssubscribe", b"s", 1])
    assert b.cmd("PUBLISH", "s", "x") == 0 and b.cmd("SPUBLISH", "s", "x") == 1
    assert a.read() == Push([b"smessage", b"s", b"x"])
    assert b.cmd("PUBSUB", "SHARDCHANNELS") == [b"s"] and b.cmd("PUBSUB", "SHARDNUMSUB", "s") == [b"s", 1]


@pytest.mark.like_redis
def test_many_subscribers_get_many_messages(shared, secret, client):
    others = [shared.client(secret) for _ in range(50)]
    for other in others:
        other.cmd("SUBSCRIBE", "c")
    assert client.many(("PUBLISH", "c", f"{number}:" + "x" * 1000) for number in range(300)) == [50] * 300
    for other in others:
        for number in range(300):
            assert other.read()[2].startswith(b"%d:" % number)
        other.close()
    wait_for(lambda: client.cmd("PUBLISH", "c", "x") == 0)


def test_a_subscriber_that_does_not_read_is_closed(atomdb):
    atomdb.start('resp: { output_buffer = "1M"; };\n')
    with atomdb.client("s") as deaf, atomdb.client("s") as publisher:
        deaf.cmd("SUBSCRIBE", "c")
        message = "x" * 100_000
        wait_for(lambda: publisher.cmd("PUBLISH", "c", message) == 0, what="the subscriber to be closed")


EVENTS = [
    ("SET k 1", ["set"]), ("INCR k", ["incrby"]), ("EXPIRE k 100", ["expire"]), ("PERSIST k", ["persist"]),
    ("APPEND k x", ["append"]), ("SETEX k 100 v", ["set", "expire"]), ("DEL k", ["del"]), ("GET k", []), ("DEL k", []),
    ("MSET k 1", ["set"]), ("GETSET k 2", ["set"]), ("GETEX k EX 9", ["expire"]), ("GETDEL k", ["del"]),
    ("SETNX k 1", ["set"]), ("SETNX k 1", []), ("EXPIRE k -1", ["del"])]


@pytest.mark.like_redis
def test_writes_publish_keyspace_and_keyevent_messages(trio):
    a, b, _ = trio
    assert b.cmd("CONFIG", "SET", "notify-keyspace-events", "KEA") == "OK"
    assert b.cmd("CONFIG", "GET", "notify-keyspace-events") == [b"notify-keyspace-events", b"AKE"]
    a.cmd("PSUBSCRIBE", "__key*__:*")
    b.cmd("SELECT", 2)
    for command, events in EVENTS:
        b.cmd(*command.split())
        for event in events:
            assert a.read() == Push([b"pmessage", b"__key*__:*", b"__keyspace@2__:k", event.encode()]), command
            assert a.read() == Push([b"pmessage", b"__key*__:*", f"__keyevent@2__:{event}".encode(), b"k"]), command
        assert silent(a), command
    b.cmd("CONFIG", "SET", "notify-keyspace-events", "Ex")
    b.cmd("SET", "t", 1, "PX", 30)
    assert a.read()[2:] == [b"__keyevent@2__:expired", b"t"]
    assert isinstance(b.cmd("CONFIG", "SET", "notify-keyspace-events", "q"), Error)
    assert b.cmd("CONFIG", "SET", "notify-keyspace-events", "") == "OK"
    b.cmd("SET", "t", 2)
    assert silent(a)


# Events of commands with other keys, or with several: "event@database key".
MORE_EVENTS = [
    ("SETRANGE k 1 x", "new@0 k", "setrange@0 k"), ("SETRANGE k 1 yy", "setrange@0 k"), ("SETRANGE none 1 ''",),
    ("MSETNX a 1 b 2", "new@0 a", "set@0 a", "new@0 b", "set@0 b"), ("MSETNX b 3 c 4",),
    ("INCRBYFLOAT f 1.5", "new@0 f", "incrbyfloat@0 f"),
    ("SETBIT bit 7 1", "new@0 bit", "setbit@0 bit"), ("SETBIT bit 7 1",), ("SETBIT bit 6 1", "setbit@0 bit"),
    ("BITOP OR all bit k", "new@0 all", "set@0 all"), ("BITOP OR all nosuch", "del@0 all"), ("BITOP OR all nosuch",),
    ("BITFIELD bit SET u8 0 1 GET u8 0", "setbit@0 bit"), ("BITFIELD bit GET u8 0",),
    ("BITFIELD bit OVERFLOW FAIL INCRBY u8 0 999",), ("BITFIELD bit SET u8 0 1",), ("BITFIELD bit INCRBY u8 0 0",),
    ("BITFIELD bit SET u8 0 2 SET u8 0 1", "setbit@0 bit"), ("BITFIELD bit SET u8 8 0", "setbit@0 bit"),
    ("BITFIELD bit OVERFLOW FAIL INCRBY u8 16 999",), ("SETBIT bit 31 0", "setbit@0 bit"),
    ("PFADD h x", "new@0 h", "pfadd@0 h"), ("PFADD h x",), ("PFCOUNT h",), ("PFMERGE g h", "new@0 g", "pfadd@0 g"),
    ("PFDEBUG TODENSE h",), ("PFADD h x",), ("PFADD h y", "pfadd@0 h"), ("PFADD h x y",),
    ("RENAME k l", "new@0 l", "rename_from@0 k", "rename_to@0 l"),
    ("RENAME l a", "new@0 a", "rename_from@0 l", "rename_to@0 a"), ("RENAME a a",), ("RENAMENX a b",),
    ("RENAMENX a n", "new@0 n", "rename_from@0 a", "rename_to@0 n"),
    ("COPY n m DB 3", "new@3 m", "copy_to@3 m"), ("COPY n m DB 3",), ("COPY n m DB 3 REPLACE", "new@3 m", "copy_to@3 m"),
    ("MOVE n 3", "new@3 n", "move_from@0 n", "move_to@3 n"), ("MOVE n 3",),
    ("SWAPDB 0 3",), ("DEL m", "del@0 m"), ("SWAPDB 0 3",), ("SET s x", "new@0 s", "set@0 s"),
    ("SORT nosuch STORE s", "del@0 s"), ("GETEX b PX 100000", "expire@0 b"), ("GETEX b PERSIST", "persist@0 b"),
    ("GETDEL b", "del@0 b"), ("FLUSHALL",),
]


@pytest.mark.like_redis
def test_each_write_causes_the_events_of_its_keys(trio):
    a, b, _ = trio

    def events():
        """Returns the events since the last call."""
        got = []
        b.cmd("PUBLISH", "end", "")
        while (message := a.read())[2] != b"end":
            channel = message[2].decode()
            got.append(f"{channel[15:]}@{channel[11]} {message[3].decode()}")
        return got

    b.cmd("CONFIG", "SET", "notify-keyspace-events", "EAn")
    a.cmd("PSUBSCRIBE", "*")
    for command, *expected in MORE_EVENTS:
        reply = b.cmd(*(word.replace("''", "") for word in command.split()))
        assert not isinstance(reply, Error), (command, reply)
        assert events() == expected, command
    run(b, "SET late 1", "SET late 2 PXAT 1", "EXISTS late")
    assert events() == ["new@0 late", "set@0 late", "set@0 late", "expire@0 late", "expired@0 late"]
    b.cmd("SET", "d", "x")
    payload = b.cmd("DUMP", "d")
    events()
    for arguments, expected in ((["e", 0], ["new@0 e", "restore@0 e"]), (["e", 0, "REPLACE"], ["new@0 e", "restore@0 e"]),
                                (["e", 1, "REPLACE", "ABSTTL"], ["del@0 e"]), (["e", 1, "ABSTTL"], [])):
        assert b.cmd("RESTORE", *arguments[:2], payload, *arguments[2:]) == "OK"
        assert events() == expected, arguments
    b.cmd("CONFIG", "SET", "notify-keyspace-events", "")


@pytest.mark.like_redis
@pytest.mark.parametrize("value, change", [("0", None), ("123456789012", None), ("1", ("INCRBY", "k", 0)), ("x", None),
                                           ("0" * 50, None), ("\0" * 100, None)])
def test_a_write_that_changes_no_bit_causes_no_event(trio, value, change):
    a, b, _ = trio
    b.cmd("SET", "k", value)
    if change:
        b.cmd(*change)
    a.cmd("WATCH", "k")
    assert b.cmd("SETBIT", "k", 0, 0) == 0
    assert b.cmd("BITFIELD", "k", "INCRBY", "u4", 0, 0, "SET", "u1", 0, 0, "OVERFLOW", "FAIL", "INCRBY", "u4", 0, 99) != []
    assert b.cmd("OBJECT", "ENCODING", "k") == b"raw"
    assert run(a, "MULTI", "GET k", "EXEC")[-1] == [value.encode()]
    a.cmd("WATCH", "k")
    b.cmd("BITFIELD", "k", "INCRBY", "u4", 0, 1)
    assert run(a, "MULTI", "PING", "EXEC")[-1] is None


@pytest.mark.like_redis
def test_adding_existing_elements_causes_no_event(trio):
    a, b, _ = trio
    for form in ("sparse", "dense"):
        run(b, "PFADD h x y")
        a.cmd("WATCH", "h")
        assert b.cmd("PFDEBUG", "ENCODING", "h") == form and b.cmd("PFADD", "h", "y", "x") == 0
        assert run(a, "MULTI", "PING", "EXEC")[-1] == ["PONG"]
        a.cmd("WATCH", "h")
        assert b.cmd("PFADD", "h", "x", form) == 1
        assert run(a, "MULTI", "PING", "EXEC")[-1] is None
        b.cmd("PFDEBUG", "TODENSE", "h")


@pytest.mark.like_redis
def test_the_invalidation_of_a_new_key_follows_its_new_event(trio):
    a, b, _ = trio
    b.cmd("CONFIG", "SET", "notify-keyspace-events", "EAn")
    run(a, "PSUBSCRIBE __key*", "CLIENT TRACKING ON", "GET k")
    b.cmd("SET", "k", 1, "PX", 1)
    assert [a.read()[-1] for _ in range(4)] == [b"k", [b"k"], b"k", b"k"]  # new, invalidation, set, expire
    time.sleep(0.01)
    a.cmd("EXISTS", "k")  # accessing the key expires it
    b.cmd("CONFIG", "SET", "notify-keyspace-events", "")


@pytest.mark.like_redis
def test_swapdb_touches_watched_keys(trio):
    a, b, _ = trio
    run(b, "SELECT 3", "SET there 1", "SELECT 0", "SET here 1")
    for watched, survives in (("there", False), ("here", False), ("none", True)):
        assert a.cmd("WATCH", watched) == "OK"
        b.cmd("SWAPDB", 0, 3)
        assert (run(a, "MULTI", "PING", "EXEC")[-1] is not None) == survives, watched
        b.cmd("SWAPDB", 0, 3)


def test_expired_and_evicted_keys_cause_events(atomdb):
    atomdb.start("defaults: { max_entries = 3; };\n")
    with atomdb.client("s") as a, atomdb.client("s") as b:
        b.cmd("CONFIG", "SET", "notify-keyspace-events", "Exe")
        a.cmd("PSUBSCRIBE", "*")
        b.many(("SET", key, 1) for key in "abcd")
        assert a.read()[2:] == [b"__keyevent@0__:evicted", b"a"]
        b.cmd("PEXPIRE", "b", 100)
        begin = time.monotonic()
        assert a.read()[2:] == [b"__keyevent@0__:expired", b"b"]
        assert time.monotonic() - begin < 20


@pytest.mark.like_redis
def test_tracking_invalidates_the_keys_that_a_client_has_read(trio):
    a, b, _ = trio
    invalidate = lambda *keys: Push([b"invalidate", [key.encode() for key in keys] if keys else None])
    assert a.cmd("CLIENT", "TRACKING", "ON") == "OK"
    run(a, "GET k", "MGET j l")
    run(b, "SET k 1", "SET k 2", "SET j 1", "SET other 1")
    assert [a.read(), a.read()] == [invalidate("k"), invalidate("j")] and silent(a)
    a.cmd("GET", "k")
    assert a.cmd("SET", "k", 3) == "OK" and a.read() == invalidate("k")
    a.cmd("GET", "k")
    b.cmd("FLUSHALL")
    assert a.read() == invalidate()
    run(a, "CLIENT TRACKING OFF", "CLIENT TRACKING ON NOLOOP", "GET k", "SET k 1")
    assert silent(a)
    run(a, "CLIENT TRACKING OFF", "CLIENT TRACKING ON OPTIN", "GET k")
    b.cmd("SET", "k", 1)
    assert silent(a)
    run(a, "CLIENT CACHING YES", "GET k")
    b.cmd("SET", "k", 1)
    assert a.read() == invalidate("k")
    run(a, "CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST PREFIX p: PREFIX q:")
    b.cmd("MSET", "q:1", 1, "p:2", 1, "p:1", 1, "r", 1, "p:2", 2)
    assert sorted([a.read(), a.read()]) == [invalidate("p:1", "p:2"), invalidate("q:1")] and silent(a)
    run(a, "CLIENT TRACKING OFF")
    b.cmd("SET", "p:1", 1)
    assert silent(a)


@pytest.mark.like_redis
def test_redirected_invalidations_go_to_the_other_client(trio):
    a, b, c = trio
    a.cmd("CLIENT", "TRACKING", "ON", "REDIRECT", c.cmd("CLIENT", "ID"))
    c.cmd("SUBSCRIBE", "__redis__:invalidate")
    a.cmd("GET", "k")
    b.cmd("SET", "k", 1)
    assert c.read() == [b"message", b"__redis__:invalidate", [b"k"]] and silent(a)
    a.cmd("GET", "k")
    c.cmd("QUIT")
    wait_for(lambda: b.cmd("CLIENT", "LIST").count(b"\n") == 2)
    b.cmd("SET", "k", 2)
    assert a.read()[0] == b"tracking-redir-broken"
    assert b"broken_redirect" in a.cmd("CLIENT", "TRACKINGINFO")[b"flags"]


@pytest.mark.like_redis
def test_client_kill_closes_the_clients_that_match(shared, secret, trio):
    a, b, c = trio
    c.cmd("SUBSCRIBE", "x")
    assert b.cmd("CLIENT", "KILL", "ID", 1 << 60) == 0
    assert b.cmd("CLIENT", "KILL", "TYPE", "pubsub") == 1 and c.closed()
    assert b.cmd("CLIENT", "KILL", "ID", a.cmd("CLIENT", "ID")) == 1 and a.closed()
    assert b.cmd("CLIENT", "KILL", "ID", b.cmd("CLIENT", "ID"), "SKIPME", "no") == 1 and b.closed()


@pytest.mark.like_redis
def test_client_pause_delays_commands_until_it_ends(trio):
    a, b, c = trio
    assert b.cmd("CLIENT", "PAUSE", 60_000, "WRITE") == "OK"
    c.send(encode("SET", "k", 1) + encode("GET", "k"))
    assert a.cmd("GET", "k") is None
    time.sleep(0.05)
    assert a.cmd("EXISTS", "k") == 0
    assert b.cmd("CLIENT", "UNPAUSE") == "OK"
    assert [c.read(), c.read()] == ["OK", b"1"]
    begin = time.monotonic()
    b.cmd("CLIENT", "PAUSE", 100)
    assert c.cmd("GET", "k") == b"1" and time.monotonic() - begin >= 0.09


@pytest.mark.like_redis
def test_client_reply_skips_and_turns_off_replies(client):
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode("PING") + encode("ECHO", "a"))
    assert client.read() == b"a"
    client.send(encode("CLIENT", "REPLY", "OFF") + encode("PING") + encode("CLIENT", "REPLY", "ON"))
    assert client.read() == "OK" and client.cmd("ECHO", "b") == b"b"


def test_nothing_crosses_tenants(atomdb):
    """Two tenants with the same keys, channels and names."""
    atomdb.start('defaults: { max_entries = 0; };\n')
    with atomdb.client("one") as a, atomdb.client("one") as listener, atomdb.client("two") as b, atomdb.client("two") as b2:
        for client in (a, listener):
            client.cmd("HELLO", 3)
        a.cmd("CONFIG", "SET", "notify-keyspace-events", "KEAmn")
        run(a, "SET k 1", "CLIENT TRACKING ON", "GET k", "WATCH k none")
        run(listener, "SUBSCRIBE c", "PSUBSCRIBE *", "SSUBSCRIBE s", "CLIENT TRACKING ON BCAST")
        assert run(b, "PUBLISH c x", "SPUBLISH s x", "PUBSUB CHANNELS", "PUBSUB NUMPAT", "PUBSUB SHARDCHANNELS",
                   "PUBSUB NUMSUB c") == [0, 0, [], 0, [], [b"c", 0]]
        run(b, "SET k 2", "SET none 1", "GET nothing", "PEXPIRE k 1", "FLUSHALL", "CONFIG GET notify-keyspace-events")
        assert b.cmd("CONFIG", "GET", "notify-keyspace-events") == [b"notify-keyspace-events", b""]
        # A third client of the first tenant: no client of the second tenant has its number.
        third = atomdb.client("one")
        assert b.cmd("CLIENT", "KILL", "ID", third.cmd("CLIENT", "ID")) == 0
        assert b.cmd("CLIENT", "KILL", "TYPE", "pubsub") == 0
        assert isinstance(b.cmd("CLIENT", "TRACKING", "ON", "REDIRECT", third.cmd("CLIENT", "ID")), Error)
        assert b.cmd("CLIENT", "UNBLOCK", third.cmd("CLIENT", "ID")) == 0
        third.close()
        assert b.cmd("CLIENT", "PAUSE", 60_000) == "OK"
        b2.send(encode("SET", "k", 3))
        assert silent(listener) and silent(a)
        assert run(a, "MULTI", "GET k", "EXEC")[-1] == [b"1"]


def test_changing_tenants_ends_subscriptions_watch_and_tracking(atomdb):
    """AUTH with another secret ends subscriptions, WATCH and tracking."""
    atomdb.start()
    with atomdb.client("one") as a, atomdb.client("one") as b:
        a.cmd("HELLO", 3)
        run(a, "SUBSCRIBE c", "CLIENT TRACKING ON", "GET k", "WATCH k")
        assert a.cmd("AUTH", "two") == "OK"
        assert run(b, "PUBLISH c x", "SET k 1", "PUBSUB CHANNELS") == [0, "OK", []]
        assert run(a, "MULTI", "PING", "EXEC")[-1] == ["PONG"]
        assert run(a, "CLIENT GETREDIR") == [-1]
        assert "sub=0" in a.cmd("CLIENT", "INFO").decode()
        run(a, "MULTI", "AUTH one")
        assert isinstance(a.cmd("EXEC")[0], Error)
        assert a.cmd("GET", "k") is None


def test_a_watch_of_the_previous_tenant_aborts_the_transaction(atomdb):
    atomdb.start("defaults: { max_entries = 100; };\n")
    with atomdb.client("one") as a, atomdb.client("one") as b:
        def leave_and_return(*between):
            run(a, "WATCH k", "AUTH two", *between, "AUTH one")
            b.cmd("SET", "k", 1)
            return run(a, "MULTI", "PING", "EXEC")[-1]

        assert leave_and_return() is None
        assert run(a, "MULTI", "PING", "EXEC")[-1] == ["PONG"]
        # A command in the other tenant that ends a WATCH also ends this one.
        for end in ("UNWATCH", "MULTI"):
            assert leave_and_return(*([end, "DISCARD"] if end == "MULTI" else [end])) == ["PONG"]
        assert leave_and_return("MULTI", "EXEC") == ["PONG"]
        # Watches in both tenants; then other commands that end a watch.
        assert leave_and_return("WATCH k") is None
        run(a, "WATCH k", "AUTH two", "AUTH one")
        assert run(a, "UNWATCH", "MULTI", "PING", "EXEC")[-1] == ["PONG"]
        run(a, "WATCH k", "RESET", "AUTH one")
        assert run(a, "MULTI", "PING", "EXEC")[-1] == ["PONG"]


@pytest.mark.like_redis
def test_a_paused_client_counts_as_blocked(trio):
    a, b, _ = trio
    b.cmd("CLIENT", "SETNAME", "waiting")
    run(a, "CLIENT PAUSE 100000 WRITE")
    b.send(encode("SET", "k", 1))

    def flags():
        lines = a.cmd("CLIENT", "LIST").decode().splitlines()
        return [line.split(" flags=")[1].split()[0] for line in lines if "name=waiting" in line]

    wait_for(lambda: flags() == ["b"], what="flags=b")
    assert "blocked_clients:1\r\n" in a.cmd("INFO", "clients").decode()
    run(a, "CLIENT UNPAUSE")
    assert b.read() == "OK"
    assert flags() == ["N"] and "blocked_clients:0\r\n" in a.cmd("INFO", "clients").decode()


@pytest.mark.like_redis
def test_keys_do_not_expire_while_clients_pause(trio):
    a, b, c = trio
    b.cmd("CONFIG", "SET", "notify-keyspace-events", "Ex")
    c.cmd("SUBSCRIBE", "__keyevent@0__:expired")
    assert b.many([("SET", "k", 1, "PX", 50), ("CLIENT", "PAUSE", 100000, "WRITE")]) == ["OK", "OK"]
    wait_for(lambda: b.cmd("GET", "k") is None, what="the key to expire")
    assert a.cmd("DBSIZE") == 1 and a.cmd("KEYS", "*") == []
    assert c.cmd("PING") == [b"pong", b""]
    run(b, "CLIENT UNPAUSE")
    assert c.read() == [b"message", b"__keyevent@0__:expired", b"k"]
    assert a.cmd("DBSIZE") == 0


def test_a_skipped_reset_has_no_reply(client, secret):
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode("RESET") + encode("AUTH", secret))
    assert client.read() == "OK" and client.cmd("PING") == "PONG"
    client.send(encode("CLIENT", "REPLY", "OFF"))
    assert client.cmd("RESET") == "RESET" and client.cmd("AUTH", secret) == "OK"


def test_swapdb_invalidates_keys_of_tracking_clients(trio):
    a, b, _ = trio
    run(b, "SET k 1")
    for mode in ("", "BCAST"):
        run(a, "CLIENT TRACKING OFF", f"CLIENT TRACKING ON {mode}", "GET k")
        b.cmd("SWAPDB", 0, 1)
        assert a.read() == Push([b"invalidate", None])
        b.cmd("SWAPDB", 0, 0)
        assert silent(a)
    assert a.cmd("SWAPDB", 0, 1) == "OK" and a.read() == Push([b"invalidate", None])


def test_all_charges_are_released(atomdb):
    """The charges for clients return to zero when the clients have left: the daemon asserts this."""
    atomdb.start()
    for _ in range(3):
        with atomdb.client("s") as a, atomdb.client("s") as b:
            run(a, "SUBSCRIBE a b c", "PSUBSCRIBE *")
            run(b, "WATCH x y", "MULTI", "SET x 1", "PUBLISH a x")
    with atomdb.client("other") as other:
        assert other.cmd("PING") == "PONG"


def test_client_list_accepts_repeated_ids_up_to_the_output_limit(atomdb, request):
    """Ids may repeat. A list beyond the output limit closes the client, and uses no memory before."""
    atomdb.start('resp: { output_buffer = "1M"; };\n')
    with atomdb.client("one") as a, atomdb.client("one") as b:
        ids = [a.cmd("CLIENT", "ID"), b.cmd("CLIENT", "ID")]
        lines = a.cmd("CLIENT", "LIST", "ID", *reversed(ids), 0, ids[0]).decode().splitlines()
        assert [int(line.split()[0][3:]) for line in lines] == [*reversed(ids), ids[0]]
        before = atomdb.status("VmHWM")
        a.send(encode("CLIENT", "LIST", "ID", *[ids[0]] * 400_000))
        assert a.closed()
        assert b.cmd("PING") == "PONG"
        # A sanitizer delays the release of freed memory.
        assert request.config.getoption("--hooks") or atomdb.status("VmHWM") - before < 64 << 20
