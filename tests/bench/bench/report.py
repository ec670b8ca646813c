"""The results of a case, and the table of all cases."""
import datetime
import os
import platform
import re
import statistics
import textwrap

COLUMNS = ["floor", "atomdb", "redis", "memcached"]
HEADINGS = {"floor": "floor", "atomdb": "AtomDB", "redis": "redis-server", "memcached": "memcached"}


class Row:
    """One figure of every server, measured once per round."""

    def __init__(self, what, unit, scale=1.0, digits=2, relative=False, target=None):
        self.what, self.unit, self.scale, self.digits = what, unit, scale, digits
        self.relative = relative  # reported as a multiple of the floor in the same round
        self.target = target      # maximum: of the ratio if relative, else in the unit
        self.samples = {}
        self.notes = {}

    def add(self, server, value):
        self.samples.setdefault(server, []).append(value * self.scale)

    def note(self, server, **figures):
        self.notes.setdefault(server, []).append(figures)

    def value(self, server):
        return statistics.median(self.samples[server])

    def ratio(self, server):
        """Returns the median of the ratios within a round: a disturbance of a round affects both servers."""
        pairs = zip(self.samples[server], self.samples.get("floor", []))
        return statistics.median(one / floor for one, floor in pairs)

    def is_relative(self):
        return self.relative and "floor" in self.samples

    def cell(self, server):
        if server not in self.samples:
            return ""
        value = f"{self.value(server):,.{self.digits}f}"
        return f"{self.ratio(server):.2f} ({value})" if self.is_relative() else value

    def verdict(self):
        if self.target is None:
            return ""
        text = f"≤ {self.target:g}"
        if "atomdb" not in self.samples or (self.relative and not self.is_relative()):
            return text
        reached = self.ratio("atomdb") if self.relative else self.value("atomdb")
        return text + (" met" if reached <= self.target else " MISSED")

    def as_json(self):
        return {"what": self.what, "unit": self.unit, "relative": self.relative, "target": self.target,
                "samples": self.samples, "notes": self.notes,
                "median": {server: self.value(server) for server in self.samples},
                "ratio": {server: self.ratio(server) for server in self.samples} if self.is_relative() else None}


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    return f"{processor()}, {os.cpu_count()} cores, Linux {'.'.join(platform.release().split('.')[:2])}"


def processor_time():
    """Returns jiffies since boot: those stolen by the hypervisor, and all."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(field) for field in stat.readline().split()[1:9]]
    return fields[7], sum(fields)


def stolen(before):
    """Returns a text about the CPU time of other machines during the run: it lengthens delays and CPU times."""
    now = processor_time()
    share = (now[0] - before[0]) / max(1, now[1] - before[1])
    return f"The hypervisor gave {share:.0%} of the processors' time to other machines."


def table(rows, command, rounds, before):
    """Returns the table of the rows. Rows with lines() make tables of their own, which follow."""
    own = [row for row in rows if hasattr(row, "lines")]
    rows = [row for row in rows if row not in own]
    shown = [column for column in COLUMNS if any(column in row.samples for row in rows)]
    text = (f"Measured on {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d} by `{command}` on {machine()}. "
            f"{stolen(before)} Medians of {rounds}. AtomDB as shipped: AUTH done, LRU and metrics on, "
            "quota lifted, one worker unless a row says two.")
    if "floor" in shown:
        text += (" The floor is a server that answers every command with a fixed reply and keeps nothing: it shows the "
                 "cost of the kernel. Multiples of it are medians of the ratios within a round.")
    lines = [*textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False), "",
             "| what | unit | " + " | ".join(HEADINGS[column] for column in shown) + " | target |",
             "|---|---|" + "---:|" * len(shown) + "---|"]
    for row in rows:
        cells = " | ".join(row.cell(column) for column in shown)
        lines.append(f"| {row.what} | {row.unit} | {cells} | {row.verdict()} |")
    if not rows:
        lines = lines[:-3]
    for one in own:
        lines += ["", *one.lines()]
    return "\n".join(lines)


# Rows in README.md: the beginning of their titles, and their names there.
HEADLINES = {
    "server CPU per op, 50 clients, no pipeline": "CPU per command, 50 clients, no pipeline",
    "server CPU per op, 50 clients, pipeline of 50": "CPU per command, 50 clients, pipeline of 50",
    "resident bytes per key, 16-byte keys, 32-byte values, 2 M": "memory per key, 16-byte keys, 32-byte values",
    "resident bytes per key, 16-byte keys, 32-byte values, every": "the same, with a TTL",
    "resident bytes per idle connection": "memory per idle connection",
    "1 M keys due within 1 s: delay of the last removal": "1 M keys expire: delay of the last removal",
    "1 M keys due within 1 s: delay until": "1 M keys expire: their memory is free",
    "clean restart with 10 M keys": "restart with 10 M keys under load: longest wait of a client",
    "SIGKILL with 10 M keys under load, 1 worker": "SIGKILL with 10 M keys under load: time until all keys are served",
}


def headlines(text):
    """Returns the rows of a table for README.md, without the floor, the targets and the multiples of the floor."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")]
    header = next((line for line in lines if line[0] == "what"), [])
    columns = [header.index(HEADINGS[kind]) for kind in COLUMNS if kind != "floor" and HEADINGS[kind] in header]
    yield "| measurement | " + " | ".join(header[column] for column in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for start, title in HEADLINES.items():
        for line in lines:
            if line[0].startswith(start):
                cells = [re.sub(r".*\((.*)\)", r"\1", line[column]) for column in columns]
                yield f"| {title} | " + " | ".join(f"{cell} {line[1]}" if cell else "" for cell in cells) + " |"


def into_file(path, text):
    """Replaces the text between the markers of the file."""
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split("<!-- bench -->", 1)
        after = rest.split("<!-- /bench -->", 1)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}<!-- bench -->\n{text}\n<!-- /bench -->{after}")
