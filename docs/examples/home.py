#!/usr/bin/env python3
"""A home of MA Cloud in Python, written from docs/PROTOCOL.md alone: it pairs, dials in, opens what is sealed for it, and obeys.

  pip install -r requirements.txt
  ./home.py pair http://localhost:8080      # prints a link: open it, compare the fingerprint, allow
  ./home.py run                             # then: "Alexa, discover devices", "Alexa, pause the example"

Here is the link (section 1). account.py asks the account service and dials in (3, 1.1), sealed.py signs and seals (2), and player.py is
a player that only says what it does. What a home should do and this one does not: send events (2.11), and follow the cloud's clock where
its own is wrong (3.3). Python 3.11 or newer.
"""

import json
import os
import pathlib
import random
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed, InvalidStatus

from account import Account
from contracts import link, words
from player import Player
from sealed import KeyUnknown, Refused, Sealed, b64, unb64

STATE = pathlib.Path(os.environ.get("HOME_STATE", "home.json"))


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

    def session(self):
        answer = self.renew()
        with self.account.dial(answer["relay_url"], answer["access_token"]) as socket:
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
