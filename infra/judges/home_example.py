"""The home of docs/examples, in Python and after docs/PROTOCOL.md, stands up to the cloud and to the vectors."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from judge import CLOUD, ISSUER, REDIRECT, Person, new_client, statement, verdict, watch

EXAMPLES = os.path.join(CLOUD["root"], "docs", "examples")
VECTORS = os.path.join(CLOUD["root"], "e2ee", "tests", "vectors")
sys.path.insert(0, EXAMPLES)
import sealed as e2ee  # noqa: E402
from home import words  # noqa: E402

PERSON = Person("example-home")


class Program:
    """docs/examples/home.py, whose lines are waited for."""

    def __init__(self, *arguments):
        environment = {**os.environ, "HOME_STATE": STATE}
        self.process = subprocess.Popen([sys.executable, os.path.join(EXAMPLES, "home.py"), *arguments], env=environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def line(self, beginning):
        said = []
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line.strip()
            said.append(line)
        raise AssertionError(f"it never said {beginning!r}: {''.join(said)}")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def alexa(namespace, name, endpoint=None, **payload):
    """What the skill answers to a directive; the namespace as `Alexa.` continues, the rest of the payload."""
    scope = {"type": "BearerToken", "token": TOKEN}
    directive = {"header": {"namespace": f"Alexa{namespace}", "name": name, "messageId": str(uuid.uuid4()), "payloadVersion": "3"},
                 "payload": payload}
    if endpoint is None:
        directive["payload"]["scope"] = scope
    else:
        directive["header"]["correlationToken"] = generate_token()
        directive["endpoint"] = {"scope": scope, "endpointId": endpoint, "cookie": {}}
    answer = requests.post(f"{ISSUER}/alexa/v1/smart-home", json={"directive": directive}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def control(namespace, name, **payload):
    """What is said of the player after a directive: property to value."""
    said = alexa(namespace, name, ENDPOINT, **payload)
    assert said["event"]["header"]["name"] in ("Response", "StateReport"), said
    return {one["name"]: one["value"] for one in said["context"]["properties"]}


def link():
    """An access token, as account linking gives Alexa."""
    app = watch(OAuth2Session("alexa-example", new_client("alexa-example"), redirect_uri=REDIRECT, code_challenge_method="S256",
                              scope="music_assistant.read music_assistant.control"))
    verifier = generate_token(48)
    url, state = app.create_authorization_url(f"{ISSUER}/oauth/authorize", code_verifier=verifier)
    back = PERSON.decide(url)
    return app.fetch_token(f"{ISSUER}/oauth/token", authorization_response=back, state=state, code_verifier=verifier)["access_token"]


def of_hex(name):
    with open(os.path.join(VECTORS, name)) as file:
        return json.load(file)


def derived(ikm):
    """The secret bytes of the X-Wing key pair that HPKE's DeriveKeyPair makes of this."""
    return hashlib.shake_256(ikm + b"HPKE-v1KEM\x64\x7a" + b"\x00\x0dDeriveKeyPair" + b"\x00\x20").digest(32)


@statement("X-Wing and the exporter of HPKE are those of the published vector")
def _():
    case = of_hex("hpke-xwing.json")
    field = lambda name: bytes.fromhex(case[name])
    pair = e2ee.XWing(derived(field("ikmR")))
    assert derived(field("ikmR")) == field("skRm") and pair.public == field("pkRm")
    export = e2ee.hpke_exporter(pair.decapsulate(field("enc")), field("info"))
    for wanted in case["exports"]:
        assert export(bytes.fromhex(wanted["exporter_context"])).hex() == wanted["exported_value"], wanted


