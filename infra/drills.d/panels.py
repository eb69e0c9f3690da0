"""What an operator sees of a drill: Prometheus over the cluster, asked as the panels of infra/observability ask it."""

import glob
import json
import math
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

from stage import INFRA, ROOT, free_port, must, until

OBSERVABILITY = os.path.join(INFRA, "observability")
# Ten times and more as often as in production, as drills take seconds; and what Grafana takes for $__rate_interval then.
SCRAPE_SECONDS = 1
RATE_SECONDS = 4 * SCRAPE_SECONDS
JOBS = {"account_service": "ma-cloud-account-service", "relays": "ma-cloud-relay", "skills": "ma-cloud-alexa-skill"}

# By the name that docs/OPERATING.md has for it: the panel, which of its queries, and when it tells. A panel shows lines that were made
# of the last RATE_SECONDS; one value among them is enough.
SIGNS = {
    "directives take long": ("From a directive's arrival to its answer", 1, lambda value: value > 1),
    "relays take long": ("From a command's arrival to its frame's write", 1, lambda value: value > 0.25),
    "homes do not answer": ("Commands that no home answered", 0, lambda value: value > 0),
    "homes refuse": ("What did not succeed", 0, lambda value: value > 0),
    "tokens fail": ("Requests to the token endpoint", 1, lambda value: value > 0),
    "the database is waited for": ("Waiting for one, 99 %", 0, lambda value: value > 0.1),
    "Redis is away": ("Homes looked for in Redis", 1, lambda value: value < 1),
    "a certificate ends": ("Until certificates end", 0, lambda value: value < 3600),
}
# Of a panel's lines, those with these labels only.
OF_LINES = {
    "homes refuse": {"result": "refused"},
    "tokens fail": {"status": "503"},
}

# Of whom no drill hears: a front, a canary, mail servers, people who do not know their password, players that change by themselves.
UNHEARD = re.compile(r"haproxy_|macloud_canary_|_mails_|_passwords_|_events?_|_unreported_|_refused_requests_|_token_requests_total\{result!")
# Counted only when something goes wrong that these drills do not let go wrong, or not each time.
RARE = re.compile(r"_http_shed_|_relay_dropped_|_relay_contested_")


def program():
    """Prometheus: of the system, or as infra/lint keeps it."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return shutil.which("prometheus", path=os.pathsep.join([os.environ["PATH"], os.path.join(target, "lint", "debian", "usr", "bin")]))


def panels():
    """(dashboard, panel, number of the query) and the query, of all dashboards."""
    found = {}
    for file in sorted(glob.glob(os.path.join(OBSERVABILITY, "dashboards", "*.json"))):
        with open(file) as opened:
            dashboard = json.load(opened)
        for panel in dashboard["panels"]:
            for number, target in enumerate(panel["targets"]):
                query = target["expr"].replace("$__rate_interval", f"{RATE_SECONDS}s")
                found[dashboard["title"], panel["title"], number] = query
    return found


class Prometheus:
    """One that asks every process of the cluster, and has the rules of infra/observability."""

    def __init__(self, directory):
        self.begun = time.time()
        self.targets = os.path.join(directory, "targets.json")
        self.panels = panels()
        self.queries = {(panel, number): query for (_, panel, number), query in self.panels.items()}
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        config = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
            "rule_files": [os.path.join(OBSERVABILITY, "alerts.yaml")],
            "scrape_configs": [{"job_name": "cluster", "file_sd_configs": [{"files": [self.targets], "refresh_interval": "1s"}]}],
        }
        settings = os.path.join(directory, "prometheus.json")
        with open(settings, "w") as file:
            json.dump(config, file)
        command = [program(), f"--config.file={settings}", f"--storage.tsdb.path={directory}/prometheus"]
        command += [f"--web.listen-address={address}", "--log.level=error"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def follow(self, about):
        """The cluster's processes, as they are now."""
        groups = []
        for part, job in JOBS.items():
            processes = about[part] if isinstance(about[part], list) else [about[part]]
            addresses = [process["admin"].removeprefix("http://") for process in processes]
            groups.append({"targets": addresses, "labels": {"job": job}})
        with open(self.targets + ".new", "w") as file:
            json.dump(groups, file)
        os.replace(self.targets + ".new", self.targets)

    def lines(self, query, begun, ended):
        """Each line that the panel would draw: its labels, and its values."""
        asked = urllib.parse.urlencode({"query": query, "start": begun, "end": ended, "step": SCRAPE_SECONDS})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{asked}", timeout=30) as answer:
            series = json.load(answer)["data"]["result"]
        numbers = ((one["metric"], [float(value) for _, value in one["values"]]) for one in series)
        return [(labels, [value for value in values if not math.isnan(value)]) for labels, values in numbers]

    def signs(self, begun, ended):
        """What can be seen of this time."""
        # The last change is in the next scrape.
        until("Prometheus has no newer samples", lambda: time.time() > ended + SCRAPE_SECONDS)
        return {sign for sign in SIGNS if self.shows(sign, begun, ended + SCRAPE_SECONDS)}

    def shows(self, sign, begun, ended):
        panel, number, tells = SIGNS[sign]
        wanted = OF_LINES.get(sign, {}).items()
        lines = self.lines(self.queries[panel, number], begun, ended)
        return any(tells(value) for labels, values in lines if wanted <= labels.items() for value in values)

    def calm(self):
        """Wait until nothing is to be seen."""
        def seen():
            now = time.time()
            return self.signs(now - SCRAPE_SECONDS, now)

        until("something is to be seen, though all is well", lambda: not seen())

    def empty(self):
        """The panels that have shown nothing at all until now, and should have."""
        now = time.time()
        expected = {key: query for key, query in self.panels.items() if not (UNHEARD.search(query) or RARE.search(query))}
        return {key for key, query in expected.items() if not any(values for _, values in self.lines(query, self.begun, now))}

    def end(self):
        self.process.kill()
        self.process.wait()
