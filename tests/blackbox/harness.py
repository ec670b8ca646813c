"""Starts servers and connects to them, for the black-box and the differential tests."""

import collections
import contextlib
import errno
import gzip
import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Multiplies all timeouts, for sanitizers and busy machines.
PATIENCE = float(os.environ.get("ATOMDB_TEST_PATIENCE", "1"))
SANITIZER = re.compile(rb"(AddressSanitizer|ThreadSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:)")


# The minimum timeout of a wait, in seconds: some machines are slow, or stop for a while.
LEAST_WAIT = 30


def deadline(seconds):
    return time.monotonic() + seconds * PATIENCE


def scaled(size):
    """Returns a smaller size for a slow build: LCS takes about as long there."""
    return int(size / PATIENCE ** 0.5) // 2 * 2


def wait_for(condition, seconds=LEAST_WAIT, what="the condition", pause=0.01):
    """Polls until condition() is true, and returns its value."""
    seconds = max(seconds, LEAST_WAIT)
    end = deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timeout after {seconds * PATIENCE:.0f} s while waiting for {what}")
        time.sleep(pause)


def port_range():
    """Returns the range of ports of this process. Workers of pytest-xdist divide the range of the tests evenly."""
    low, high = (int(x) for x in os.environ.get("ATOMDB_TEST_PORTS", "25000-25999").split("-"))
    share = (high - low + 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first = low + share * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return first, first + share - 1


_latest_ports = collections.deque(maxlen=20)


def free_port(followers=0):
    """Returns a free port of this process, with so many more of its ports behind it. Avoids the latest ones: their
    servers may be about to start."""
    first, last = port_range()
    for _ in range(1000):
        port = random.randint(first, last - followers)
        if port in _latest_ports:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            _latest_ports.append(port)
            return port
    raise RuntimeError("no free port")


class Error(str):
    """An error reply, without its '-'."""

    def __repr__(self):
        return f"Error({str.__repr__(self)})"

    @property
    def code(self):
        return self.split(" ", 1)[0]


class Push(list):
    """An out-of-band message of RESP3."""


class Closed(Exception):
    """The server closed the connection."""


def encode(*args):
    """Encodes a command in RESP, as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif isinstance(arg, int):
            arg = b"%d" % arg
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


class Client:
    """A connection with access to the raw protocol. Errors are values, not exceptions."""

    def __init__(self, port=None, secret=None, *, path=None, host="127.0.0.1", source=None, timeout=60, nodelay=True):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            if source:
                self.sock.bind((source, 0))
            if nodelay:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(timeout * PATIENCE)
        self.sock.connect(path or (host, port))
        self.data = bytearray()
        self.at = 0
        if secret is not None:
            reply = self.cmd("AUTH", *(secret if isinstance(secret, tuple) else (secret,)))
            assert reply == "OK", reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_anyway(self, data):
        """Sends bytes. The server may close the connection before it has read all of them."""
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass

    def cmd(self, *args):
        self.send(encode(*args))
        return self.read()

    def many(self, commands):
        """Sends all commands at once and returns all replies."""
        commands = list(commands)
        self.send(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    def _fill(self):
        if self.at:
            del self.data[: self.at]
            self.at = 0
        try:
            piece = self.sock.recv(1 << 20)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Closed("reset") from error
        if not piece:
            raise Closed("end of file")
        self.data += piece

    def _line(self):
        searched = self.at
        while True:
            end = self.data.find(b"\r\n", searched)
            if end >= 0:
                line = bytes(self.data[self.at : end])
                self.at = end + 2
                return line
            searched = max(len(self.data) - 1 - self.at, 0)
            self._fill()

    def _bytes(self, count):
        while len(self.data) - self.at < count + 2:
            self._fill()
        value = bytes(self.data[self.at : self.at + count])
        assert self.data[self.at + count : self.at + count + 2] == b"\r\n", "a bulk string without CRLF"
        self.at += count + 2
        return value

    def read(self):
        """Returns the next reply: str for a status, bytes for a bulk string, Error, int, None, list, dict, float,
        bool."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Error(rest.decode("utf-8", "backslashreplace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest))
        if kind == b"=":
            return self._bytes(int(rest))[4:]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"~":
            return [self.read() for _ in range(int(rest))]
        if kind == b">":
            return Push(self.read() for _ in range(int(rest)))
        if kind == b"%":
            return {_hashable(self.read()): self.read() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        raise AssertionError(f"not RESP: {line!r}")

    def rest(self):
        """Returns all bytes until the server closes the connection."""
        try:
            while True:
                self._fill()
        except Closed:
            return bytes(self.data)

    def closed(self, seconds=LEAST_WAIT):
        """Returns True if the server closes the connection. Ignores remaining input."""
        self.sock.settimeout(seconds * PATIENCE)
        try:
            while self.sock.recv(1 << 16):
                pass
        except (ConnectionResetError, BrokenPipeError):
            return True
        except socket.timeout:
            return False
        return True


def ended(client):
    """Returns whether the server has closed the connection of a client that has no replies to read."""
    return bool(select.select([client.sock], [], [], 0)[0]) and client.closed()


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def http_get(port, path, host="127.0.0.1", method="GET", timeout=30, headers=None):
    """Sends a request and returns the response. Decompresses the body if it is compressed."""
    request = urllib.request.Request(f"http://{host}:{port}{path}", method=method, headers=headers or {})
    text = lambda answer: (gzip.decompress(data) if (data := answer.read())[:2] == b"\x1f\x8b" else data).decode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout * PATIENCE) as answer:
            return Response(answer.status, answer.headers, text(answer))
    except urllib.error.HTTPError as error:
        return Response(error.code, error.headers, text(error))


