"""Redis clients: authentication, the commands, both protocols."""

import time

import pytest
import redis

from harness import Client, Closed, Error, encode, wait_for

pytestmark = pytest.mark.like_redis

NOAUTH = Error("NOAUTH Authentication required.")


def test_commands_before_auth_are_refused(shared):
    with shared.client() as client:
        for command in (["PING"], ["GET", "a"], ["SET", "a", "b"], ["INFO"], ["KEYS", "*"], ["FLUSHALL"], ["SELECT", 1],
                        ["COMMAND"], ["CLIENT", "LIST"], ["CONFIG", "GET", "*"], ["DBSIZE"], ["TIME"]):
            assert client.cmd(*command) == NOAUTH, command
        assert client.cmd("HELLO", 3).code == "NOAUTH"
        assert client.cmd("RESET") == "RESET"
        assert client.cmd("QUIT") == "OK"
        assert client.closed()


def test_errors_of_name_and_arity_precede_noauth(shared):
    with shared.client() as client:
        assert client.cmd("NOSUCH", "x") == Error("ERR unknown command 'NOSUCH', with args beginning with: 'x' ")
        assert client.cmd("GET") == Error("ERR wrong number of arguments for 'get' command")


def test_auth_enters_the_tenant_and_reset_leaves_it(shared, secret):
    with shared.client() as client:
        assert client.cmd("AUTH", secret) == "OK"
        assert client.cmd("PING") == "PONG"
        assert client.cmd("RESET") == "RESET"
        assert client.cmd("PING") == NOAUTH
        assert client.cmd("AUTH", "default", secret) == "OK"
        assert client.cmd("PING", "hello") == b"hello"


def test_hello_authenticates_and_names_the_client(shared, secret):
    with shared.client() as client:
        reply = client.cmd("HELLO", 3, "AUTH", "default", secret, "SETNAME", "me")
        assert reply[b"server"] == b"redis" and reply[b"proto"] == 3 and reply[b"version"] == b"7.0.15"
        assert reply[b"mode"] == b"standalone" and reply[b"role"] == b"master" and reply[b"modules"] == []
        assert reply[b"id"] == client.cmd("CLIENT", "ID")
        assert client.cmd("CLIENT", "GETNAME") == b"me"
        assert client.cmd("GET", "nothing") is None
        flat = client.cmd("HELLO", 2)
        assert flat[flat.index(b"proto") + 1] == 2
        assert client.cmd("HELLO", 4).code == "NOPROTO"


def test_the_session_of_the_readme_has_its_replies(client):
    assert client.cmd("SET", "name", "Alice") == "OK"
    assert client.cmd("GET", "name") == b"Alice"
    assert client.cmd("TTL", "name") == -1
    assert client.cmd("EXPIRE", "name", 10) == 1
    assert 0 < client.cmd("TTL", "name") <= 10
    assert client.cmd("DEL", "name") == 1
    assert client.cmd("GET", "name") is None
    assert client.cmd("TTL", "name") == -2


def test_two_connections_share_the_tenant(shared, secret, client):
    with shared.client(secret) as other:
        for number in range(20):
            assert client.cmd("SET", "shared", number) == "OK"
            assert other.cmd("GET", "shared") == b"%d" % number
            assert other.cmd("APPEND", "shared", "!") == len(str(number)) + 1
            assert client.cmd("GET", "shared") == b"%d!" % number


