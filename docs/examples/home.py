#!/usr/bin/env python3
"""A home of MA Cloud in Python, written from docs/PROTOCOL.md alone: it pairs, dials in, opens what is sealed for it, and obeys.

  pip install -r requirements.txt
  ./home.py pair http://localhost:8080      # prints a link: open it, compare the fingerprint, allow
  ./home.py run                             # then: "Alexa, discover devices", "Alexa, pause the example"

The player is a variable in memory, and prints what it does. What is signed and sealed is in sealed.py; section numbers are those of
docs/PROTOCOL.md. What a home should do and this one does not: send events (2.11), and follow the cloud's clock where its own is wrong
(3.3). Python 3.11 or newer.
"""

import hashlib
import json
import os
import pathlib
import random
import sys
import time

import grpc
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from sealed import KeyUnknown, Refused, Sealed, b64, base32, fingerprint, jws, public_of, unb64

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "proto/proto"), str(ROOT / "e2ee/proto")]
link, words = grpc.protos("macloud/link/v1/link.proto"), grpc.protos("macloud/home/v1/home.proto")
STATE = pathlib.Path(os.environ.get("HOME_STATE", "home.json"))


# --- the account service (3) ---------------------------------------------------------------------------------------


class Account:
    """What a home asks of the account service."""

    def __init__(self, url, key):
        self.key, self.nonce = key, None
        self.at = requests.get(f"{url}/.well-known/openid-configuration", timeout=10).json()

    def proof(self, method, url, token=None):
        claims = {"htm": method, "htu": url, "iat": int(time.time()), **({"nonce": self.nonce} if self.nonce else {})}
        if token:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        return jws(self.key, "dpop+jwt", claims, jwk={"kty": "OKP", "crv": "Ed25519", "x": b64(public_of(self.key))})

    def ask(self, form):
        """A request to the token endpoint, once more if it wants a nonce."""
        url = self.at["token_endpoint"]
        for _ in range(2):
            answer = requests.post(url, data=form, headers={"DPoP": self.proof("POST", url)}, timeout=10)
            self.nonce = answer.headers.get("DPoP-Nonce", self.nonce)
            if answer.json().get("error") != "use_dpop_nonce":
                break
        return answer.json()

    def pair(self):
        public = b64(public_of(self.key))
        proof = jws(self.key, "macloud-pair+jwt", {"aud": self.at["issuer"], "key": public})
        form = {"client_id": "ma-connector", "scope": "pair", "instance_name": "Example", "instance_key": public,
                "instance_proof": proof}
        begun = requests.post(self.at["device_authorization_endpoint"], data=form, timeout=10).json()
        if begun["fingerprint"] != fingerprint(public_of(self.key)):
            sys.exit("somebody is between this home and the cloud")
        print(f"open {begun['verification_uri_complete']} and allow {fingerprint(public_of(self.key))}", flush=True)
        poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "ma-connector"}
        wait = begun["interval"]
        while True:
            time.sleep(wait)
            answer = self.ask({**poll, "device_code": begun["device_code"]})
            if answer.get("error") == "slow_down":
                wait += 5
            elif answer.get("error") != "authorization_pending":
                return answer

    def token(self, instance):
        now = int(time.time())
        claims = {"iss": instance, "sub": instance, "aud": self.at["issuer"], "iat": now, "exp": now + 120}
        return self.ask({
            "grant_type": "client_credentials", "scope": "relay",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jws(self.key, "client-authentication+jwt", claims),
        })


# --- the player ----------------------------------------------------------------------------------------------------


class Player:
    """One that only says what it does."""

    def __init__(self, instance):
        key = base32(hashlib.sha256(f"example {instance}".encode()).digest()[:15])
        self.is_now = words.Player(key=key, name="Example", kind="PLAYER_KIND_SPEAKER", can_volume=True, available=True, powered=True,
                                   volume=30, playback="PLAYBACK_STOPPED")

    def obey(self, body, in_time):
        """The reply to a command, as home.proto has it."""
        refuse = lambda reason: words.ReplyBody(refused=words.Refused(reason=reason))
        action = body.on_player.WhichOneof("action")
        target = body.on_player.WhichOneof("target")
        if body.WhichOneof("command") is None or (body.HasField("on_player") and not (action and target)):
            return refuse("UNKNOWN_COMMAND")
        if not in_time:
            return refuse("LATE")
        if not (body.may_read if action in (None, "read") else body.may_control):
            return refuse("NOT_GRANTED")
        if body.HasField("list_players"):
            return words.ReplyBody(players=words.Players(players=[self.is_now]))
        wanted = {"key": self.is_now.key, "named": self.is_now.name.lower(), "unnamed": words.Unnamed()}[target]
        if (body.on_player.named.lower() if target == "named" else getattr(body.on_player, target)) != wanted:
            return refuse("UNKNOWN_PLAYER")
        value = getattr(body.on_player, action)
        playback = {1: "PLAYBACK_PLAYING", 2: "PLAYBACK_PAUSED", 3: "PLAYBACK_STOPPED"}
        if action == "set_volume" and value <= 100:
            self.is_now.volume = value
        elif action == "adjust_volume" and abs(value) <= 100:
            self.is_now.volume = min(100, max(0, self.is_now.volume + value))
        elif action == "transport" and value in playback:
            self.is_now.playback = words.Playback.Value(playback[value])
        elif action != "read":
            return refuse("NOT_SUPPORTED")
        print(f"{action}: {words.Playback.Name(self.is_now.playback)}, volume {self.is_now.volume}", flush=True)
        return words.ReplyBody(done=words.Done(player=self.is_now))


