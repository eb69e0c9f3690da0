"""Pebble, the certificate authority that Let's Encrypt's makers wrote for trials, judges how `ma-cloud serve --acme` gets its
certificate: strictly, with one nonce in twenty refused, and dialling for TLS-ALPN-01 itself."""

import glob
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import requests

from judge import CLOUD, statement, verdict

NAME = "music.example.org"
PROGRAM = CLOUD["admin"][0]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until(true, what, limit=30):
    """Wait for it; if it does not come true, `what()` is told."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {limit} s: {what()}")


class Authority:
    """Pebble, and the DNS that it asks: every name is this machine, until `leads_to` says otherwise."""

    def __init__(self, directory, tls_port):
        path = lambda name: os.path.join(directory, name)
        self.own_root = path("ca.pem")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for command in (["req", "-x509", *curve, "-days", "2", "-subj", "/CN=judge", "-keyout", "ca.key", "-out", "ca.pem"],
                        ["req", *curve, "-subj", "/CN=pebble", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem",
                         "-out", "request.pem"],
                        ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-copy_extensions",
                         "copy", "-out", "leaf.pem"]):
            subprocess.run(["openssl", *command], cwd=directory, check=True, capture_output=True)
        port, self.management, self.dns, dns = free_port(), free_port(), free_port(), free_port(socket.SOCK_DGRAM)
        self.directory = f"https://localhost:{port}/dir"
        with open(path("pebble.json"), "w") as file:
            json.dump({"pebble": {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{self.management}",
                                  "certificate": path("leaf.pem"), "privateKey": path("key.pem"), "httpPort": 1, "tlsPort": tls_port}}, file)
        self.log = path("pebble.log")
        quiet = {"stdout": open(self.log, "w"), "stderr": subprocess.STDOUT}
        self.resolver = subprocess.Popen(
            ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "",
             "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{self.dns}"], **quiet)
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5"}
        self.process = subprocess.Popen(
            ["pebble", "-strict", "-config", path("pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"], env=environment, **quiet)
        self.root = until(self.issuing_root, lambda: open(self.log).read())

    def issuing_root(self):
        try:
            return requests.get(f"https://localhost:{self.management}/roots/0", verify=self.own_root, timeout=5).text
        except requests.ConnectionError:
            return None

    def leads_to(self, address):
        requests.post(f"http://127.0.0.1:{self.dns}/set-default-ipv4", json={"ip": address}, timeout=5).raise_for_status()

    def stop(self):
        for process in (self.process, self.resolver):
            process.kill()
            process.wait()


class Machine:
    """`ma-cloud serve --acme`, on the port that the authority dials."""

    def __init__(self, directory, port, authority):
        self.data, self.port, self.log = os.path.join(directory, "data"), port, os.path.join(directory, "cloud.log")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0", "--data-dir", self.data,
             "--public-url", f"https://{NAME}", "--acme", "--acme-terms-agreed", "--acme-email", "you@example.org",
             "--acme-directory", authority.directory, "--acme-root", authority.own_root],
            stdout=subprocess.PIPE, stderr=open(self.log, "a"), text=True)
        self.operators = json.loads(self.process.stdout.readline())["admin_address"]

    def has_certificate(self):
        return requests.get(f"http://{self.operators}/readyz", timeout=5).json()["checks"].get("certificate")

    def said(self):
        with open(self.log) as log:
            return log.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


def handshake(port, context, name=NAME):
    with socket.create_connection(("127.0.0.1", port), 5) as stream:
        with context.wrap_socket(stream, server_hostname=name) as tls:
            return tls.getpeercert(), tls.selected_alpn_protocol(), tls.version()


def alert(port, protocol):
    """The alert (RFC 8446, section 6) that ends the handshake of whoever offers this protocol."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-alpn", protocol]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10).stderr
    found = re.search(r"SSL alert number (\d+)", said)
    return int(found.group(1)) if found else said


with tempfile.TemporaryDirectory(prefix="macloud-acme.") as scratch:
    listen = free_port()
    authority = Authority(scratch, listen)
    machines = []

    def start():
        machines.append(Machine(scratch, listen, authority))
        return machines[-1]

    trusting = ssl.create_default_context(cadata=authority.root)

    @statement("a name that leads elsewhere gets no certificate, and the log says what helps")
    def _():
        authority.leads_to("127.0.0.2")
        machine = start()
        # Pebble calls what it could not connect to "unauthorized".
        until(lambda: "Failed to connect to 127.0.0.2" in machine.said(), machine.said)
        assert "on port 443 of the name: its A or AAAA record leads elsewhere" in machine.said(), machine.said()
        assert not machine.has_certificate()
        assert alert(listen, "h2") == 49  # access_denied

    @statement("put right, and told so by a SIGHUP, it has a certificate at once that who trusts the authority believes")
    def _():
        authority.leads_to("127.0.0.1")
        machines[-1].process.send_signal(signal.SIGHUP)
        until(machines[-1].has_certificate, machines[-1].said)
        shown, _, version = handshake(listen, trusting)
        assert shown["subjectAltName"] == (("DNS", NAME),) and version == "TLSv1.3", (shown, version)

    @statement("it serves with it")
    def _():
        connection = http.client.HTTPSConnection(NAME, listen, context=trusting, timeout=5)
        connection._create_connection = lambda address, *rest: socket.create_connection(("127.0.0.1", address[1]), *rest)
        connection.request("GET", "/healthz")
        assert json.load(connection.getresponse()) == {"status": "ok"}

    @statement("outside of a challenge acme-tls/1 is refused with the alert for that")
    def _():
        assert alert(listen, "acme-tls/1") == 120  # no_application_protocol

    @statement("what it keeps is its owner's only")
    def _():
        kept = glob.glob(os.path.join(machines[-1].data, "acme", "**", "*"), recursive=True)
        assert {os.path.basename(file): os.stat(file).st_mode & 0o777 for file in kept if os.path.isfile(file)} == {
            "account.pem": 0o600, "certificate.pem": 0o600, "plan.json": 0o600}, kept

    @statement("after a restart, with the authority away, it serves with the certificate that it kept")
    def _():
        before = handshake(listen, trusting)[0]["serialNumber"]
        machines[-1].stop()
        authority.stop()
        start()
        until(machines[-1].has_certificate, machines[-1].said)
        assert handshake(listen, trusting)[0]["serialNumber"] == before
        machines[-1].stop()

    @statement("the authority had nothing to complain of but the name that led elsewhere")
    def _():
        with open(authority.log) as log:
            complaints = [line for line in log if "malformed" in line or "unauthorized" in line]
        assert not complaints, complaints

    authority.stop()
    for machine in machines:
        machine.process.kill()

verdict()
