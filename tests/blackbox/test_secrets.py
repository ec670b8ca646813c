"""No secret stays in the memory of the daemon after its use. The tests need root to read the memory of the
process."""

import base64
import os
import re

import pytest

from harness import encode, http_get, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read the daemon's memory")

LARGEST = 1 << 30  # maximum size of a mapping: the shadow of a sanitizer is larger, and mostly unmapped


def memory(pid):
    """Yields each writable mapping of the process, except the shared ones with keys of tenants."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            begin, end = int(begin, 16), int(end, 16)
            if rights[1] != "w" or rights[3] == "s" or end - begin > LARGEST:
                continue
            try:
                mem.seek(begin)
                yield line, mem.read(end - begin)
            except OSError:
                pass


def found(pid, *secrets):
    """Returns the secrets that are in memory, with their mappings."""
    return [(secret, line) for line, data in memory(pid) for secret in secrets if secret.encode() in data]


def configuration(tmp_path, suffix):
    """Returns a configuration that gives secrets in every possible way, and the secrets."""
    for name in ("file", "admin", "http"):
        (tmp_path / name).write_text(f"{name}-{suffix}-secret\n")
    text = f"""tenancy = "listed"; workers = 2;
        defaults: {{ max_entries = 0; }};
        admin: {{ secret_file = "{tmp_path}/admin"; }};
        http: {{ secret_file = "{tmp_path}/http"; }};
        tenants: (
          {{ name = "one"; secret = "plain-{suffix}-secret"; }},
          {{ name = "two"; secrets = ( "listed-{suffix}-secret", {{ secret = "group-{suffix}-secret"; }} ); }},
          {{ name = "three"; secret_file = "{tmp_path}/file"; }} );\n"""
    return text, [f"{name}-{suffix}-secret" for name in ("file", "admin", "http", "plain", "listed", "group")]


def test_the_search_finds_a_known_secret(atomdb):
    atomdb.start()
    with atomdb.client("s") as client:
        client.cmd("CLIENT", "SETNAME", "needle-in-the-hay")
        assert found(atomdb.pid, "needle-in-the-hay")


def test_secrets_of_a_configuration_are_wiped_after_parsing(atomdb, tmp_path):
    text, secrets = configuration(tmp_path, "first")
    atomdb.start(text)
    assert not found(atomdb.pid, *secrets)
    text, more = configuration(tmp_path, "second")
    atomdb.reload(text)
    assert not found(atomdb.pid, *secrets, *more)
    # Various errors: syntax errors near a secret, and invalid secrets.
    for bad in ('secret = "bad-first-secret" ! };', 'secret = "bad-second-secret"; bad = 1; };',
                'secret = "bad-third-secret"; secrets = ( "bad-fourth-secret", 1 ); };'):
        atomdb.reload('tenants: ( { name = "a"; ' + bad, good=False)
        assert not found(atomdb.pid, *re.findall(r"bad-\w+-secret", bad))
    for secret in ("plain", "listed", "group", "file", "admin"):
        atomdb.client(f"{secret}-second-secret").close()


def test_secrets_of_clients_are_wiped_after_use(atomdb, tmp_path):
    text, _ = configuration(tmp_path, "first")
    atomdb.start(text)
    for way, send in {
        "whole": lambda client, *command: client.send(encode(*command)),
        "in two pieces": lambda client, *command: [
            (client.send(piece), wait_for(lambda: True)) for piece in (encode(*command)[:-6], encode(*command)[-6:])],
        "inline": lambda client, *command: client.send(" ".join(command).encode() + b"\r\n"),
        "behind others": lambda client, *command: client.send(encode("PING") * 3 + encode(*command)),
    }.items():
        read = lambda client: [client.read() for _ in range(4 if way == "behind others" else 1)][-1]
        for secret in ("plain", "listed", "group", "file", "admin", "wrong"):
            with atomdb.client() as client:
                send(client, "AUTH", f"{secret}-first-secret")
                assert (read(client) == "OK") == (secret != "wrong")
                send(client, "HELLO", "3", "AUTH", "default", f"{secret}-first-secret")
                read(client)
                if secret in ("plain", "wrong"):
                    assert not found(atomdb.pid, f"{secret}-first-secret"), way
        with atomdb.client("admin-first-secret") as operator:
            send(operator, "TENANT", "CREATE", "new", "secret", "created-secret")
            assert read(operator) == "OK"
            send(operator, "TENANT", "SET", "new", "secret", "changed-secret")
            assert read(operator) == "OK"
            send(operator, "TENANT", "SET", "none", "secret", "vain-secret")
            read(operator)
            assert not found(atomdb.pid, "created-secret", "changed-secret", "vain-secret"), way
            assert operator.cmd("TENANT", "DROP", "new") == "OK"
        with atomdb.client("plain-first-secret") as client:
            assert client.cmd("MULTI") == "OK"
            send(client, "AUTH", "queued-secret")
            read(client)
            client.cmd("EXEC")
            assert not found(atomdb.pid, "queued-secret"), way


def test_secrets_of_http_are_wiped_after_the_check(atomdb, tmp_path):
    text, _ = configuration(tmp_path, "first")
    atomdb.start(text)
    for secret, status in (("http-first-secret", 200), ("http-wrong-secret", 401)):
        password = base64.b64encode(f"user:{secret}".encode()).decode()
        for header in (f"Bearer {secret}", f"Basic {password}"):
            answer = http_get(atomdb.http_port, "/metrics", headers={"Authorization": header})
            assert answer.status == status
            assert not found(atomdb.pid, secret, password)
