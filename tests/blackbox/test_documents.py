"""The manual pages that packaging/documents generates from the tables of the daemon."""

import os
import re
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    """The text of a page without the escapes of roff."""
    directory = tmp_path_factory.mktemp("documents")
    subprocess.run([os.path.join(ROOT, "packaging", "documents"), directory], check=True)

    def text(page):
        return re.sub(r"\\f[BIR]|\\&", "", (directory / page).read_text()).replace("\\-", "-").replace("\\e", "\\")

    return text


def test_the_manual_has_every_command(manual, client):
    lines = manual("atomdb-commands.7").splitlines()
    names = {line.decode().replace("|", " ").upper() for line in client.cmd("COMMAND", "LIST")}
    names = {name for name in names if not name.endswith(" HELP")}
    assert {"GET", "CLIENT KILL"} <= names
    described = {lines[i + 1] for i, line in enumerate(lines) if line == ".TP"}
    assert not {name for name in names if not any(line == name or line.startswith(name + " ") for line in described)}


def test_the_manual_shows_the_arguments_of_commands(manual):
    lines = manual("atomdb-commands.7").splitlines()
    for syntax in ("GET key", "MSET key value [key value ...]", "SUBSCRIBE channel [channel ...]",
                   "GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
                   "BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]",
                   "CLIENT REPLY (ON | OFF | SKIP)"):
        assert syntax in lines


def test_the_manual_has_every_key_of_the_configuration(manual, binary):
    example = subprocess.run([binary, "--print-config"], capture_output=True, text=True, check=True).stdout
    page = manual("atomdb.conf.5")
    keys = set(re.findall(r"^\s*//([a-z0-9_]+) = ", example, re.M))
    assert len(keys) > 30
    assert not {key for key in keys if not re.search(rf"\b{key}\b", page)}


def test_the_manual_has_every_metric(manual, atomdb):
    atomdb.start("")
    names = set(re.findall(r"^# TYPE (\w+)", atomdb.http("/metrics").body, re.M))
    assert not names - set(manual("atomdb.8").splitlines())


@pytest.mark.parametrize("page", ["atomdb.8", "atomdb.conf.5", "atomdb-commands.7"])
def test_the_manual_has_no_placeholder_and_no_unknown_request(manual, page):
    text = manual(page)
    assert not re.search(r"^@\w+@", text, re.M)
    assert set(re.findall(r"^\.(\w+)", text, re.M)) <= set("TH SH SS TP IP PP RS RE nf fi B BR I IR RB RI".split())
