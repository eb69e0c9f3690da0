"""The player of the example: what a command does to it, as e2ee/proto/macloud/home/v1/home.proto has it."""

import hashlib

from contracts import words
from sealed import base32


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