def test_set_obeys_its_options(client):
    assert client.cmd("SET", "k", "1", "NX") == "OK"
    assert client.cmd("SET", "k", "2", "NX") is None
    assert client.cmd("SET", "k", "2", "XX", "GET") == b"1"
    assert client.cmd("SET", "absent", "2", "XX") is None
    assert client.cmd("SET", "k", "3", "NX", "GET") == b"2"
    assert client.cmd("GET", "k") == b"2"
    assert client.cmd("SET", "k", "4", "EX", 100) == "OK"
    assert client.cmd("SET", "k", "5", "KEEPTTL") == "OK"
    assert 40 <= client.cmd("TTL", "k") <= 100
    assert client.cmd("SET", "k", "6") == "OK"
    assert client.cmd("TTL", "k") == -1
    assert client.cmd("SET", "k", "6", "EXAT", 4102444800) == "OK"
    assert client.cmd("EXPIRETIME", "k") == 4102444800
    assert client.cmd("SET", "k", "6", "PXAT", 4102444800123) == "OK"
    assert client.cmd("PEXPIRETIME", "k") == 4102444800123
    assert client.cmd("SET", "k", "6", "EX", 0) == Error("ERR invalid expire time in 'set' command")
    assert client.cmd("SET", "k", "6", "EX", "x") == Error("ERR value is not an integer or out of range")
    assert client.cmd("SET", "k", "6", "EX", 10, "PX", 10) == Error("ERR syntax error")
    assert client.cmd("SET", "k", "6", "NX", "XX") == Error("ERR syntax error")


def test_counters_count_and_refuse_overflow_and_text(client):
    assert client.cmd("INCR", "n") == 1
    assert client.cmd("INCRBY", "n", 41) == 42
    assert client.cmd("DECRBY", "n", 2) == 40
    assert client.cmd("DECR", "n") == 39
    client.cmd("SET", "n", "9223372036854775807")
    assert client.cmd("INCR", "n") == Error("ERR increment or decrement would overflow")
    client.cmd("SET", "n", "ten")
    assert client.cmd("INCR", "n") == Error("ERR value is not an integer or out of range")


def test_databases_are_separate(client):
    for database in range(16):
        assert client.cmd("SELECT", database) == "OK"
        assert client.cmd("SET", "where", database) == "OK"
    for database in range(16):
        client.cmd("SELECT", database)
        assert client.cmd("GET", "where") == b"%d" % database
        assert client.cmd("DBSIZE") == 1
    assert client.cmd("SELECT", 16) == Error("ERR DB index is out of range")
    assert client.cmd("SELECT", -1) == Error("ERR DB index is out of range")
    assert client.cmd("FLUSHDB") == "OK"
    assert client.cmd("DBSIZE") == 0
    client.cmd("SELECT", 3)
    assert client.cmd("DBSIZE") == 1
    assert client.cmd("FLUSHALL") == "OK"
    assert client.cmd("DBSIZE") == 0


def test_dbsize_keys_scan_and_info_agree_on_the_keys(client):
    names = {b"key:%d" % number for number in range(25)}
    assert client.many(("SET", name, "x") for name in names) == ["OK"] * 25
    assert client.cmd("EXPIRE", "key:3", 1000) == 1
    assert client.cmd("DBSIZE") == 25
    assert set(client.cmd("KEYS", "*")) == names
    assert set(client.cmd("KEYS", "key:1?")) == {b"key:1%d" % digit for digit in range(10)}
    seen, cursor = [], b"0"
    while True:
        cursor, batch = client.cmd("SCAN", cursor, "COUNT", 3)
        seen += batch
        if cursor == b"0":
            break
    assert set(seen) == names
    assert client.cmd("RANDOMKEY") in names
    assert client.cmd("EXISTS", *sorted(names), "no", "key:1") == 26
    assert b"db0:keys=25,expires=1," in client.cmd("INFO", "keyspace")
    assert client.cmd("UNLINK", "key:1", "key:2", "no") == 2
    assert client.cmd("DBSIZE") == 23
    assert b"db0:keys=23,expires=1," in client.cmd("INFO", "keyspace")


def test_names_and_values_may_be_binary(client):
    every = bytes(range(256))
    assert client.cmd("SET", every, every * 3) == "OK"
    assert client.cmd("GET", every) == every * 3
    assert client.cmd("SET", "", "") == "OK"
    assert client.cmd("GET", "") == b""
    assert client.cmd("STRLEN", "") == 0
    assert set(client.cmd("KEYS", "*")) == {every, b""}


def test_a_deadline_in_the_past_deletes_the_key(client):
    client.cmd("SET", "k", "v")
    assert client.cmd("PEXPIREAT", "k", 1) == 1
    assert client.cmd("EXISTS", "k") == 0
    client.cmd("SET", "k", "v")
    assert client.cmd("EXPIRE", "k", -1) == 1
    assert client.cmd("GET", "k") is None
    assert client.cmd("DBSIZE") == 0


