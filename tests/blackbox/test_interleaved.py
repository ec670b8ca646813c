"""Crashes while each command is suspended at every check point, checked against models: acknowledged writes are there, and
each other command is there completely or not at all."""

import random
import signal
import threading
import time

import pytest

from harness import PATIENCE, Closed, encode, wait_for
from model import Model, content, difference

pytestmark = pytest.mark.hooks

CONFIG = """
workers = 1;
defaults: { max_entries = 0; max_memory = "0"; };
tenants: ( { name = "evicted"; secret = "evicted"; max_entries = 100; max_memory = "400K"; } );
"""
WRITERS = 3


class Writer:
    """Sends batches of the commands of a model. Records the states that the tenant may have after a crash."""

    def __init__(self, service, number):
        self.service, self.secret, self.model = service, f"writer {number}", Model(number)
        self.states = [self.model.copy()]
        self.error = None
        self.commands = 0
        self.listener = None
        self.transactions = 0
        self.executing = False  # the last transaction has not been acknowledged
        with service.client(self.secret) as client:
            self.model.fetch_payloads(client)

    def listen(self):
        self.listener = self.service.client(self.secret)
        assert self.listener.cmd("SUBSCRIBE", "transactions") == [b"subscribe", b"transactions", 1]

    def run(self, stop):
        try:
            with self.service.client(self.secret) as client:
                self.model.selected = 0
                while not stop.is_set():
                    self.send_batch(client)
        except (Closed, OSError):
            pass
        except Exception as error:
            self.error = error

    def send_batch(self, client):
        made = []
        for _ in range(self.model.random.choice([1, 1, 4, 15])):
            made.append(self.model.command())
            self.states.append(self.model.copy())
        self.commands += len(made)
        commands = [command for command, _ in made]
        if self.model.random.random() < 0.5:
            self.states = [self.states[0], self.states[-1]]
            self.transactions += 1
            self.executing = True
            message = ("PUBLISH", "transactions", self.transactions)
            replies = client.many([("MULTI",), message, *commands, ("EXEC",)])[-1][1:]
            self.states = self.states[-1:]
            self.executing = False
        else:
            client.send(b"".join(encode(*command) for command in commands))
            replies = []
            for _ in commands:
                replies.append(client.read())
                self.states.pop(0)
        for (command, expected), reply in zip(made, replies):
            assert reply == expected, (command[:2], str(reply)[:200], str(expected)[:200])

    def last_message(self):
        """Returns the number of the last transaction whose message has arrived. The server has ended."""
        last = 0
        try:
            while True:
                last = int(self.listener.read()[2])
        except Closed:
            return last

    def check(self):
        """The data is that of one of the possible states."""
        assert self.error is None, self.error
        if self.last_message() == self.transactions and self.executing:
            # A message leaves after the commit.
            self.states = self.states[-1:]
        self.executing = False
        self.listener.close()
        with self.service.client(self.secret) as client:
            found = content(client)
        state = next((state for state in self.states if state == found), None)
        assert state is not None, "\n---\n".join(difference(found, state) for state in self.states)
        self.model.databases = [dict(keys) for keys in state]
        self.states = [state]


def evict(service, stop, number):
    """Writes to a tenant that always evicts, and lets keys expire."""
    chance = random.Random(number)
    try:
        with service.client("evicted") as client:
            while not stop.is_set():
                client.many([("SET", chance.randrange(300), "v" * chance.choice([1, 100, 3000]), *chance.choice([(), ("PX", 5)]))
                             for _ in range(20)] + [("MEMORY", "PURGE")])
    except (Closed, OSError):
        pass


def test_suspended_commands_are_there_completely_or_not_at_all_after_crashes(service, request, monkeypatch):
    kills = 400 if request.config.getoption("--long") else 12
    if request.config.getoption("--long"):
        signal.alarm(3600)
    monkeypatch.setenv("ATOMDB_TEST_YIELD", "1")
    service.start(CONFIG)
    chance = random.Random(17)
    writers = [Writer(service, number) for number in range(WRITERS)]
    for number in range(kills):
        stop = threading.Event()
        for writer in writers:
            writer.listen()
        threads = [threading.Thread(target=writer.run, args=(stop,), daemon=True) for writer in writers]
        threads.append(threading.Thread(target=evict, args=(service, stop, number), daemon=True))
        begun = [writer.commands for writer in writers]
        for thread in threads:
            thread.start()
        wait_for(lambda: all(writer.error or writer.commands > before for writer, before in zip(writers, begun)),
                 what="a batch of each writer")
        time.sleep(chance.uniform(0, 0.4))
        if chance.random() < 0.25:
            service.restart()
            time.sleep(chance.uniform(0, 0.2))
        service.crash()
        stop.set()
        for thread in threads:
            thread.join(20 * PATIENCE)
            assert not thread.is_alive()
        assert "0 damaged blocks dropped" in service.recovered()
        for writer in writers:
            writer.check()
    assert all(writer.commands > kills for writer in writers)
