"""The stop of a daemon: it answers the commands that it has read, and the replies arrive."""

import signal
import socket
import threading
import time

import pytest

from harness import Client, Closed, encode, wait_for
from supervisor import Supervised

UNLIMITED = 'defaults: { max_entries = 0; max_memory = "0"; };\n'
VALUE = b"x" * 100000
REPLY = b"$%d\r\n%s\r\n" % (len(VALUE), VALUE)


def ask(client, count):
    """Sends `count` GETs in the background, with more replies than the sockets can hold."""
    def send():
        try:
            client.sock.sendall(encode("GET", "k") * count)
        except OSError:
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def receive(client):
    """Returns everything until the end of the stream. Raises an exception if the connection is reset."""
    got, tail = 0, b""
    while True:
        data = client.sock.recv(1 << 20)
        if not data:
            return got, tail
        got += len(data)
        tail = (tail + data)[-2:]


def test_deep_pipelines_of_large_values_do_not_stall(atomdb):
    atomdb.start(UNLIMITED)
    for _ in range(4):
        clients = [atomdb.client("s") for _ in range(3)]
        clients[0].cmd("SET", "k", VALUE)
        for client in clients:
            ask(client, 500)
        for client in clients:
            for _ in range(500):
                assert client.read() == VALUE
            client.close()


def test_stopping_answers_read_commands_completely(atomdb):
    """The client sends more than the server reads: the rest has no reply, but no reply is cut and no connection is
    reset."""
    atomdb.start(UNLIMITED)
    client = atomdb.client("s")
    client.cmd("SET", "k", VALUE)
    sender = ask(client, 20000)
    wait_for(lambda: atomdb.metric("redis_net_output_bytes_total") > 10 * len(VALUE), what="the first replies")
    atomdb.process.send_signal(signal.SIGTERM)
    got, tail = receive(client)
    assert got % len(REPLY) == 0 and got > 10 * len(REPLY) and tail == b"\r\n"
    client.close()
    sender.join(10)
    assert atomdb.process.wait(20) == 0


def test_stopping_closes_idle_clients_at_once(atomdb):
    atomdb.start()
    clients = [atomdb.client("s") for _ in range(50)] + [atomdb.client() for _ in range(50)]
    atomdb.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.rest() == b""
    assert atomdb.process.wait(20) == 0


def test_the_last_message_says_what_is_lost(atomdb):
    atomdb.start()
    for secret in ("one", "two"):
        with atomdb.client(secret) as client:
            client.many([("SET", i, "v") for i in range(3)])
    atomdb.client("three")
    atomdb.stop()
    assert "AtomDB has stopped: 6 keys of 2 tenants are lost: no service manager keeps them" in atomdb.log().splitlines()[-1]


def test_the_last_message_of_a_service_depends_on_systemd(service):
    """Without systemd's manager, the daemon cannot know whether it is a restart."""
    service.start()
    with service.client("one") as client:
        client.cmd("SET", "k", "v")
        service.end()
    assert ("AtomDB has stopped: systemd keeps 1 keys of 1 tenants and 1 clients if it starts the unit again (restart), "
            "and drops them if not (stop)") in service.log().splitlines()[-1]


def test_quit_and_protocol_errors_end_with_the_reply(atomdb):
    """The last reply and the end of the stream arrive although more input follows the command."""
    atomdb.start()
    for last, reply in ((encode("QUIT"), b"+OK\r\n"), (b"*1\r\n:1\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n")):
        client = atomdb.client("s")
        client.send_anyway(last + b"y" * 200000)
        assert client.rest() == reply
        client.close()


def test_a_client_that_stops_sending_gets_its_replies(atomdb):
    """shutdown(SHUT_WR) after the last command, as `nc -N` does."""
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        client.cmd("SET", "k", VALUE)
        client.send(encode("GET", "k") * 200)
        client.sock.shutdown(socket.SHUT_WR)
        assert receive(client)[0] == 200 * len(REPLY)


# --- clients that reconnect during a stop ------------------------------------------------------------------------