def set_with_deadline(client):
    """Sets a key that exists afterwards, and returns its deadline, which is near."""
    for allowance_ms in (150, 1500, 15000):
        due = int(time.time() * 1000) + allowance_ms
        assert client.cmd("SET", "k", "v", "PXAT", due) == "OK"
        if client.cmd("EXISTS", "k"):
            return due
    raise AssertionError("SET sets no key")


def test_a_key_does_not_exist_after_its_deadline(client):
    due = set_with_deadline(client)
    first_missed = None
    while first_missed is None:
        before = time.time() * 1000
        found = client.cmd("GET", "k") is not None
        after = time.time() * 1000
        if found:
            assert before <= due + 1, "GET finds the key after its deadline"
        else:
            first_missed = after
    assert first_missed >= due, "the key expires before its deadline"
    assert client.cmd("TTL", "k") == -2


def test_inline_commands_may_have_quotes(shared, secret):
    with shared.client() as client:
        client.send(b"auth " + secret.encode() + b"\r\nset 'a key' \"v\\x41\\n\"\r\n\r\n   \r\nget \"a key\"\nping\n")
        assert [client.read() for _ in range(4)] == ["OK", "OK", b"vA\n", "PONG"]


def test_a_pipeline_may_be_split_anywhere(shared, secret):
    stream = b"".join(encode(*c) for c in (["AUTH", secret], ["SET", "split", "a\r\nb"], ["GET", "split"], ["PING"],
                                           ["APPEND", "split", ""], ["ECHO", "\r\n"]))
    expected = b"+OK\r\n+OK\r\n$4\r\na\r\nb\r\n+PONG\r\n:4\r\n$2\r\n\r\n\r\n"
    for cut in range(1, len(stream)):
        with shared.client() as client:
            client.send(stream[:cut])
            client.send(stream[cut:] + encode("QUIT"))
            assert client.rest() == expected + b"+OK\r\n", cut


def test_commands_may_arrive_one_byte_at_a_time(shared, secret):
    stream = encode("AUTH", secret) + encode("SET", "slow", "x" * 50) + encode("GET", "slow") + encode("QUIT")
    with shared.client() as client:
        for byte in stream:
            client.send(bytes([byte]))
        assert client.rest() == b"+OK\r\n+OK\r\n$50\r\n" + b"x" * 50 + b"\r\n+OK\r\n"


def test_quit_ignores_later_commands(client):
    client.send(encode("SET", "q", "1") + encode("QUIT") + encode("SET", "q", "2"))
    assert client.rest() == b"+OK\r\n+OK\r\n"


def test_a_pipeline_of_10000_commands_has_its_replies_in_order(client):
    replies = client.many(("INCR", "n") for _ in range(10000))
    assert replies == list(range(1, 10001))
    commands = [("SET", f"p{number % 20}", number) if number % 2 else ("GET", "n") for number in range(10000)]
    assert client.many(commands) == ["OK" if number % 2 else b"10000" for number in range(10000)]


def test_a_value_of_16_mib_can_be_written_read_and_appended_to(client):
    value = bytes(range(256)) * (16 << 12)  # 16 MiB
    assert client.cmd("SET", "big", value) == "OK"
    assert client.cmd("STRLEN", "big") == len(value)
    assert client.cmd("GET", "big") == value
    assert client.cmd("APPEND", "big", "tail") == len(value) + 4
    assert client.cmd("GET", "big")[-5:] == b"\xfftail"
    assert client.cmd("DEL", "big") == 1


