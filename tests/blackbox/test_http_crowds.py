"""/health answers while idle HTTP clients hold as many connections as possible, and after their end."""

import socket

import pytest

import harness

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
PAGE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
KINDS = {"idle": b"", "half sent": REQUEST[:30], "keep-alive": REQUEST, "slow readers": PAGE * 100}


def connect(server, sent):
    sock = socket.socket()
    if len(sent) > len(REQUEST):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sock.settimeout(5 * harness.PATIENCE)
    sock.connect(("127.0.0.1", server.http_port))
    try:
        sock.sendall(sent)
    except (ConnectionResetError, BrokenPipeError, socket.timeout):
        pass  # the server has no place for it
    return sock


def answers(server):
    # Less than the timeout of the server for an idle client.
    return server.http("/health", timeout=4).status == 200 and server.http("/metrics", timeout=4).status == 200


@pytest.mark.parametrize("sent", KINDS.values(), ids=KINDS)
def test_health_answers_among_many_idle_clients(atomdb, sent):
    atomdb.start()
    for count in (31, 32, 33, 64, 200):
        crowd = [connect(atomdb, sent) for _ in range(count)]
        assert answers(atomdb), f"with {count} clients"
        for sock in crowd:
            sock.close()
        assert answers(atomdb), f"after the end of {count} clients at once"
    crowd = [connect(atomdb, sent) for _ in range(100)]
    for i, sock in enumerate(crowd):
        sock.close()
        if i % 10 == 0:
            assert answers(atomdb), f"after the end of {i} clients one by one"
    assert answers(atomdb)


def test_a_silent_client_is_closed(atomdb):
    atomdb.start()
    crowd = [connect(atomdb, sent) for sent in (b"", REQUEST[:30], REQUEST)]
    for sock in crowd:
        sock.settimeout(9 * harness.PATIENCE)
        while sock.recv(4096):
            pass
        sock.close()
