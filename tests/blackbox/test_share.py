"""The memory that all tenants share: which tenants lose keys when it is full, and which do not."""

import contextlib
import time

import pytest

from harness import Error, info, wait_for

MIB = 1 << 20
GREEDY = 40
VALUE = "x" * 1000
CONFIG = 'workers = %d;\nmax_memory = "64M";\ndefaults: { max_entries = 0; max_memory = "0"; };\n'


def sets(begin, end, value=VALUE):
    return [("SET", f"k{number}", value) for number in range(begin, end)]


def there(client, count):
    return sum(client.many([("EXISTS", f"k{number}") for number in range(count)]))


def resident(server, workers):
    return sum(server.metric("atomdb_arena_resident_bytes", shard=str(shard)) for shard in range(workers))


def fill(clients, rounds, size=VALUE, count=100):
    """Each client writes in each round. Returns the number of refused writes."""
    refused = 0
    for turn in range(rounds):
        for client in clients:
            refused += sum(isinstance(reply, Error) for reply in client.many(sets(turn * count, (turn + 1) * count, size)))
    return refused


@pytest.mark.parametrize("workers", [1, 2])
def test_a_small_tenant_keeps_its_keys_while_many_fill_the_memory(atomdb, workers):
    server = atomdb.start(CONFIG % workers)
    with contextlib.ExitStack() as stack:
        victim = stack.enter_context(server.client("victim"))
        assert set(victim.many(sets(0, 300))) == {"OK"}
        greedy = [stack.enter_context(server.client(f"greedy-{number}")) for number in range(GREEDY)]
        assert fill(greedy, 30) == 0  # 120 MB
        assert there(victim, 300) == 300
        # The tenant may grow up to its share. A new tenant may also grow.
        assert set(victim.many(sets(300, 600))) == {"OK"}
        newcomer = stack.enter_context(server.client("newcomer"))
        assert set(newcomer.many(sets(0, 300))) == {"OK"}
        assert fill(greedy, 5) == 0
        assert there(victim, 600) == 600 and there(newcomer, 300) == 300
        assert info(victim)["evicted_keys"] == info(newcomer)["evicted_keys"] == "0"
        wait_for(lambda: resident(server, workers) <= 60 * MIB, what="a sixteenth to be free")
        # Tenants that want more have equal shares.
        shares = [int(info(client)["used_memory"]) for client in greedy]
        assert max(shares) < 1.5 * min(shares)
        assert sum(shares) > 40 * MIB


def test_tenants_without_eviction_above_their_share_are_refused(atomdb):
    tenants = ", ".join(f'{{ name = "t{number}"; secret = "t{number}"; eviction = "none"; }}'
                        for number in range(6))
    server = atomdb.start(CONFIG % 2 + f'tenants: ( {tenants} );\n')
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(f"t{number}")) for number in range(6)]
        assert fill(clients[:4], 30, "x" * 10_000) > 0  # 120 MB: some writes are refused
        kept = [client.cmd("DBSIZE") for client in clients[:4]]
        # The two small tenants can still write, and a new tenant is accepted.
        stranger = stack.enter_context(server.client("stranger"))
        for client in (clients[4], clients[5], stranger):
            assert set(client.many(sets(0, 300))) == {"OK"}
            assert there(client, 300) == 300
        assert [client.cmd("DBSIZE") for client in clients[:4]] == kept
        reply = clients[0].cmd("SET", "one-more", "x" * 100_000)
        assert isinstance(reply, Error) and reply.code == "OOM"
        # A tenant can free its own memory.
        assert clients[0].cmd("FLUSHALL") == "OK"
        assert set(clients[0].many(sets(0, 300))) == {"OK"}


def test_a_value_beyond_the_share_evicts_no_key(atomdb):
    server = atomdb.start(CONFIG % 1)
    with server.client("large") as large, server.client("small") as small:
        for turn in range(12):
            large.many(sets(turn * 5000, (turn + 1) * 5000))
        assert set(small.many(sets(0, 100))) == {"OK"}
        keys = large.cmd("DBSIZE")
        assert isinstance(small.cmd("SET", "huge", "x" * (60 * MIB)), Error)
        assert there(small, 100) == 100
        assert large.cmd("DBSIZE") >= keys * 0.9


def enter(server, secret, most):
    """Returns as many clients of one secret as the server accepts, and whether it refused another one with Redis's
    error."""
    clients = []
    for _ in range(most):
        client = server.client()
        reply = client.cmd("AUTH", secret)
        if reply != "OK":
            assert "max number of clients reached" in reply
            client.close()
            return clients, True
        clients.append(client)
    return clients, False


def close_all(clients):
    for client in clients:
        client.close()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.threads)])
def test_no_tenant_uses_all_places_of_clients(atomdb, workers):
    server = atomdb.start(f"workers = {workers};\nresp: {{ max_clients = 100; }};\n")
    first, refused = enter(server, "first", 100)
    assert refused and 40 <= len(first) <= 50
    second, refused = enter(server, "second", 100)
    assert refused and 20 <= len(second) <= 30
    # The existing client stays, and there is room for other tenants and for HTTP.
    assert first[0].cmd("PING") == "PONG"
    for number in range(5):
        with server.client(f"other-{number}") as other:
            assert other.cmd("PING") == "PONG"
    health = server.http("/health")
    assert health.status == 200
    assert server.metric("atomdb_rejected_connections_total", reason="max_clients") == 2
    wait_for(lambda: "its tenant has too many clients" in server.log(), what="the log line")
    # If the tenant closes its clients, others may use the places.
    close_all(first)
    wait_for(lambda: server.metric("redis_connected_clients") == len(second), what="the clients to leave")
    more, refused = enter(server, "second", 100)
    assert refused and 40 <= len(second + more) <= 50
    close_all(second + more)


def test_a_limit_of_the_tenant_overrides_its_share(atomdb):
    server = atomdb.start('resp: { max_clients = 64; };\n'
                          'tenants: ( { name = "wide"; secret = "wide"; max_clients = 58; }, '
                          '{ name = "narrow"; secret = "narrow"; max_clients = 3; } );\n')
    narrow, refused = enter(server, "narrow", 10)
    assert refused and len(narrow) == 3
    wide, refused = enter(server, "wide", 60)
    assert refused and len(wide) == 58
    close_all(narrow + wide)


def test_the_operator_has_a_reserved_place(atomdb, tmp_path):
    (tmp_path / "admin").write_text("operator-secret")
    server = atomdb.start(f'workers = 1;\nresp: {{ max_clients = 64; }};\nadmin: {{ secret_file = "{tmp_path}/admin"; }};\n'
                          'defaults: { max_clients = 100; };\n')
    clients, refused = enter(server, "crowd", 100)
    assert refused and len(clients) == 62
    wait_for(lambda: server.http("/health").status == 503, what="the clients to use all places")
    with server.client("operator-secret") as operator:
        assert len(operator.cmd("CLIENT", "LIST").decode().splitlines()) == 63
    close_all(clients)


def test_unauthenticated_clients_use_half_of_the_places(atomdb):
    server = atomdb.start("workers = 1;\nresp: { max_clients = 40; auth_timeout = 60; };\n")
    clients = [server.client() for _ in range(60)]
    # They use half of the places, and the server rejects the others.
    wait_for(lambda: server.metric("redis_connected_clients") == 20, what="the places to be used")
    time.sleep(0.2)
    for number in range(10):
        with server.client(f"late-{number}") as late:
            assert late.cmd("PING") == "PONG"
    assert server.http("/health").status == 200
    close_all(clients)