class Server:
    """A process under test. The test ends it by its pid."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.process = None
        self.port = free_port()
        self.errors = os.path.join(self.directory, f"stderr.{self.port}")

    @property
    def pid(self):
        return self.process.pid

    def spawn(self, arguments, nofile=None, environment=None):
        def limits():
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self.directory,
                env=environment, preexec_fn=limits, start_new_session=True)

    def log(self):
        with open(self.errors, "rb") as errors:
            return errors.read().decode("utf-8", "backslashreplace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    @contextlib.contextmanager
    def stopped(self):
        """Stops all threads of the process, waits until they have stopped, and continues them at the end."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def client(self, secret=None, **options):
        return Client(self.port, secret, **options)

    def status(self, field):
        """Returns a number of /proc/PID/status. Converts kB to bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as text:
            for line in text:
                name, value = line.split(":", 1)
                if name == field:
                    number = int(value.split()[0])
                    return number * 1024 if value.strip().endswith("kB") else number
        raise KeyError(field)


class Redis(Server):
    """Debian's redis-server, as the reference."""

    def start(self, *arguments, secret="reference"):
        self.secret = secret
        self.spawn(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--daemonize", "no", "--dir", self.directory, "--requirepass", secret, *arguments])

        def up():
            assert self.alive(), self.log()
            try:
                with self.client(secret) as client:
                    return client.cmd("PING") == "PONG"
            except (OSError, AssertionError):
                return False

        wait_for(up, what="redis-server")
        return self

    def stop(self):
        self.kill()


class AtomDB(Server):
    """The built daemon, with a configuration of the test."""

    def __init__(self, binary, directory):
        super().__init__(directory)
        self.binary = binary
        self.http_port = free_port()
        self.config = os.path.join(self.directory, f"atomdb.{self.port}.conf")

    def write_config(self, text):
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(text)

    def start(self, config="", *, nofile=None, flags=None, environment=None, attempts=5):
        """Starts with the configuration text `config`, and waits until /health answers 200."""
        self.write_config(config)
        if flags is None:
            flags = ["--port", str(self.port), "--http-port", str(self.http_port)]
        env = dict(os.environ, **(environment or {}))
        env.setdefault("ASAN_OPTIONS", "exitcode=99:detect_leaks=1")
        # libconfig leaks the current strings on a syntax error.
        env.setdefault("LSAN_OPTIONS", f"print_suppressions=0:suppressions={ROOT}/tests/blackbox/lsan.supp")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        env.setdefault("TSAN_OPTIONS", "exitcode=66:halt_on_error=1")
        for name in ("NOTIFY_SOCKET", "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID", "CREDENTIALS_DIRECTORY"):
            if name not in (environment or {}):
                env.pop(name, None)
        self.spawn([self.binary, "--config", self.config, *flags], nofile, env)
        try:
            wait_for(self._healthy, what="/health to answer 200")
        except AssertionError:
            # Another process has taken the port: try another one.
            if attempts > 1 and "Address already in use" in self.log() and flags[:1] == ["--port"]:
                self.port, self.http_port = free_port(), free_port()
                return self.start(config, nofile=nofile, environment=environment, attempts=attempts - 1)
            raise
        return self

    def _healthy(self):
        assert self.alive(), f"exited with {self.process.returncode}:\n{self.log()}"
        try:
            return self.http("/health").status == 200
        except OSError:
            return False

    def http(self, path, **options):
        return http_get(self.http_port, path, **options)

    def metric(self, name, **labels):
        """Returns the sum of the samples of a metric with these labels, or None if there is none."""
        total = None
        for line in self.http("/metrics").body.splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if not match or match[1] != name:
                continue
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            if all(have.get(label) == value for label, value in labels.items()):
                total = (total or 0) + float(match[3])
        return total

    def reload(self, config, good=True, refused=False):
        """Writes a configuration, sends SIGHUP, and waits for the result in the log."""
        text = "The configuration was read again" if good else "The configuration could not be read"
        text = "The configuration would delete keys of tenants" if refused else text
        before = self.log().count(text)
        self.write_config(config)
        self.process.send_signal(signal.SIGHUP)

        def said():
            assert self.alive(), self.log()
            return self.log().count(text) > before

        wait_for(said, what=f"the log to say: {text}")

    def stop(self):
        """Stops the daemon as systemd does. It must exit with code 0 and without a report of a sanitizer."""
        if self.process is None:
            return
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"did not stop on SIGTERM:\n{self.log()}") from None
        code, log = self.process.returncode, self.log()
        self.process = None
        assert not SANITIZER.search(log.encode()), log
        assert code == 0, f"exit code {code}:\n{log}"


