"""Simulates systemd for a daemon under test: opens its sockets, keeps its files, and restarts it."""

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

import harness
from harness import PATIENCE, SANITIZER

FIRST_FD = 3
MOST_FDS = 253


class Supervised(harness.AtomDB):
    """The built daemon as a service. restart(), crash() and stop_unit() do the same as systemctl and the kernel."""

    def __init__(self, binary, directory, keeps=True):
        super().__init__(binary, directory)
        self.keeps = keeps  # False: a unit without FileDescriptorStoreMax=
        self.store = []  # (name, fd)
        self.said = []  # messages of the daemon since its latest start, a dict each
        self.lock = threading.Lock()
        self.ready = threading.Event()
        self.listeners = [(name, self._listen()) for name in ("atomdb.socket", "atomdb-http.socket")]
        self.port, self.http_port = (sock.getsockname()[1] for _, sock in self.listeners)
        self.place = tempfile.mkdtemp(prefix="atomdb-")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.place, "notify"))
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    @staticmethod
    def _listen():
        while True:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", harness.free_port()))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                sock.close()
                continue
            sock.listen(4096)
            return sock

    # --- messages of the daemon

    def _hear(self):
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.notify, 4096, MOST_FDS)
            except OSError:
                return
            if not data:
                return
            lines = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            with self.lock:
                self.said.append(lines)
                self._obey(lines, fds)
            if "READY" in lines:
                self.ready.set()

    def _obey(self, lines, fds):
        name = lines.get("FDNAME", "stored")
        if "FDSTORE" in lines and self.keeps:
            self.store += [(name, fd) for fd in fds]
            fds = []
        if "FDSTOREREMOVE" in lines:
            for kept, fd in self.store:
                if kept == name:
                    os.close(fd)
            self.store = [entry for entry in self.store if entry[0] != name]
        # BARRIER= requires no other action.
        for fd in fds:
            os.close(fd)

    # --- start and end of the daemon

    def spawn(self, arguments, nofile=None, environment=None):
        with self.lock:
            passed = [(name, sock.fileno()) for name, sock in self.listeners] + list(self.store)
        # Signals that a test sends are not errors of the daemon.
        environment["ASAN_OPTIONS"] += ":handle_segv=0:handle_abort=0"
        environment = dict(environment, NOTIFY_SOCKET=os.path.join(self.place, "notify"),
                           LISTEN_FDS=str(len(passed)), LISTEN_FDNAMES=":".join(name for name, _ in passed))

        def hand_over():
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 1000) for _, fd in passed]
            for i, fd in enumerate(high):
                os.dup2(fd, FIRST_FD + i)

        self.ready.clear()
        with self.lock:
            self.said = []
        with open(self.errors, "ab") as errors:
            # The shell knows the pid and then executes the daemon.
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *arguments], stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, cwd=self.directory, env=environment, preexec_fn=hand_over,
                close_fds=False, start_new_session=True)

    def start(self, config="", *, nofile=None, flags=None, environment=None, attempts=1):
        self.text = config
        return super().start(config, nofile=nofile, flags=flags or [], environment=environment, attempts=1)

    def _healthy(self):
        assert self.alive(), f"exited with {self.process.returncode}:\n{self.log()}"
        return self.ready.is_set()

    def _ended(self, code):
        self.process.wait(30 * PATIENCE)
        found, self.process = self.process.returncode, None
        assert not SANITIZER.search(self.log().encode()), self.log()
        assert found == code, f"exit code {found}:\n{self.log()}"

    def end(self):
        """Sends SIGTERM and waits for the end. The store holds the files that the daemon has stored."""
        self.process.send_signal(signal.SIGTERM)
        self._ended(0)

    def restart(self, config=None, environment=None):
        self.end()
        return self.start(self.text if config is None else config, environment=environment)

    def die(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self._ended(-how)

    def crash(self, how=signal.SIGKILL, config=None):
        self.die(how)
        return self.start(self.text if config is None else config)

    def refuses(self, code, config=None):
        """Starts the daemon, waits until it exits with this code, and returns its log."""
        before = len(self.log())
        self.ready.clear()
        try:
            self.start(self.text if config is None else config)
        except AssertionError:
            pass
        assert not self.ready.is_set()
        self._ended(code)
        return self.log()[before:]

    def drop_store(self):
        with self.lock:
            for _, fd in self.store:
                os.close(fd)
            self.store = []

    def stop_unit(self):
        self.end()
        self.drop_store()

    def stop(self):
        if self.process is not None:
            try:
                super().stop()
            finally:
                self.kill() if self.process else None
        self.close()

    def close(self):
        if self.notify is None:
            return
        self.drop_store()
        # An empty message ends the thread.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", os.path.join(self.place, "notify"))
        self.thread.join(10)
        self.notify.close()
        self.notify = None
        os.unlink(os.path.join(self.place, "notify"))
        os.rmdir(self.place)
        for _, sock in self.listeners:
            sock.close()

    # --- the store of file descriptors

    def kept(self, name):
        with self.lock:
            return [fd for kept, fd in self.store if kept == name]

    def names(self):
        with self.lock:
            return sorted(name for name, _ in self.store)

    def extensions(self, status):
        """Returns the numbers in the status lines that match and came with EXTEND_TIMEOUT_USEC=."""
        with self.lock:
            found = [re.fullmatch(status, lines.get("STATUS", "")) for lines in self.said
                     if int(lines.get("EXTEND_TIMEOUT_USEC", 0)) > 1000000]
        return [int(match[1]) for match in found if match]

    def recovered(self):
        """Returns the latest log line about the data that the daemon has taken over."""
        lines = [line for line in self.log().splitlines() if re.search("of the (previous process|process before)", line)]
        return lines[-1] if lines else ""
