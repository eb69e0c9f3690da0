"""What a home proves to the account service, and to a relay when it dials in: sections 3 and 1.1 of docs/PROTOCOL.md."""

import hashlib
import sys
import time

import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sealed import b64, fingerprint, jws, public_of


class Account:
    """The cloud, as one home meets it."""

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

    def dial(self, url, token):
        """A connection to the relay (1.1), tried once more with the nonce that it wants."""
        for last in (False, True):
            headers = {"Authorization": f"DPoP {token}", "DPoP": self.proof("GET", "http" + url.removeprefix("ws"), token)}
            try:
                return connect(url, subprotocols=["macloud.link.v1"], additional_headers=headers, compression=None, max_size=64 << 10)
            except InvalidStatus as refused:
                self.nonce = refused.response.headers.get("DPoP-Nonce", self.nonce)
                if last or refused.response.status_code != 401:
                    raise
