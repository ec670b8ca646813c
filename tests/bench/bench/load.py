"""The load generator as a process: run to its end, or kept running during a measurement."""
import json
import os
import subprocess

from .servers import Failure

LIMIT_SECONDS = 600


def arguments(bench, server, options):
    """Returns the command line for `options`: underscores become dashes; None and False are omitted."""
    command = [bench.tool("load"), "--port", str(server.port)]
    for name, value in {"auth": server.secret, "memcached": server.memcached, **options}.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif value is not None and value is not False:
            command += [flag, str(value)]
    return command


def pinned(bench, cores=None):
    def pin():
        os.sched_setaffinity(0, cores or bench.load_cores)
    return pin


def pinned_first(bench):
    """For a client whose own delays must not count for the server: uses real-time priority, if allowed."""
    def pin():
        os.sched_setaffinity(0, bench.load_cores)
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        except OSError:
            pass
    return pin


def run(bench, server, **options):
    """Runs the generator and returns its figures. Raises Failure if a reply is an error."""
    done = subprocess.run(arguments(bench, server, dict(options, server_pid=server.pid)), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
                          preexec_fn=pinned(bench))
    if done.returncode != 0:
        raise Failure(f"load on {server.name}: {done.stderr.strip()[-300:]}: {server.log_tail()}")
    figures = json.loads(done.stdout)
    if figures["errors"]:
        raise Failure(f"load on {server.name}: {figures['errors']} errors, the first: {figures['error']}")
    return figures


def fill(bench, server, **options):
    """Writes each key once, pipelined and at full speed. No case uses the figures of this run."""
    settings = {"mix": "set:1", "clients": 4, "pipeline": 64, "sequential": True}
    settings.update(options)
    return run(bench, server, **settings)


class Held:
    """A generator that runs until its input closes. result() ends it and returns its figures."""

    def __init__(self, bench, server, pin, **options):
        self.process = subprocess.Popen(arguments(bench, server, options), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=pin(bench))

    def first_line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure("the generator ended early")
        return json.loads(line)

    def lap(self):
        """Returns the figures of a running probe since the last call."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.first_line()

    def result_at_end(self):
        """Returns the figures of a generator that ends after its duration."""
        self.process.wait(60)
        return self.result()

    def result(self):
        """Closes the input of the generator and returns the figures that it prints."""
        text, _ = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            raise Failure("the generator failed")
        return json.loads(text) if text.strip() else {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def probe(bench, server, **options):
    return Held(bench, server, pinned_first, mode="probe", **options)


def idle(bench, server, clients):
    return Held(bench, server, pinned, mode="idle", clients=clients)


def background(bench, server, cores=None, **options):
    """Load during a measurement: a generator that is killed at the end of the block."""
    return Held(bench, server, lambda bench: pinned(bench, cores), duration=LIMIT_SECONDS * 1000, **options)


def together(bench, server, count, **options):
    """Returns the sum of the figures of `count` parallel generators, if a single one would be the bottleneck."""
    generators = [Held(bench, server, pinned, server_pid=server.pid, seed=number + 1, **options)
                  for number in range(count)]
    each = []
    for generator in generators:
        with generator:
            each.append(generator.result_at_end())
    if any(figures["errors"] for figures in each):
        raise Failure(f"load on {server.name}: errors: {each}")
    return {**each[0], "ops": sum(figures["ops"] for figures in each)}