def info(client, section="everything"):
    """Returns INFO as a dictionary."""
    text = client.cmd("INFO", section).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line and not line.startswith("#"))


class Row:
    """A row of commands.def: its name ("client|list" for a subcommand), arity, and positions of keys."""

    def __init__(self, row):
        self.sub = row["parent"] is not None
        self.name, self.arity = row["name"], int(row["arity"])
        first, last, self.step = (int(row.get(field, 0)) for field in ("first_key", "last_key", "key_step"))
        self.keys = (("NO_KEYS" if first == 0 else "ALL_KEYS" if (first, last) == (1, -1) and "more_keys" not in row else
                      "KEY_AND_KEYS" if last == -1 else "KEY_PAIR" if (first, last) == (1, 2) and "more_keys" in row else
                      "TWO_KEYS" if (first, last) == (1, 2) else "ONE_KEY" if first == 1 else "KEY_AT") +
                     ("_NOTED" if "key_note" in row else ""))
        self.step = self.step if self.keys.startswith("ALL_KEYS") else 0

    @property
    def words(self):
        return self.name.split("|")


def commands_table():
    """Returns the rows of all commands."""
    sys.path.insert(0, os.path.join(ROOT, "packaging"))
    import tables
    rows = [Row(row) for row in tables.commands()]
    assert rows, "commands.def has no rows"
    return rows