def test_client_list_shows_the_names_of_clients(shared, secret, client):
    assert client.cmd("CLIENT", "GETNAME") is None
    assert client.cmd("CLIENT", "SETNAME", "has space") == Error(
        "ERR Client names cannot contain spaces, newlines or special characters.")
    assert client.cmd("CLIENT", "SETNAME", "first") == "OK"
    with shared.client(secret) as other:
        other.cmd("CLIENT", "SETNAME", "second")
        lines = client.cmd("CLIENT", "LIST").decode().splitlines()
        names = {dict(field.split("=", 1) for field in line.split())["name"] for line in lines}
        assert {"first", "second"} <= names
    mine = dict(f.split("=", 1) for f in client.cmd("CLIENT", "INFO").decode().split())
    assert mine["name"] == "first" and int(mine["id"]) == client.cmd("CLIENT", "ID") and mine["cmd"] == "client|info"

    def gone():
        return b"name=second" not in client.cmd("CLIENT", "LIST")

    wait_for(gone, 5, "the closed client to leave the list")


def test_time_is_the_system_time(client):
    seconds, micros = client.cmd("TIME")
    assert abs(int(seconds) + int(micros) / 1e6 - time.time()) < 20


def test_command_count_list_and_info_agree(client):
    count = client.cmd("COMMAND", "COUNT")
    listed = [name for name in client.cmd("COMMAND", "LIST") if b"|" not in name]
    assert count == len(client.cmd("COMMAND")) == len(listed) == len(set(listed))
    get, none = client.cmd("COMMAND", "INFO", "get", "nosuch")
    assert get[:6] == [b"get", 2, ["readonly", "fast"], 1, 1, 1] and none is None
    assert client.cmd("COMMAND", "GETKEYS", "MSET", "a", 1, "b", 2) == [b"a", b"b"]


def test_python_redis_runs_commands_of_every_kind(shared, secret):
    for protocol_client in (redis.Redis(port=shared.port, password=secret, db=0),
                            redis.Redis(port=shared.port, username="default", password=secret, db=7)):
        protocol_client.flushdb()
        assert protocol_client.set("a", "1", ex=100, nx=True)
        assert protocol_client.get("a") == b"1"
        assert 0 < protocol_client.ttl("a") <= 100
        assert protocol_client.mset({"b": 2, "c": 3})
        assert protocol_client.mget("a", "b", "x") == [b"1", b"2", None]
        assert sorted(protocol_client.scan_iter("*")) == [b"a", b"b", b"c"]
        pipe = protocol_client.pipeline(transaction=False)
        for _ in range(100):
            pipe.incr("b")
        assert pipe.execute()[-1] == 102
        assert protocol_client.info("server")["redis_version"] == "7.0.15"
        assert isinstance(protocol_client.client_list(), list)
        assert protocol_client.config_get("databases") == {"databases": "16"}
        with pytest.raises(redis.ResponseError):
            protocol_client.execute_command("SET", "a")
        protocol_client.close()
    wrong = redis.Redis(port=shared.port, password=secret, username="nobody")
    with pytest.raises(redis.RedisError):
        wrong.ping()


def test_connections_of_one_tenant_see_one_order(shared, secret, client):
    others = [shared.client(secret) for _ in range(8)]
    for other in others:
        other.send(encode("INCR", "ticket") * 500)
    tickets = [other.read() for other in others for _ in range(500)]
    assert sorted(tickets) == list(range(1, 4001))
    assert client.cmd("GET", "ticket") == b"4000"
    for other in others:
        other.close()


def test_a_read_after_quit_finds_the_connection_closed(shared):
    with shared.client() as client:
        client.cmd("QUIT")
        with pytest.raises(Closed):
            client.read()


def test_the_server_listens_at_its_address_only(shared):
    with pytest.raises(OSError):
        Client(shared.port, host="127.0.0.2", timeout=20)


