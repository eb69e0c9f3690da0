"""A cloud, a simulated Music Assistant and somebody with a browser, on loopback: for what rehearses a package with a home in it.

It needs the programs `ma-cloud` only, and leaves nothing behind but what it was given a directory for.
"""

import html.parser
import http.client
import json
import os
import socket
import subprocess
import time
import urllib.parse
import urllib.request

EMAIL, PASSWORD = "you@example.org", "correct horse battery staple"


class Household:
    def __init__(self, ma_cloud, directory):
        self.ma_cloud, self.directory = ma_cloud, directory
        self.running = []
        self.token_file = os.path.join(directory, "ma-token")

    def __enter__(self):
        data = os.path.join(self.directory, "cloud")
        os.makedirs(data, mode=0o700)
        # A listener of its own for each, so that a service that is there is not met.
        port, control = free_port(), free_port()
        self.ma_url, self.control_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{control}"
        home = ["home", "--listen", f"127.0.0.1:{port}", "--control", f"127.0.0.1:{control}", "--ma-token-file", self.token_file]
        self._start("home", home)
        self._wait(f"{self.ma_url}/info")
        cloud = ["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--pairing-poll-seconds", "1"]
        serving = self._start("cloud", cloud, stdout=subprocess.PIPE)
        line = serving.stdout.readline()
        if '"listening"' not in line:
            raise RuntimeError(f"the cloud does not serve: {line}{self.log('cloud')}")
        self.cloud_url = json.loads(line)["public_url"]
        user = [self.ma_cloud, "admin", "user", "create", "--data-dir", data, "--email", EMAIL, "--password-stdin"]
        subprocess.run(user, input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for process in self.running:
            process.kill()
            process.wait()

    def approve(self, link):
        """What a person does with the link that pairing shows."""
        browser = Browser(self.cloud_url)
        page = browser.open(link)
        page = browser.submit(page, "/sign-in", email=EMAIL, password=PASSWORD)
        return browser.submit(page, "/pair", decision="allow")

    def homes(self):
        """How many homes the person has, as the cloud's page says."""
        browser = Browser(self.cloud_url)
        page = browser.open(f"{self.cloud_url}/sign-in")
        _, text = browser.submit(page, "/sign-in", email=EMAIL, password=PASSWORD)
        return text.count('<h2 id="home-')

    def pair(self, command):
        """Run `ma-connector pair … --json`, and approve it as soon as it shows its link."""
        pairing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in pairing.stdout:
            link = json.loads(line).get("verification_uri_complete")
            if link:
                self.approve(link)
        if pairing.wait(30) != 0:
            raise RuntimeError(f"pairing failed: {pairing.stderr.read()}")

    def log(self, name):
        with open(os.path.join(self.directory, f"{name}.log"), errors="replace") as file:
            return file.read()[-3000:]

    def _start(self, name, arguments, stdout=None):
        with open(os.path.join(self.directory, f"{name}.log"), "ab") as log:
            process = subprocess.Popen(
                [self.ma_cloud, *arguments], stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log, text=True
            )
        self.running.append(process)
        return process

    def _wait(self, url):
        until = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(url, timeout=2).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


class Browser:
    """One without scripts, for the cloud's pages only."""

    def __init__(self, cloud_url):
        self.cloud, self.cookies = urllib.parse.urlsplit(cloud_url), {}

    def open(self, url, form=None):
        """Follow redirects within the cloud: (address, page)."""
        for _ in range(8):
            connection = http.client.HTTPConnection(self.cloud.hostname, self.cloud.port, timeout=20)
            parts = urllib.parse.urlsplit(url)
            headers = {"Origin": self.cloud.geturl(), "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            where = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
            connection.request("GET" if form is None else "POST", where, form and urllib.parse.urlencode(form), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, value = cookie.split(";", 1)[0].split("=", 1)
                self.cookies[name] = value
            if answer.status != 303:
                if answer.status != 200:
                    raise RuntimeError(f"{where} answered {answer.status}: {text[:500]}")
                return url, text
            url, form = urllib.parse.urljoin(url, answer.headers["Location"]), None
        raise RuntimeError("too many redirects")

    def submit(self, page, action, **answers):
        url, text = page
        forms = Forms()
        forms.feed(text)
        for path, hidden in forms.found:
            if path.startswith(action):
                return self.open(urllib.parse.urljoin(url, path), [*hidden, *answers.items()])
        raise RuntimeError(f"{url} has no form for {action}: {forms.found}")


class Forms(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.found.append((attributes.get("action") or "", []))
        elif tag == "input" and attributes.get("type") == "hidden" and self.found:
            self.found[-1][1].append((attributes["name"], attributes.get("value") or ""))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
