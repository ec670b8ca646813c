"""The compared servers: how to start, query and observe them."""
import contextlib
import os
import resource
import shutil
import socket
import subprocess
import time
import urllib.request

SECRET = "bench"
START_TIMEOUT = 15.0
STOP_TIMEOUT = 20.0
PAGE = resource.getpagesize()


class Failure(Exception):
    """An error that invalidates a result."""


class Connection:
    """A blocking RESP client for commands that are not load."""

    def __init__(self, port, secret=None, timeout=60.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        if secret:
            self.ask("AUTH", secret)

    def ask(self, *words):
        """Returns the reply to one command: text, number or None. Raises Failure for an error."""
        parts = [f"*{len(words)}\r\n"] + [f"${len(str(w))}\r\n{w}\r\n" for w in words]
        self.socket.sendall("".join(parts).encode())
        line = self.file.readline().decode().rstrip("\r\n")
        if not line:
            raise Failure("connection closed")
        if line[0] == "-":
            raise Failure(f"{words[0]}: {line[1:]}")
        if line[0] == ":":
            return int(line[1:])
        if line[0] == "$":
            size = int(line[1:])
            return None if size < 0 else self.file.read(size + 2)[:-2].decode()
        return line[1:]

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A pinned server process. stop() ends it by its pid."""

    name = "?"
    secret = None
    memcached = False

    def __init__(self, bench, port, **options):
        self.bench, self.port, self.options = bench, port, options
        self.process, self.log = None, None
        self.cores = options.get("cores", {0})

    def command(self):
        raise NotImplementedError

    def start(self):
        self.log = open(os.path.join(self.bench.directory, f"{self.name}-{self.port}.log"), "ab")
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.bench.directory,
            env={**os.environ, **self.options.get("environment", {})}, preexec_fn=self.place)
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.connect().close()
                return self
            except (OSError, Failure) as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise Failure(f"{self.name} does not start: {error}: {self.log_tail()}") from error
                time.sleep(0.05)

    def place(self):
        """Sets the CPUs of the process, and its real-time priority if the options have one and the system allows it."""
        os.sched_setaffinity(0, self.cores)
        if "priority" in self.options:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self.options["priority"]))

    def log_tail(self):
        with open(self.log.name, "rb") as log:
            return log.read()[-600:].decode(errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.log:
            self.log.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def connect(self):
        return Connection(self.port, self.secret)

    @property
    def pid(self):
        return self.process.pid

    def resident(self):
        """Returns the memory in bytes: resident memory, and pages of a memfd that are not mapped."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            fields = statm.read().split()
        rss, shared = int(fields[1]) * PAGE, int(fields[2]) * PAGE
        held, seen = 0, set()
        for fd in os.listdir(f"/proc/{self.pid}/fd") if self.has_memfds else ():
            path = f"/proc/{self.pid}/fd/{fd}"
            try:
                if os.readlink(path).startswith("/memfd:"):
                    status = os.stat(path)
                    if status.st_ino not in seen:
                        seen.add(status.st_ino)
                        held += status.st_blocks * 512
            except OSError:
                continue
        return rss + max(0, held - shared)

    has_memfds = False

    def key_count(self, connection):
        return connection.ask("DBSIZE")


class Floor(Server):
    name = "floor"

    def command(self):
        return [self.bench.tool("floor"), "--port", str(self.port), "--value-size",
                str(self.options.get("value_size", 64))]


class Atomdb(Server):
    name = "atomdb"
    secret = SECRET
    has_memfds = True

    def __init__(self, bench, port, **options):
        super().__init__(bench, port, **options)
        self.http_port = bench.port()

    def command(self):
        path = os.path.join(self.bench.directory, f"atomdb-{self.port}.conf")
        defaults = 'max_entries = %d; max_memory = "0";' % self.options.get("max_entries", 0)
        with open(path, "w", encoding="ascii") as conf:
            conf.write(self.options.get("text") or f'workers = {self.options.get("workers", 1)};\n'
                       'tenancy = "open";\nnew_tenants_per_second = 0;\n'
                       f"defaults: {{ {defaults} }};\n")
        return [self.bench.atomdb, "--config", path, "--port", str(self.port), "--http-port", str(self.http_port)]

    def page(self, path="/metrics"):
        """Returns a page over HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=60) as answer:
            return answer.read().decode()

    def worker_thread(self, number):
        """Returns the thread id of a worker."""
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/comm", encoding="ascii") as comm:
                if comm.read().strip() == f"atomdb-worker-{number}":
                    return int(task)
        raise Failure(f"no worker {number}")


class Redis(Server):
    name = "redis"
    secret = SECRET

    def command(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                   "--requirepass", SECRET, "--loglevel", "warning", "--dir", self.bench.directory]
        for name, value in self.options.get("redis", {}).items():
            command += [f"--{name}", str(value)]
        return command


class Memcached(Server):
    name = "memcached"
    memcached = True

    def command(self):
        return ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-t", "1", "-c", "10000",
                "-m", "8192"]

    def connect(self):
        connection = Connection(self.port)
        connection.socket.sendall(b"version\r\n")
        if not connection.file.readline().startswith(b"VERSION"):
            raise Failure("no memcached")
        return connection

    def key_count(self, connection):
        connection.socket.sendall(b"stats\r\n")
        count = 0
        while True:
            line = connection.file.readline()
            if line.startswith(b"STAT curr_items "):
                count = int(line.split()[2])
            if not line or line.startswith(b"END"):
                return count


KINDS = {kind.name: kind for kind in (Floor, Atomdb, Redis, Memcached)}


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def version(kind):
    """Returns a short description of the server."""
    if kind in ("redis", "memcached"):
        program = {"redis": "redis-server"}.get(kind, kind)
        if not shutil.which(program):
            return ""
        text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        return " ".join(text.split()[:3])
    return kind