def test_debug_needs_the_setting(atomdb, client):
    assert client.cmd("DEBUG", "SLEEP", 0).startswith("ERR DEBUG command not allowed.")
    assert client.cmd("CONFIG", "GET", "enable-debug-command") == [b"enable-debug-command", b"no"]
    atomdb.start('enable_debug_command = true;\ndefaults: { max_entries = 0; };\nworkers = 1;\n')
    with atomdb.client("a") as a, atomdb.client("a") as second, atomdb.client("b") as other:
        assert a.cmd("CONFIG", "GET", "enable-debug-command") == [b"enable-debug-command", b"yes"]
        assert a.cmd("DEBUG", "POPULATE", 5000, "p", 10) == "OK"
        assert a.cmd("DBSIZE") == 5000 and other.cmd("DBSIZE") == 0
        assert a.cmd("GET", "p:7") == b"value:7\0\0\0"
        assert a.cmd("DEBUG", "RELOAD") == "OK"
        assert a.cmd("DBSIZE") == 5000
        # Only clients of the same tenant wait for the end.
        waited = False
        while not waited:
            a.send(encode("DEBUG", "SLEEP", "1.5"))
            begin = time.monotonic()
            assert other.cmd("PING") == second.cmd("PING") == "PONG"
            waited = time.monotonic() - begin > 0.5
            assert a.read() == "OK"
        # DEBUG POPULATE of any size does not block other clients.
        replies = a.many([("MULTI",), ("DEBUG", "POPULATE", 2**62), ("DEBUG", "POPULATE", 9, "p", 2000), ("EXEC",)])
        assert isinstance(replies[-1][0], Error) and isinstance(replies[-1][1], Error)
        a.send(encode("DEBUG", "POPULATE", 64, "large", 30_000_000))
        assert other.cmd("PING") == "PONG"
        assert a.read() == "OK"
        a.many([("DEBUG", "SLEEP", "0.001"), ("MULTI",), ("DEBUG", "SLEEP", "0.001"), ("EXEC",)])
        assert a.cmd("PING") == "PONG"


def test_debug_subcommands_answer_as_in_redis(atomdb):
    atomdb.start("enable_debug_command = true;\nworkers = 1;\n")
    with atomdb.client("one") as a, atomdb.client("two") as b:
        empty = "0" * 40
        assert a.cmd("DEBUG", "DIGEST") == empty
        a.many([("SET", "a", "b"), ("SET", "n", "12"), ("SET", "t", "x", "EX", 100000)])
        assert a.cmd("DEBUG", "DIGEST") == "2cbabb11fa09ad355eb55445d507c0e85da0f15d"  # the digest of Redis
        a.many([("SELECT", 1), ("SET", "a", "b")])
        assert a.cmd("DEBUG", "DIGEST") == "2cbd2e9cab6a6f740fb152bf4b5e72d61c1489cc"
        assert a.cmd("DEBUG", "DIGEST-VALUE", "a", "nosuch") == ["b78559cd22bce6e6df712eb99ce7f3b08e8f8f1f", empty]
        assert b.cmd("DEBUG", "DIGEST") == empty
        assert b"number of elements: 3" in a.cmd("DEBUG", "HTSTATS", 0)
        assert a.cmd("DEBUG", "SDSLEN", "a").startswith("key_sds_len:1, key_sds_avail:0,")
        for word in ("SEGFAULT", "PANIC", "OOM", "ASSERT", "RESTART", "CRASH-AND-RECOVER", "LOADAOF", "CONFIG-REWRITE-FORCE-ALL"):
            assert a.cmd("DEBUG", word) == f"ERR DEBUG {word} is not possible here"
        assert a.cmd("DEBUG", "LOG", "hello\nworld") == "OK" and "\nworld" not in atomdb.log()
        wait_for(lambda: "hello" in atomdb.log(), 5, "the line in the log")
        assert a.cmd("DEBUG", "PROTOCOL", "attrib") == b"Some real reply following the attribute"
        a.cmd("HELLO", 3)
        assert a.cmd("DEBUG", "PROTOCOL", "push") == [b"server-cpu-usage", 42]
        assert a.read() == b"Some real reply following the push reply"
        a.send(encode("DEBUG", "PROTOCOL", "attrib") + encode("QUIT"))
        assert a.rest() == (b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
                            b"$39\r\nSome real reply following the attribute\r\n+OK\r\n")


@pytest.mark.like_redis
def test_a_name_that_begins_like_the_previous_one_is_another_command(client):
    replies = client.many([("BITFIELD_RO", "k", "GET", "u8", 0), ("BITFIELD", "k", "SET", "u8", 0, 65), ("GET", "k"),
                           ("GET\0", "k"), ("GET", "k")])
    assert replies[:3] == [[0], [0], b"A"] and replies[3].startswith("ERR unknown command") and replies[4] == b"A"
