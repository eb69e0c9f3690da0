"""What a home signs, opens and seals: sections 2 and 3.1 of docs/PROTOCOL.md. Nothing here opens a socket."""

import base64
import hashlib
import hmac
import json
import os
import time

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

BUCKETS = (256, 1024, 4096, 16384, 61376)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def base32(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))


def fingerprint(public):
    letters = base32(hashlib.sha256(b"macloud/fingerprint/1\0" + public).digest()[:10])
    return "-".join(letters[i : i + 4] for i in range(0, 16, 4))


def jws(key, typ, claims, **header):
    parts = [{"alg": "EdDSA", "typ": typ, **header}, {"jti": b64(os.urandom(16)), **claims}]
    text = ".".join(b64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{b64(key.sign(text.encode()))}"


def public_of(key):
    return key.public_key().public_bytes_raw()


class XWing:
    """A key pair of X-Wing (2.1) from its 32 secret bytes."""

    def __init__(self, seed):
        secret = hashlib.shake_256(seed).digest(96)
        self.ml_kem = MLKEM768PrivateKey.from_seed_bytes(secret[:64])
        self.x25519 = X25519PrivateKey.from_private_bytes(secret[64:])
        self.public = self.ml_kem.public_key().public_bytes_raw() + public_of(self.x25519)

    def decapsulate(self, enc):
        shared = self.ml_kem.decapsulate(enc[:1088]) + self.x25519.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
        return hashlib.sha3_256(shared + enc[1088:] + public_of(self.x25519) + b"\\.//^\\").digest()


def hpke_exporter(shared, info, suite=b"HPKE\x64\x7a\x00\x01\x00\x03"):
    """RFC 9180, section 5.1, base mode: what exports 32 bytes for a label."""
    extract = lambda salt, label, data: hmac.digest(salt, b"HPKE-v1" + suite + label + data, "sha256")
    expand = lambda key, label, data: hmac.digest(key, b"\0\x20HPKE-v1" + suite + label + data + b"\1", "sha256")
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    exporter = expand(extract(shared, b"secret", b""), b"exp", context)
    return lambda label: expand(exporter, b"sec", label)


def verify(public, signature, message):
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def parse_key_set(signed):
    """Root, version, and the keys: id to (public key, last second)."""
    body, signature = signed[:-64], signed[-64:]
    root, entries = body[2:34], body[43:]
    if body[:2] != b"\1\6" or not 1 <= body[42] <= 16 or len(entries) != 48 * body[42]:
        raise ValueError("not a key set")
    verify(root, signature, b"macloud/e2ee/1 key set\0" + body)
    keys = [entries[i : i + 48] for i in range(0, len(entries), 48)]
    return root, int.from_bytes(body[34:42]), {key[:8]: (key[8:40], int.from_bytes(key[40:])) for key in keys}


def pad(body):
    bucket = next(size for size in BUCKETS if len(body) + 2 <= size)
    return (len(body).to_bytes(2) + body).ljust(bucket, b"\0")


def unpad(padded):
    length = int.from_bytes(padded[:2])
    if length + 2 > len(padded) or any(padded[length + 2 :]):
        raise ValueError("bad padding")
    return padded[2 : length + 2]


class Refused(Exception):
    """Nothing is sent back."""


class KeyUnknown(Exception):
    """A newer key set may help."""


class Sealed:
    """The home's end of all its sessions."""

    def __init__(self, instance, identity, key_set, clock=lambda: time.monotonic_ns() // 1_000_000):
        self.instance, self.identity, self.clock = instance.encode(), identity, clock
        self.root, self.version, self.keys = parse_key_set(key_set)
        self.key_set = key_set
        self.rotate()

    def rotate(self, epoch=None, seed=None):
        self.epoch, self.pre_key = epoch or os.urandom(8), XWing(seed or os.urandom(32))
        self.made, self.sessions = self.clock(), {}

    def take_key_set(self, signed):
        root, version, keys = parse_key_set(signed)
        if root != self.root or version < self.version or (version == self.version and signed != self.key_set):
            raise ValueError("a key set that this home must not take")
        self.key_set, self.version, self.keys = signed, version, keys

    def signed_pre_key(self):
        body = b"\1\5" + self.epoch + self.clock().to_bytes(8) + self.pre_key.public
        return body + self.identity.sign(b"macloud/e2ee/1 pre-key\0" + self.instance + body)

    def open(self, command_id, sealed):
        """(body, deadline, function that seals the reply), or what to answer in its place: the checks of 2.8, in their order."""
        if self.clock() - self.made >= 24 * 3600 * 1000:
            self.rotate()
        clear = {b"\1\1": 34, b"\1\2": 1242}.get(sealed[:2], len(sealed))
        if len(sealed) > 60 << 10 or len(sealed) - clear - 16 not in BUCKETS:
            raise Refused("malformed")
        session, number, deadline = sealed[2:18], sealed[18:26], int.from_bytes(sealed[26:34])
        names, sequence = self.instance + command_id + session + number, int.from_bytes(number)
        if sequence >= 1 << 20:
            return None, None, self.set_up_again(names)
        if found := self.sessions.get(session):
            if self.key_in_force(found["key id"]) != found["key"]:
                raise KeyUnknown
        elif clear == 34 or sealed[42:50] != self.epoch:
            return None, None, self.set_up_again(names)
        else:
            found = self.accept(session, sealed)
            if len(self.sessions) >= 512:
                self.rotate()
                return None, None, self.set_up_again(names)
        if sequence in found["seen"] or sequence <= max(found["seen"], default=0) - 1024:
            raise Refused("replayed")
        nonce, aad = bytes(4) + number, b"macloud/e2ee/1 command\0" + self.instance + command_id + sealed[:clear]
        try:
            padded = ChaCha20Poly1305(found["command"]).decrypt(nonce, sealed[clear:], aad)
        except InvalidTag:
            raise Refused("not authentic") from None
        self.sessions[session] = found
        found["seen"] = {one for one in found["seen"] if one > sequence - 1024} | {sequence}

        def seal(body):
            aad = b"macloud/e2ee/1 reply\0" + names + b"\1\3"
            return b"\1\3" + ChaCha20Poly1305(found["reply"]).encrypt(nonce, pad(body), aad)

        return unpad(padded), deadline, seal

    def key_in_force(self, key_id):
        public, end = self.keys.get(key_id, (None, 0))
        return public if end == 0 or time.time() <= end else None

    def accept(self, session, sealed):
        key_id, epoch, clock, enc, signature = sealed[34:42], sealed[42:50], sealed[50:58], sealed[58:1178], sealed[1178:1242]
        skill = self.key_in_force(key_id)
        if skill is None:
            raise KeyUnknown
        terms = self.instance + public_of(self.identity) + skill + key_id + epoch + session + clock
        try:
            verify(skill, signature, b"macloud/e2ee/1 setup signature\0" + terms + enc)
        except InvalidSignature:
            raise Refused("the setup's signature") from None
        if not self.made <= int.from_bytes(clock) <= self.clock():
            raise Refused("the setup's clock")
        export = hpke_exporter(self.pre_key.decapsulate(enc), b"macloud/e2ee/1 setup\0" + terms)
        command, reply = export(b"macloud/e2ee/1 command key"), export(b"macloud/e2ee/1 reply key")
        return {"key id": key_id, "key": skill, "command": command, "reply": reply, "seen": set()}

    def set_up_again(self, names):
        pre_key = self.signed_pre_key()
        return b"\1\4" + pre_key + self.identity.sign(b"macloud/e2ee/1 set up again\0" + names + pre_key)

    def key_unknown(self, command_id, sealed):
        return b"\1\x08" + self.identity.sign(b"macloud/e2ee/1 key unknown\0" + self.instance + command_id + sealed[2:26])
