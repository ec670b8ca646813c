"""Reads the .def tables of the source."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def rows(path, macro):
    """Returns the arguments of each use of a macro, as C text. Joins adjacent strings."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.DOTALL)
    for match in re.finditer(rf"^{macro}\(", text, flags=re.MULTILINE):
        arguments, current, depth, at = [], "", 0, match.end()
        while depth >= 0:
            string = STRING.match(text, at)
            if string:
                current += string[0]
                at = string.end()
                continue
            char = text[at]
            depth += (char in "({") - (char in ")}")
            if depth < 0 or (char == "," and depth == 0):
                arguments.append(current.strip())
                current = ""
            else:
                current += char
            at += 1
        yield arguments


def unquote(text):
    return "".join(ast.literal_eval(part[0]) for part in STRING.finditer(text))


def commands():
    """Returns all commands in the order of their groups' files: folder, id, name, parent, and the fields as C text."""
    for include in re.findall(r'^#include "([^"]+)"', (ROOT / "include/atomdb/commands/commands.def").read_text(encoding="utf-8"), re.M):
        for columns in rows(f"src/{include}", "(?:COMMAND|SUBCOMMAND)"):
            head = 3 if columns[3].startswith(".") else 4
            parent = columns[0] if head == 4 else None
            fields = dict(re.match(r"\.(\w+) = (.*)", column, re.DOTALL).groups() for column in columns[head:])
            yield {"folder": pathlib.Path(include).parent.name, "parent": parent, "id": columns[head - 3], "name": unquote(columns[head - 2]), "run": columns[head - 1], **fields}
