"""schemathesis, and a list of what servers have stumbled over, against every endpoint that the cloud describes: whatever is
sent, the answer is below 500."""

import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

import requests

from judge import CLOUD, ISSUER, keep_fields, new_client, statement, verdict


def description(url):
    answer = requests.get(f"{url}/openapi.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
SECONDS = 40
SECRET = new_client("fuzz")
BASIC = requests.auth._basic_auth_str("fuzz", SECRET)


def operators_token():
    secret = new_client("fuzz-operator", "--own-scope", "ma_cloud.admin")
    form = {"grant_type": "client_credentials", "scope": "ma_cloud.admin"}
    answer = requests.post(f"{ISSUER}/oauth/token", data=form, auth=("fuzz-operator", secret))
    assert answer.status_code == 200, answer.text
    keep_fields(answer.json().items())
    return answer.json()["access_token"]


class Listener:
    """One address that the cloud listens on: where it is, what it describes of itself, and what lets one in."""

    def __init__(self, url, authorization):
        self.url = url
        self.host = urllib.parse.urlsplit(url).netloc
        self.authorization = authorization
        self.description = description(url)

    def operations(self):
        for path, item in self.description["paths"].items():
            for method in METHODS & item.keys():
                yield method.upper(), path.replace("{", "").replace("}", "")

    def send(self, method, target, body=b"", headers=()):
        return send(self.host, method, target, body, headers)


# The operators' last: what it finds there it also takes away.
LISTENERS = [Listener(ISSUER, BASIC), Listener(CLOUD["admin_url"], f"Bearer {operators_token()}")]


def send(host, method, target, body=b"", headers=()):
    """One request, byte for byte: libraries would mend what is broken on purpose. The status of the answer."""
    connection = http.client.HTTPConnection(host, timeout=15)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders()
        try:
            connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # Refused before all of a huge body was read: the answer is there nevertheless, or the read below fails.
        return connection.getresponse().status
    finally:
        connection.close()


# Values that databases, parsers and logs have stumbled over.
VALUES = [b"%00", b"a%00b", b"%01%1f%7f", b"%0d%0aX-Injected:+1", b"%ff%fe", b"%C0%80", b"%ED%A0%80", b"%", b"%zz", b"%F0%9F%8E%B5",
          b"'%22;--", b"-1", b"99999999999999999999", b"NaN", b"a" * 9000]
NAMES = [b"client_id", b"code", b"refresh_token", b"token", b"state", b"nonce", b"scope", b"redirect_uri", b"request_uri",
         b"device_code", b"user_code", b"id_token_hint", b"max_age"]
FORM = ("content-type", "application/x-www-form-urlencoded")


@statement("hostile parameters in forms and queries are never a 5xx")
def _():
    tried = 0
    for listener, value in itertools.product(LISTENERS, VALUES):
        form = b"&".join(name + b"=" + value for name in NAMES) + b"&grant_type=authorization_code&response_type=code"
        query = form.decode().replace(" ", "+")[:4000]
        let_in = ("authorization", listener.authorization)
        for method, path in listener.operations():
            for target, body, headers in [
                (path, form, [FORM]), (path, form, [FORM, let_in]), (f"{path}?{query}", b"", [let_in]),
                (f"{path}?{query}", form, [FORM]),
            ]:
                status = listener.send(method, target, body, headers)
                assert status < 500, f"{method} {path} with {value!r}: {status}"
                tried += 1
    assert tried > 1000, tried


@statement("duplicates, huge bodies, wrong types, strange headers and bodies on GET are never a 5xx")
def _():
    cases = [
        (b"grant_type=refresh_token&grant_type=authorization_code&client_id=fuzz&client_id=fuzz", [FORM]),
        (b"client_id=fuzz&client_id=other", [FORM]),
        (b"x=" + b"a" * (1 << 20), [FORM]),
        (b"&" * 70000, [FORM]),
        (b"a=1&" * 20000, [FORM]),
        (b'{"grant_type":["refresh_token"]}', [("content-type", "application/json")]),
        (b"\x00\xff\xfe" * 100, [("content-type", "application/octet-stream")]),
        (b"--x\r\n\r\n", [("content-type", "multipart/form-data; boundary=x")]),
        (b"client_id=fuzz", [("content-type", "application/x-www-form-urlencoded; charset=utf-16")]),
        (b"client_id=fuzz", []),
        (b"", [("authorization", "Basic " + "A" * 8000)]),
        (b"", [("authorization", "Basic \xff\xfe")]),
        (b"", [("authorization", "Bearer"), ("authorization", "Basic Og==")]),
        (b"", [("authorization", "DPoP x"), ("dpop", "x.y.z")]),
        (b"", [("cookie", "macloud=\x01; macloud=; __Host-macloud=" + "a" * 4000)]),
        (b"", [("origin", "null"), ("sec-fetch-site", "x")]),
        (b"", [("accept-language", "de;q=NaN, *;q=9, \xff"), ("accept", "\xff")]),
        (b"", [("x-forwarded-for", "::::, 999.1.1.1"), ("forwarded", "for=\"")]),
        (b"", [("dpop", "eyJhbGciOiJFZERTQSJ9.e30.AA"), ("dpop", "again")]),
        (b"", [("traceparent", "00-zz-zz-zz"), ("baggage", "a" * 5000)]),
    ]
    for listener, (body, headers) in itertools.product(LISTENERS, cases):
        for described, path in listener.operations():
            for method in {described, "GET", "POST"}:
                status = listener.send(method, path, body, headers)
                assert status < 500, f"{method} {path} with {headers} and {body[:40]!r}: {status}"


def run_schemathesis(listener, scratch):
    return subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "st"), "run", "openapi.json", "--url", listener.url,
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
         "--workers", "1", "--max-examples", "60", "--max-time", str(SECONDS), "--phases", "examples,coverage,fuzzing",
         "--generation-allow-x00", "true", "--generation-database", "none", "--suppress-health-check", "all",
         "--max-redirects", "0", "--request-timeout", "15", "--continue-on-failure", "--no-shrink", "--no-color",
         "--warnings", "off", "--header", f"Authorization: {listener.authorization}"],
        cwd=scratch, capture_output=True, text=True)


@statement("schemathesis finds no 5xx, and nothing that is not described")
def _():
    for listener in LISTENERS:
        with tempfile.TemporaryDirectory() as scratch:
            with open(os.path.join(scratch, "openapi.json"), "w") as file:
                json.dump(listener.description, file)
            for _ in range(2):
                done = run_schemathesis(listener, scratch)
                # Python 3.11 sometimes fails to parse schemathesis's own source from deep in its stack; that says nothing about us.
                if "AST constructor recursion depth mismatch" not in done.stdout:
                    break
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
            print(re.search(r"(\d+) generated", done.stdout).group(0), "by schemathesis")


verdict()
