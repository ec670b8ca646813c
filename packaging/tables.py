"""Reads the .def tables of the source."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def rows(path, macro):
    """The arguments of each use of a macro, as C text; neighbouring strings are joined."""
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
            depth += (char == "(") - (char == ")")
            if depth < 0 or (char == "," and depth == 0):
                arguments.append(current.strip())
                current = ""
            else:
                current += char
            at += 1
        yield arguments


def unquote(text):
    return "".join(ast.literal_eval(part[0]) for part in STRING.finditer(text))
