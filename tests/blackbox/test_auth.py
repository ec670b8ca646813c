"""Wrong and new secrets: the limits, the delays, and their traces in log and metrics."""

import contextlib
import hashlib
import re
import time

from harness import Client, Error, encode, wait_for

LISTED = 'tenancy = "listed"; tenants: ( { name = "shop"; secret = "right"; } );\n'


def flood(client, secrets):
    """Sends AUTH commands without reading the replies."""
    client.send(b"".join(encode("AUTH", secret) for secret in secrets))


def test_a_connection_opens_few_tenants_per_second(atomdb):
    server = atomdb.start()
    with server.client() as greedy, server.client("known") as known:
        begin = time.monotonic()
        # A tenant with a key stays open.
        greedy.send(b"".join(encode("AUTH", f"fresh-{number}") + encode("SET", "k", "v") for number in range(3000)))
        wait_for(lambda: server.metric("atomdb_tenants") >= 10, what="the tenants that may begin at once")
        # The daemon delays no other client, neither with a known secret nor with a new one.
        with server.client("known") as again, server.client("quite-new") as new:
            assert again.cmd("PING") == new.cmd("PING") == known.cmd("PING") == "PONG"
        time.sleep(max(0, begin + 1 - time.monotonic()))
        made = server.metric("atomdb_tenants")
        assert made <= 2 + 10 + 12 * (time.monotonic() - begin)
        wait_for(lambda: "Too many wrong or new secrets; the next one waits: client 127.0.0.1:" in server.log(),
                 what="the log line")


def test_many_connections_open_few_tenants_at_once(atomdb):
    """All clients together open at most the new tenants of ten seconds at once. The daemon does not delay known secrets."""
    server = atomdb.start("workers = 1;\nnew_tenants_per_second = 5;\nmax_tenants = 1000;\n")
    with contextlib.ExitStack() as stack:
        stack.enter_context(server.client("known"))
        clients = [stack.enter_context(server.client()) for _ in range(20)]
        begin = time.monotonic()
        replies = [client.cmd("AUTH", f"secret-{number}-{turn}") for turn in range(5)
                   for number, client in enumerate(clients)]
        made = replies.count("OK")
        refused = [reply for reply in replies if reply != "OK"]
        assert 45 <= made <= 52 + 5 * (time.monotonic() - begin)
        assert refused and all(reply.startswith("ERR too many new tenants at once") for reply in refused)
        assert stack.enter_context(server.client("known")).cmd("PING") == "PONG"
        wait_for(lambda: "new_tenants_per_second is reached" in server.log(), what="the log line")
        assert server.metric("atomdb_rejected_connections_total", reason="max_tenants") == len(refused)


def test_wrong_secrets_are_delayed_and_right_ones_of_others_are_not(atomdb):
    server = atomdb.start(LISTED)
    with server.client() as guesser:
        flood(guesser, [f"guess-{number}" for number in range(5000)] + ["right"])
        begin = time.monotonic()
        for _ in range(20):
            with server.client("right") as client:
                assert client.cmd("PING") == "PONG"
        time.sleep(max(0, begin + 1.5 - time.monotonic()))
        wait_for(lambda: server.metric("redis_acl_access_denied_auth_total") >= 10, what="the secrets without a delay")
        failed = server.metric("redis_acl_access_denied_auth_total")
        assert failed <= 12 + 12 * (time.monotonic() - begin)
    wait_for(lambda: server.log().count("Authentication failed") >= 10, what="the log lines")


def test_a_right_secret_is_accepted_after_wrong_ones(atomdb):
    server = atomdb.start(LISTED)
    with server.client() as client:
        flood(client, ["wrong"] * 12 + ["right"])
        replies = [client.read() for _ in range(13)]
        assert [reply == "OK" for reply in replies] == [False] * 12 + [True]
        # HELLO has the same limit.
        client.send(encode("HELLO", 3, "AUTH", "default", "wrong") * 3 + encode("HELLO", 3, "AUTH", "default", "right"))
        assert [isinstance(client.read(), Error) for _ in range(3)] == [True] * 3
        assert client.read()[b"proto"] == 3


def test_connections_of_one_user_on_a_unix_socket_share_the_limit(atomdb, tmp_path):
    path = str(tmp_path / "s")
    server = atomdb.start(LISTED + 'workers = 1;\nresp: { listen = [ "127.0.0.1:%d", "unix:%s" ]; };\n'
                          'http: { listen = [ "127.0.0.1:%d" ]; };' % (atomdb.port, path, atomdb.http_port), flags=[])
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(path=path)) for _ in range(20)]
        begin = time.monotonic()
        for client in clients:
            flood(client, ["wrong"] * 10)
        # The daemon does not delay TCP clients.
        with server.client("right") as client:
            assert client.cmd("PING") == "PONG"
        time.sleep(1)
        assert server.metric("redis_acl_access_denied_auth_total") <= 12 + 12 * (time.monotonic() - begin)


def test_fingerprints_are_not_the_hash_of_the_secret(atomdb):
    secret = "weak"
    seen = []
    for _ in range(2):
        server = atomdb.start()
        with server.client(secret) as client:
            client.cmd("SET", "k", "v")
            text = server.http("/metrics").body + server.log() + server.http("/api/status").body
            names = set(re.findall(r'tenant="([0-9a-f]{12})"', text))
            assert len(names) == 1 and names.pop() in client.cmd("INFO", "server").decode() + text
            digest = hashlib.sha256(secret.encode()).hexdigest()
            assert digest[:12] not in text and digest[:8] not in text
            seen.append(re.search(r"tenant:([0-9a-f]{12})", client.cmd("INFO", "server").decode())[1])
        server.stop()
    # Each start uses a new key.
    assert seen[0] != seen[1]
