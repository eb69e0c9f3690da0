"""A cloud of processes with a home and an Alexa, for infra/drills.d/run: commands all the time, what came of each, and what the home really did."""

import base64
import collections
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
INFRA = os.path.dirname(HERE)
ROOT = os.path.dirname(INFRA)
sys.path.insert(0, INFRA)
from household import EMAIL, PASSWORD, Browser, Forms, free_port  # noqa: E402

REDIRECT = "https://layla.amazon.com/api/skill/link/M1"
# Below what a home takes for as long as one likes.
BETWEEN_COMMANDS = 0.12
BETWEEN_REFRESHES = 0.3
# Alexa gives up after eight.
PATIENCE = 9
WAIT = 30


class Failed(Exception):
    """What a drill found."""


class NotHere(Exception):
    """What a drill needs, and this machine does not allow."""


def must(holds, text):
    if not holds:
        raise Failed(text)


def until(what, holds, within=WAIT):
    limit = time.monotonic() + within
    while not (found := holds()):
        must(time.monotonic() < limit, f"{what}: not within {within} s")
        time.sleep(0.05)
    return found


class Cluster:
    """infra/local-cluster, with links and clocks."""

    def __init__(self, directory, bin_dir, *more):
        self.directory, self.bin_dir = directory, bin_dir
        self.about = self.tell("up", "--links", "--clocks", "--bin-dir", bin_dir, *more, "--", "--pairing-poll-seconds", "1")

    def tell(self, verb, *more):
        at = more.index("--") if "--" in more else len(more)
        command = [os.path.join(INFRA, "local-cluster"), verb, *more[:at], "--json", "--dir", self.directory, *more[at:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        must(done.returncode == 0, f"infra/local-cluster {verb}: {done.stderr}")
        self.about = json.loads(done.stdout) if done.stdout else {}
        return self.about

    def link(self, name, **asked):
        with socket.create_connection(self.about["links"], timeout=5) as connection, connection.makefile("rw") as lines:
            lines.write(json.dumps({"link": name, **asked}) + "\n")
            lines.flush()
            return json.loads(lines.readline())

    def pid(self, name):
        return next(process["pid"] for process in self.about["processes"] if process["name"] == name)

    def kill(self, name):
        os.kill(self.pid(name), signal.SIGKILL)

    def admin(self, *arguments, said=""):
        done = subprocess.run([*self.about["admin_command"], *arguments, "--json"], input=said, text=True, capture_output=True)
        must(done.returncode == 0, f"admin {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout)

    def log(self, name):
        with open(os.path.join(self.directory, f"{name}.log"), errors="replace") as file:
            return file.read()

    def clock(self, name, seconds):
        with open(os.path.join(self.directory, f"{name}.clock"), "w") as file:
            file.write(f"{seconds:+d}\n")

    def holder(self):
        """The number of the relay that has the home."""

        def found():
            for relay in self.about["relays"]:
                try:
                    metrics = urllib.request.urlopen(f"{relay['admin']}/metrics", timeout=5).read().decode()
                except OSError:
                    continue
                if re.search(r"^macloud_relay_connections(?:\{[^}]*\})? 1$", metrics, re.M):
                    return int(relay["node_id"].removeprefix("relay-"))

        return until("no relay has the home", found)


class Home:
    """A simulated Music Assistant, and a connector with a clock of its own."""

    def __init__(self, cluster, directory):
        self.cluster, self.directory = cluster, directory
        self.state = os.path.join(directory, "home")
        token = os.path.join(directory, "ma-token")
        music, control = free_port(), free_port()
        self.control = f"http://127.0.0.1:{control}"
        program = [os.path.join(cluster.bin_dir, "ma-cloud"), "home", "--listen", f"127.0.0.1:{music}", "--timing", "fast"]
        program += ["--control", f"127.0.0.1:{control}", "--ma-token-file", token]
        self.music = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the simulated home", lambda: self.ask("GET", "/state"))
        self.browser = Browser(cluster.about["account_service"]["url"])
        self.pair(f"http://127.0.0.1:{music}", token)
        self.connector = None
        self.start()

    def ask(self, method, where, said=None):
        headers = {"Content-Type": "application/json"} if said else {}
        request = urllib.request.Request(self.control + where, said and json.dumps(said).encode(), headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.URLError:
            return None

    def pair(self, music, token):
        command = [os.path.join(self.cluster.bin_dir, "ma-connector"), "pair", "--json", "--state-dir", self.state]
        command += ["--cloud", self.browser.cloud.geturl(), "--ma-url", music, "--ma-token-file", token]
        pairing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in pairing.stdout:
            if link := json.loads(line).get("verification_uri_complete"):
                page = self.browser.submit(self.browser.open(link), "/sign-in", email=EMAIL, password=PASSWORD)
                self.browser.submit(page, "/pair", decision="allow")
        must(pairing.wait(WAIT) == 0, f"pairing failed: {pairing.stderr.read()}")

    def start(self):
        clock = os.path.join(self.cluster.directory, "connector.clock")
        self.cluster.clock("connector", 0)
        environment = {
            **os.environ,
            "LD_PRELOAD": self.cluster.about["clocks"],
            "FAKETIME_TIMESTAMP_FILE": clock,
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with open(os.path.join(self.cluster.directory, "connector.log"), "ab") as log:
            self.connector = subprocess.Popen(
                [os.path.join(self.cluster.bin_dir, "ma-connector"), "run", "--state-dir", self.state],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def volumes(self):
        """How often each volume was set, in truth."""
        heard = self.ask("GET", "/heard")
        return collections.Counter(one["args"]["volume_level"] for one in heard if one["command"] == "players/cmd/volume_set")

    def end(self):
        for process in (self.connector, self.music):
            process.kill()
            process.wait()


class Alexa:
    """Links through the pages, and directs. `skills` is where directives go."""

    def __init__(self, browser, skills, secret):
        self.browser, self.skills, self.secret = browser, urllib.parse.urlsplit(skills), secret
        self.accounts = browser.cloud

    def link(self):
        verifier = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": "alexa",
            "redirect_uri": REDIRECT,
            "scope": "music_assistant.read music_assistant.control",
            "state": "s" * 40,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page = self.browser.open(f"{self.accounts.geturl()}/oauth/authorize?{urllib.parse.urlencode(query)}")
        code = self.consent(page)
        status, tokens = self.token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT, code_verifier=verifier)
        must(status == 200, f"linking: {status} {tokens}")
        self.keep(tokens)

    def consent(self, page):
        """The code on the address to which the browser is led, which is Amazon's and is not opened."""
        url, text = page
        forms = Forms()
        forms.feed(text)
        found = [form for form in forms.found if form[0].startswith("/oauth/consent")]
        must(found, f"{url} does not ask for consent: {text[:400]}")
        action, hidden = found[0]
        connection = http.client.HTTPConnection(self.accounts.hostname, self.accounts.port, timeout=20)
        headers = {
            "Origin": self.accounts.geturl(),
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.browser.cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request("POST", action, urllib.parse.urlencode([*hidden, ("decision", "allow")]), headers)
        answer = connection.getresponse()
        where = answer.headers["Location"] or ""
        must(where.startswith(REDIRECT), f"consent answered {answer.status}, {where!r}: {answer.read()[:400]}")
        return urllib.parse.parse_qs(urllib.parse.urlsplit(where).query)["code"][0]

    def keep(self, tokens):
        self.access, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    def token(self, **form):
        basic = base64.b64encode(f"alexa:{self.secret}".encode()).decode()
        connection = http.client.HTTPConnection(self.accounts.hostname, self.accounts.port, timeout=PATIENCE)
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth/token", urllib.parse.urlencode(form), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")

    def refresh(self):
        """Whether it went well. What says that the link has ended is no outage."""
        try:
            status, tokens = self.token(grant_type="refresh_token", refresh_token=self.refresh_token)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        must(status == 200 or status >= 500, f"a link is lost: {status} {tokens}")
        if status == 200:
            self.keep(tokens)
        return status == 200

    def direct(self, namespace, name, endpoint=None, payload=None):
        """The event that answers, or None where nobody does."""
        scope = {"type": "BearerToken", "token": self.access}
        header = {"namespace": namespace, "name": name, "payloadVersion": "3", "messageId": os.urandom(8).hex()}
        directive = {"header": {**header, "correlationToken": os.urandom(8).hex()}, "payload": payload or {}}
        if endpoint:
            directive["endpoint"] = {"endpointId": endpoint, "scope": scope, "cookie": {}}
        else:
            directive["payload"]["scope"] = scope
        connection = http.client.HTTPConnection(self.skills.hostname, self.skills.port, timeout=PATIENCE)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/alexa/v1/smart-home", json.dumps({"directive": directive}), headers)
            answer = connection.getresponse()
            event = json.loads(answer.read())["event"]
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        if endpoint:
            token = event["header"].get("correlationToken")
            must(token == directive["header"]["correlationToken"], f"it answers another: {event}")
        return event


def verdict(event):
    """What Alexa hears, as docs/TROUBLESHOOTING.md names it."""
    if event is None:
        return "no answer"
    return event["payload"].get("type") or event["header"]["name"]


class Load:
    """Commands and refreshes all the time, in threads of their own, each command with a volume that tells it from the others."""

    def __init__(self, stage):
        self.stage = stage
        self.asked, self.done = collections.Counter(), collections.Counter()
        self.heard, self.in_a_row, self.slowest = collections.Counter(), 0, 0.0
        self.refreshed, self.not_refreshed = 0, 0
        self.messages = set()
        self.over, self.problem = threading.Event(), None
        work = [self.command, self.refresh]
        self.threads = [threading.Thread(target=self.all_the_time, args=[one], daemon=True) for one in work]

    def all_the_time(self, work):
        try:
            while not self.over.is_set():
                work()
        except Failed as problem:
            self.problem = problem

    def command(self):
        level = 1 + sum(self.asked.values()) % 99
        self.asked[level] += 1
        begun = time.monotonic()
        event = self.stage.alexa.direct("Alexa.Speaker", "SetVolume", self.stage.kitchen, {"volume": level})
        self.slowest = max(self.slowest, time.monotonic() - begun)
        heard = verdict(event)
        self.heard[heard] += 1
        self.done[level] += heard == "Response"
        self.in_a_row = self.in_a_row + 1 if heard == "Response" else 0
        if heard not in ("Response", "no answer"):
            self.messages.add(f"{heard}: {event['payload'].get('message')}")
        self.over.wait(BETWEEN_COMMANDS)

    def refresh(self):
        went_well = self.stage.other.refresh()
        self.refreshed += went_well
        self.not_refreshed += not went_well
        self.over.wait(BETWEEN_REFRESHES)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.well()
        return self

    def well(self, within=WAIT):
        """Until what is asked from now on succeeds again: five times in a row."""
        self.in_a_row = 0
        until(
            f"it is not well again: {dict(self.heard)} {self.messages}", lambda: self.problem or self.in_a_row >= 5, within
        )
        if self.problem:
            raise self.problem

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE + 1)
