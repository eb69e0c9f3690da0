"""What the programs say of themselves, read from their source: metrics, spans, and fields of the log.

Good enough because the code makes each of them in one place with literal names; `infra/lint --bin-dir` holds the result against a
running cluster.
"""

import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CRATES = ["account-service", "alexa-skill", "connector", "relay", "service-kit", "standalone"]

# As OpenTelemetry's exporter names them for Prometheus.
KINDS = {
    "u64_counter": "counter",
    "f64_counter": "counter",
    "i64_up_down_counter": "gauge",
    "u64_observable_gauge": "gauge",
    "u64_gauge": "gauge",
    "i64_gauge": "gauge",
    "f64_gauge": "gauge",
    "u64_observable_counter": "counter",
    "f64_observable_counter": "counter",
    "f64_observable_gauge": "gauge",
    "f64_histogram": "histogram",
    "u64_histogram": "histogram",
}
UNITS = {"s": "_seconds", "ms": "_milliseconds", "By": "_bytes"}


def sources():
    for crate in CRATES:
        for path in sorted(glob.glob(os.path.join(ROOT, crate, "src", "**", "*.rs"), recursive=True)):
            with open(path) as file:
                text = file.read()
            yield path, text.split("#[cfg(test)]\nmod tests", 1)[0]


def metrics():
    """{name in Prometheus: kind}. The closure `gauge("…", …)` of alexa-skill/src/metrics.rs counts as a gauge, too."""
    found = {}
    made = re.compile(r'\.(\w+_(?:counter|histogram|gauge))\(\s*"(macloud[\w.]+)"\s*\)(.*?)\.build\(\)', re.S)
    for _, text in sources():
        for kind, name, rest in made.findall(text):
            unit = re.search(r'\.with_unit\("(\w+)"\)', rest)
            found[prometheus(name, KINDS[kind], unit and unit.group(1))] = KINDS[kind]
        if "u64_observable_gauge(name)" in text:
            for name in re.findall(r'\bgauge\(\s*"(macloud[\w.]+)"', text):
                found[prometheus(name, "gauge", None)] = "gauge"
    return found


def prometheus(name, kind, unit):
    return name.replace(".", "_") + UNITS.get(unit, "") + ("_total" if kind == "counter" else "")


def series():
    """The names that can stand in a query."""
    names = set()
    for name, kind in metrics().items():
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def with_exemplars():
    """Histograms whose buckets lead to traces."""
    noted = re.compile(r'note_exemplar\(\s*"(\w+)"')
    return {name for _, text in sources() for name in noted.findall(text)}


# A macro of ours may leave the level open.
EVENT = re.compile(r"(?:\b(?:tracing::)?(?:error|warn|info|debug|trace)|\btracing::\$level)!\(")
SPAN = re.compile(r"\b(?:error|warn|info|debug|trace)_span!\(")


def spans():
    """Those that begin and end in the code, and those that are made of what another process reports."""
    made = re.compile(r'(?:_span!|\bpast_span|\.within)\(\s*"(\w+)"')
    return {name for _, text in sources() for name in made.findall(text)}


def fields():
    """Names of the values of log lines and spans."""
    found = set()
    for _, text in sources():
        starts = [(start, True) for start in EVENT.finditer(text)] + [(start, False) for start in SPAN.finditer(text)]
        for start, is_event in starts:
            for argument in arguments(text, start.end()):
                if argument.startswith('"'):
                    if is_event:
                        # The message: what comes after it only fills it in.
                        break
                    continue
                named = re.match(r"([a-z_][\w.]*)\s*=(?!=)", argument)
                shown = re.fullmatch(r"[%?]?([a-z_][\w.]*)", argument)
                if named:
                    found.add(named.group(1))
                elif shown:
                    found.add(shown.group(1).split(".")[-1])
    return found


def arguments(text, at):
    """The arguments of a macro whose bracket ends at `at`."""
    found, depth, start, quoted, i = [], 0, at, False, at
    while True:
        letter = text[i]
        if quoted:
            i += letter == "\\"
            quoted = letter != '"'
        elif letter == '"':
            quoted = True
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        if depth < 0 or (depth == 0 and letter == "," and not quoted):
            argument = text[start:i].strip()
            if argument:
                found.append(argument)
            start = i + 1
            if depth < 0:
                return found
        i += 1