class Returning(threading.Thread):
    """A client that sends PING all the time and reconnects when the server closes it. `end` is the end of its first
    connection, `back` the result of the second one."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.first = server, server.client("s")
        self.end = self.back = None
        self.start()

    def run(self):
        try:
            while True:
                self.first.cmd("PING")
        except Closed as closed:
            self.end = str(closed)
        except OSError as error:
            self.end = type(error).__name__
        try:
            with self.server.client() as second:
                self.back = second.cmd("AUTH", "s")
        except (OSError, Closed) as error:
            self.back = f"{type(error).__name__} {error}"


def test_a_client_that_reconnects_during_a_stop_is_refused(atomdb):
    for _ in range(3):
        atomdb.start("workers = 2;")
        clients = [Returning(atomdb) for _ in range(4)]
        time.sleep(0.05)
        atomdb.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join(20)
            assert client.end in ("end of file", "reset", "BrokenPipeError", "ConnectionResetError")
            assert client.back.startswith("ConnectionRefusedError"), client.back
        assert atomdb.process.wait(20) == 0


def test_a_client_that_reconnects_during_a_stop_of_a_service_waits_for_the_next_start(binary, tmp_path):
    """The listening sockets stay open even if systemd keeps no data and the daemon closes the clients."""
    service = Supervised(binary, tmp_path, keeps=False)
    try:
        service.start("workers = 2;")
        clients = [Returning(service) for _ in range(4)]
        time.sleep(0.05)
        service.end()
        service.start("workers = 2;")
        for client in clients:
            client.join(20)
            assert client.back == "OK"
    finally:
        service.stop()


@pytest.mark.parametrize("local", [False, True])
def test_stopping_serves_clients_in_the_accept_queue(atomdb, short_directory, local):
    """They send their commands before the stop, and get replies as other clients do."""
    config = f'resp: {{ listen = [ "unix:{short_directory}/s" ]; auth_rate = 0; }};\n' if local else ""
    atomdb.start("workers = 2;" + config, flags=["--http-port", str(atomdb.http_port)] if local else None)
    with atomdb.stopped():
        clients = [Client(atomdb.port, path=f"{short_directory}/s" if local else None) for _ in range(100)]
        for i, client in enumerate(clients):
            client.send(encode("AUTH", f"s{i}") + encode("SET", "k", i) + encode("GET", "k"))
        atomdb.process.send_signal(signal.SIGTERM)
    for i, client in enumerate(clients):
        assert [client.read() for _ in range(3)] == ["OK", "OK", str(i).encode()]
        with pytest.raises(Closed, match="end of file"):
            client.read()
    assert atomdb.process.wait(20) == 0


# --- workers that hang -------------------------------------------------------------------------------------------


def hang_and_stop(server):
    """Sends SIGTERM while worker 0 hangs. Returns the exit code. The ticks of the loop are short."""
    server.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: "stuck" in server.http("/health").body, 15, "/health to report it")
    server.process.send_signal(signal.SIGTERM)
    code, server.process = server.process.wait(20), None
    assert "A worker does not stop; AtomDB ends without it: worker 0" in server.log()
    return code


FAST = {"WATCHDOG_USEC": "200000"}


@pytest.mark.hooks
def test_a_stop_does_not_wait_for_a_worker_that_hangs(atomdb):
    atomdb.start("workers = 2;", environment=FAST)
    assert hang_and_stop(atomdb) == 1


@pytest.mark.hooks
def test_a_hanging_worker_does_not_extend_the_timeout_of_systemd(service):
    """The data survives, as in a crash."""
    service.start("workers = 2;", environment=FAST)
    with service.client("s") as client:
        client.cmd("SET", "k", "v")
        assert hang_and_stop(service) == 1
    with service.lock:
        stopping = next(i for i, lines in enumerate(service.said) if "STOPPING" in lines)
        wishes = [lines for lines in service.said[stopping:] if "EXTEND_TIMEOUT_USEC" in lines or "WATCHDOG" in lines]
    assert len(wishes) <= 2
    service.start("workers = 2;")
    with service.client("s") as client:
        assert client.cmd("GET", "k") == b"v"
    assert "after a crash" in service.recovered()
