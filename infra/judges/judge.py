"""What the judges that run on Python share: the cloud they judge, people and clients to do it with, a browser without
scripts, and statements that are true or not."""

import html.parser
import json
import os
import subprocess
import sys
import traceback
import urllib.parse

import requests
import requests.adapters

with open(os.environ["MACLOUD_JUDGE"]) as file:
    CLOUD = json.load(file)
ISSUER = CLOUD["issuer"]
PASSWORD = "correct horse battery"
REDIRECT = "https://layla.amazon.com/api/skill/link/M1"

failures = []

# Every secret that was sent or received: infra/judge looks for them in the log, the numbers and the database.
secrets = {PASSWORD}
SECRET_FIELDS = {
    "code", "code_verifier", "access_token", "refresh_token", "id_token", "token", "client_secret", "client_assertion",
    "password", "device_code", "user_code", "request_uri", "form_token", "ticket",
}


def statement(text):
    """Try the function below as one statement; the judge goes on whether it is true or not."""

    def try_it(check):
        try:
            check()
            print(f"true   {text}")
        except Exception:
            failures.append(text)
            print(f"FALSE  {text}\n{traceback.format_exc()}")
        return check

    return try_it


def keep_fields(fields):
    """Remember the secrets among these fields."""
    secrets.update(
        value for name, value in fields if name in SECRET_FIELDS and isinstance(value, str) and len(value) >= 8)


class Watched(requests.adapters.HTTPAdapter):
    """Remembers the secrets of every request and answer."""

    def send(self, request, **options):
        if isinstance(request.body, str):
            keep_fields(urllib.parse.parse_qsl(request.body))
        answer = super().send(request, **options)
        secrets.update(cookie.value for cookie in answer.cookies if len(cookie.value) >= 8)
        keep_fields(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers.get("location", "")).query))
        if "json" in answer.headers.get("content-type", ""):
            keep_fields(answer.json().items())
        return answer


def watch(session):
    """Have a session remember secrets."""
    session.mount(ISSUER, Watched())
    return session


def verdict():
    """Call this at the end."""
    with open(os.path.join(CLOUD["secrets"], f"{os.path.basename(sys.argv[0])}.json"), "w") as file:
        json.dump(sorted(secrets), file)
    sys.exit(1 if failures else 0)


def admin(*arguments, stdin=""):
    """Run an operator's command."""
    done = subprocess.run([*CLOUD["admin"], *arguments], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    said = json.loads(done.stdout) if done.stdout.strip() else {}
    if isinstance(said, dict):
        keep_fields(said.items())
    return said


def new_client(client_id, *flags):
    """A new OAuth client; flags as `ma-cloud admin client create` takes them. Its secret, if it has one."""
    made = admin("client", "create", "--client-id", client_id, "--redirect-uri", REDIRECT, *flags)
    return made.get("client_secret")


class Person:
    """Somebody with an account and a browser."""

    def __init__(self, name):
        self.email = f"{name}@example.org"
        made = admin("user", "create", "--email", self.email, "--password-stdin", stdin=f"{PASSWORD}\n")
        self.account_id = made["account_id"]
        self.session = watch(requests.Session())

    def open(self, url, form=None):
        """Go somewhere; follows redirects within the cloud. A page, or the address outside to which it was led."""
        url = urllib.parse.urljoin(ISSUER, url)
        for _ in range(8):
            if not url.startswith(f"{ISSUER}/"):
                return url
            if form is None:
                page = self.session.get(url, allow_redirects=False)
            else:
                page = self.session.post(url, data=form, headers={"origin": ISSUER}, allow_redirects=False)
            if page.status_code != 303:
                return page
            url, form = urllib.parse.urljoin(url, page.headers["location"]), None
        raise RuntimeError("too many redirects")

    def submit(self, page, action, **answers):
        """Send the form of this page that posts to `action`, with these answers beside its hidden fields."""
        forms = Forms()
        forms.feed(page.text)
        path, hidden = next((path, hidden) for path, hidden in forms.found if path.startswith(action))
        return self.open(path, [*hidden, *answers.items()])

    def decide(self, link, decision="allow"):
        """Follow a link of a client to the consent page and decide there: where the client gets the browser back."""
        page = self.open(link)
        if not isinstance(page, str) and urllib.parse.urlsplit(page.url).path == "/sign-in":
            page = self.submit(page, "/sign-in", email=self.email, password=PASSWORD)
        if not isinstance(page, str):
            page = self.submit(page, "/oauth/consent", decision=decision)
        assert isinstance(page, str), page.text
        return page


class Forms(html.parser.HTMLParser):
    """The forms of a page: where each posts to, and its hidden fields."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "form":
            self.found.append((attributes.get("action"), []))
        elif tag == "input" and attributes.get("type") == "hidden" and self.found:
            self.found[-1][1].append((attributes["name"], attributes.get("value", "")))
