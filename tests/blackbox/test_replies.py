"""Several clients in one turn: each gets its own replies, complete and in order, even if another client
closes or does not read."""

import socket
from concurrent.futures import ThreadPoolExecutor

from harness import encode

CLIENTS = 40
# The server holds up to 2.4 MB for a client that does not read, and 16 MB for all clients of a tenant (client_memory).
SLOW = 6


def burst(clients, commands):
    """Sends commands(number) to all clients before reading any reply."""
    for number, client in enumerate(clients):
        client.send(b"".join(encode(*command) for command in commands(number)))


def values(client, count):
    return [client.read() for _ in range(count)]


def test_each_client_gets_its_own_replies(shared, secret):
    clients = [shared.client(secret) for _ in range(CLIENTS)]
    for turn in range(30):
        burst(clients, lambda n: [("SET", f"k{n}", f"{turn}.{n}" * (1 + n * turn)), ("GET", f"k{n}"), ("STRLEN", f"k{n}")] * 3)
        for number, client in enumerate(clients):
            value = (f"{turn}.{number}" * (1 + number * turn)).encode()
            assert values(client, 9) == ["OK", value, len(value)] * 3
    for client in clients:
        client.close()


def test_messages_follow_the_replies(shared, secret):
    """A message that is published in a turn follows the replies of the same turn."""
    clients = [shared.client(secret) for _ in range(CLIENTS)]
    for client in clients:
        client.cmd("HELLO", 3)
        client.cmd("SUBSCRIBE", "news")
    for turn in range(20):
        burst(clients, lambda n: [("ECHO", f"{turn}.{n}"), ("PUBLISH", "news", f"{turn}.{n}"), ("ECHO", "end")])
        for number, client in enumerate(clients):
            got = values(client, 3 + CLIENTS)
            messages = [reply for reply in got if isinstance(reply, list)]
            answers = [reply for reply in got if not isinstance(reply, list)]
            assert answers == [b"%d.%d" % (turn, number), CLIENTS, b"end"]
            assert sorted(message[-1] for message in messages) == sorted(b"%d.%d" % (turn, n) for n in range(CLIENTS))
            # A client's own message precedes the reply to its next command.
            own = [message[-1] for message in messages].index(b"%d.%d" % (turn, number))
            assert got.index(messages[own]) < got.index(b"end")
    for client in clients:
        client.close()


def test_a_client_that_closes_or_does_not_read_does_not_affect_others(shared, secret):
    """Some clients close, the server closes some, and some do not read."""
    size = 15_000
    with shared.client(secret) as control:
        control.cmd("SET", "value", "v" * size)
        for turn in range(5):
            clients = [shared.client(secret) for _ in range(CLIENTS)]
            ids = [client.cmd("CLIENT", "ID") for client in clients]
            slow, killed, gone, usual = clients[:SLOW], clients[8:16], clients[16:24], clients[24:]
            for _ in range(30):
                burst(slow, lambda n: [("GET", "value")] * 20)
            burst(gone, lambda n: [("GET", "value")] * 3)
            burst(killed, lambda n: [("GET", "value")])
            for client in gone:
                client.close()
            burst(usual, lambda n: [("SET", f"n{n}", n), ("GET", "value"), ("INCR", f"n{n}")])
            for identity in ids[8:16]:
                control.cmd("CLIENT", "KILL", "ID", identity)
            for number, client in enumerate(usual):
                assert values(client, 3) == ["OK", b"v" * size, number + 1]
            for client in slow:
                assert values(client, 600) == [b"v" * size] * 600
            for client in slow + killed + usual:
                client.close()


def test_messages_follow_a_reply_that_a_socket_accepts_in_parts(shared, secret):
    """If a socket accepts only a part of a reply, later messages follow the whole reply."""
    size, turns = 20_000, 120
    with shared.client(secret) as control:
        control.cmd("SET", "value", "v" * size)
        slow = [shared.client(secret) for _ in range(SLOW)]
        for client in slow:
            client.cmd("HELLO", 3)
            client.cmd("SUBSCRIBE", "news")
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        for turn in range(turns):
            burst(slow, lambda n: [("GET", "value")] * 3 + [("PUBLISH", "news", turn)])
            control.cmd("PING")
        # In parallel: a client's messages may wait until the client has read.
        with ThreadPoolExecutor(len(slow)) as pool:
            read = list(pool.map(lambda client: values(client, turns * (4 + len(slow))), slow))
        for client, got in zip(slow, read):
            assert [reply for reply in got if not isinstance(reply, list)] == ([b"v" * size] * 3 + [len(slow)]) * turns
            messages = [int(reply[-1]) for reply in got if isinstance(reply, list)]
            assert sorted(messages) == sorted(list(range(turns)) * len(slow))
            client.close()
