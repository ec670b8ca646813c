"""RESP replies as raw bytes, and as trees with the type of every part."""


def end_of_reply(data, at):
    """Returns the end of the reply that starts at `at`, or -1 if it is incomplete."""
    pending = 1
    while pending:
        end = data.find(b"\r\n", at)
        if end < 0:
            return -1
        kind = data[at]
        pending -= 1
        if kind in b"$=!":
            length = int(data[at + 1 : end])
            at = end + 2 if length < 0 else end + 4 + length
            if at > len(data):
                return -1
        else:
            if kind in b"*~>":
                pending += max(int(data[at + 1 : end]), 0)
            elif kind in b"%":
                pending += 2 * int(data[at + 1 : end])
            elif kind not in b"+-:_#,(":
                raise ValueError(f"not RESP: {bytes(data[at:at + 80])!r}")
            at = end + 2
    return at


def tree(raw):
    """Returns a reply as (type, content). The content is bytes, or a list of trees."""
    value, at = _tree(raw, 0)
    assert at == len(raw)
    return value


def _tree(raw, at):
    end = raw.index(b"\r\n", at)
    kind, rest = chr(raw[at]), raw[at + 1 : end]
    at = end + 2
    if kind in "$=!" and rest != b"-1":
        length = int(rest)
        return (kind, raw[at : at + length]), at + length + 2
    if kind in "*~>%" and rest != b"-1":
        parts = []
        for _ in range(int(rest) * (2 if kind == "%" else 1)):
            part, at = _tree(raw, at)
            parts.append(part)
        return (kind, parts), at
    return (kind, rest), at