# --- the link (1) --------------------------------------------------------------------------------------------------


class Home:
    """A home that is paired."""

    def __init__(self, state):
        self.state, key = state, Ed25519PrivateKey.from_private_bytes(unb64(state["seed"]))
        self.account = Account(state["cloud"], key)
        self.sealed, self.player = Sealed(state["instance_id"], key, unb64(state["skill_key_set"])), Player(state["instance_id"])
        self.answered = {}  # command id: (when, sealed reply)

    def renew(self):
        """A fresh token, and the key set that comes with it."""
        answer = self.account.token(self.state["instance_id"])
        if "access_token" not in answer:
            sys.exit(f"the cloud refuses this home: {answer.get('error')}")
        self.sealed.take_key_set(unb64(answer["skill_key_set"]))
        save({**self.state, "skill_key_set": answer["skill_key_set"]})
        return answer

    def dial(self):
        answer = self.renew()
        url, token = answer["relay_url"], answer["access_token"]
        for last in (False, True):
            proof = self.account.proof("GET", "http" + url.removeprefix("ws"), token)
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
            try:
                return connect(url, subprotocols=["macloud.link.v1"], additional_headers=headers, compression=None, max_size=64 << 10)
            except InvalidStatus as refused:
                self.account.nonce = refused.response.headers.get("DPoP-Nonce", self.account.nonce)
                if last or refused.response.status_code != 401:
                    raise

    def session(self):
        with self.dial() as socket:
            send = lambda **frame: socket.send(link.Frame(**frame).SerializeToString())
            install_id = unb64(self.state["install_id"])
            send(hello=link.Hello(version_min=1, version_max=1, install_id=install_id, software="example/1", credit=8))
            for message in socket:
                frame = link.Frame.FromString(message)
                match frame.WhichOneof("body"):
                    case "welcome":
                        print("connected", flush=True)
                    case "pre_key_request":
                        request_id = frame.pre_key_request.request_id
                        send(pre_key_answer={"request_id": request_id, "signed_pre_key": self.sealed.signed_pre_key()})
                    case "command":
                        command_id = frame.command.command_id
                        send(received={"command_id": command_id})
                        reply = self.reply(command_id, frame.command.sealed)
                        if reply is not None:
                            send(reply={"command_id": command_id, "sealed": reply})
                        send(credit={"commands": 1})
                    case "drain" | "goodbye" as why:
                        print(f"{why}: dialling anew", flush=True)
                        return

    def reply(self, command_id, sealed):
        self.answered = {one: kept for one, kept in self.answered.items() if time.monotonic() - kept[0] < 60}
        if command_id in self.answered:
            return self.answered[command_id][1]
        try:
            try:
                body, deadline, seal = self.sealed.open(command_id, sealed)
            except KeyUnknown:
                self.renew()
                body, deadline, seal = self.sealed.open(command_id, sealed)
        except KeyUnknown:
            return self.sealed.key_unknown(command_id, sealed)
        except Refused as why:
            print(f"refused: {why}", flush=True)
            return None
        if body is None:
            return seal
        said = self.player.obey(words.CommandBody.FromString(body), in_time=self.sealed.clock() < deadline)
        said.home_clock_ms = self.sealed.clock()
        self.answered[command_id] = time.monotonic(), seal(said.SerializeToString())
        return self.answered[command_id][1]


def save(state):
    with open(os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file)


def main():
    if sys.argv[1:2] == ["pair"] and len(sys.argv) == 3:
        key = Ed25519PrivateKey.generate()
        answer = Account(sys.argv[2], key).pair()
        if "instance_id" not in answer:
            sys.exit(f"not paired: {answer.get('error')}")
        kept = {name: answer[name] for name in ("instance_id", "skill_key_set")}
        save({"cloud": sys.argv[2], "seed": b64(key.private_bytes_raw()), "install_id": b64(os.urandom(16)), **kept})
        print(f"paired as {answer['home_name']}", flush=True)
    elif sys.argv[1:] == ["run"]:
        home, ceiling = Home(json.loads(STATE.read_text())), 1
        while True:
            begun = time.monotonic()
            try:
                home.session()
            except (OSError, ConnectionClosed, InvalidStatus) as error:
                print(f"the link is down: {type(error).__name__}", flush=True)
            ceiling = 1 if time.monotonic() - begun > 30 else min(60, ceiling * 2)
            time.sleep(random.uniform(0, ceiling))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