@statement("the session of the vectors is opened, and its replies are sealed to the byte")
def _():
    vector = {name[3:]: bytes.fromhex(value) for name, value in of_hex("sealed-session.json").items() if not name.endswith("about")}
    identity = Ed25519PrivateKey.from_private_bytes(vector["identity seed"])
    sealed = e2ee.Sealed(vector["instance id (ASCII)"].decode(), identity, vector["signed key set"], clock=lambda: 5_000_000)
    sealed.rotate(vector["pre-key epoch"], derived(vector["pre-key ikm (DeriveKeyPair)"]))
    assert sealed.signed_pre_key() == vector["signed pre-key"]
    for which, sequence in (("first", 0), ("later", 1)):
        command_id, command = vector[f"{which} command id"], vector[f"{which} sealed command"]
        body, deadline, seal = sealed.open(command_id, command)
        assert deadline > 5_000_000 and words.CommandBody.FromString(body).may_control
        key = e2ee.ChaCha20Poly1305(sealed.sessions[vector["session id"]]["reply"])
        names = vector["instance id (ASCII)"] + command_id + vector["session id"] + sequence.to_bytes(8, "big")
        reply = vector[f"{which} sealed reply"]
        padded = key.decrypt(bytes(4) + sequence.to_bytes(8, "big"), reply[2:], b"macloud/e2ee/1 reply\0" + names + b"\1\3")
        assert seal(e2ee.unpad(padded)) == reply
        try:
            sealed.open(command_id, command)
        except e2ee.Refused as why:
            assert str(why) == "replayed"
        else:
            raise AssertionError("a replayed command was opened")
    spoilt = bytearray(vector["lost sealed command"])
    spoilt[-1] ^= 1
    for changed in (bytes(spoilt), vector["lost sealed command"][:-1]):
        try:
            sealed.open(vector["lost command id"], changed)
        except e2ee.Refused:
            continue
        raise AssertionError("a spoilt command was opened")
    # The home has started anew, as in the vector: its key is another, so its signature alone is compared.
    sealed.rotate()
    body, _, again = sealed.open(vector["lost command id"], vector["lost sealed command"])
    assert body is None and again[:4] == vector["set up again"][:4] and len(again) == len(vector["set up again"])


with tempfile.TemporaryDirectory() as directory:
    STATE = os.path.join(directory, "home.json")

    @statement("it is paired by a link that a person follows, who sees the fingerprint that it prints")
    def _():
        pairing = Program("pair", ISSUER)
        said = pairing.line("open ").split()
        page = PERSON.open(said[1])
        page = PERSON.submit(page, "/sign-in", email=PERSON.email, password="correct horse battery")
        assert said[-1] in page.text, "the page shows another fingerprint"
        done = PERSON.submit(page, "/pair", name="Example home", decision="allow")
        assert done.status_code == 200, done.text
        assert pairing.line("paired ") == "paired as Example home"
        assert pairing.process.wait(10) == 0

    running = Program("run")
    try:

        @statement("Alexa discovers its player")
        def _():
            global TOKEN, ENDPOINT
            running.line("connected")
            TOKEN = link()
            found = alexa(".Discovery", "Discover")["event"]["payload"]["endpoints"]
            assert [one["friendlyName"] for one in found] == ["Example"], found
            [ENDPOINT] = [one["endpointId"] for one in found]

        @statement("play, pause and volume arrive, and the answers say how the player is")
        def _():
            assert control(".PlaybackController", "Play") is not None
            assert running.line("transport") == "transport: PLAYBACK_PLAYING, volume 30"
            assert control(".Speaker", "SetVolume", volume=55)["volume"] == 55
            assert running.line("set_volume") == "set_volume: PLAYBACK_PLAYING, volume 55"
            assert control(".Speaker", "AdjustVolume", volume=-10, volumeDefault=False)["volume"] == 45
            assert control(".PlaybackController", "Pause") is not None
            assert running.line("transport") == "transport: PLAYBACK_PAUSED, volume 45"
            state = control("", "ReportState")
            assert state["volume"] == 45 and state["playbackState"]["state"] == "PAUSED", state

        @statement("what it cannot do, it refuses in words that Alexa understands")
        def _():
            said = alexa(".PlaybackController", "Next", ENDPOINT)["event"]
            assert said["header"]["name"] == "ErrorResponse", said

        @statement("after a restart the skill is asked to set up again, and nobody notices")
        def _():
            global running
            running.stop()
            running = Program("run")
            running.line("connected")
            assert control(".PlaybackController", "Play") is not None
            assert running.line("transport") == "transport: PLAYBACK_PLAYING, volume 30"
    finally:
        running.stop()

verdict()
