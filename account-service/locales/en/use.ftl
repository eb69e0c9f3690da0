# What was done through linked apps.
use-line = { $app }: { $what } in { $home }
use-line-by = { $app }, used by { $who }: { $what } in { $home }
use-a-home = a home that is shared with you no more
use-discovery = looked for speakers
use-read = looked at how things stand
use-playback = play, pause or skip
use-volume = changed the volume
use-power = turned a speaker on or off
use-mode = changed shuffle or repeat
use-play-media = searched and played
use-times = { $count ->
    [one] once
   *[other] { $count } times
  }
use-done = done
use-refused = not allowed by the rules of the home
use-not-possible = could not be done there
use-offline = the home was not connected
use-timed-out = no answer in time
use-paused = the home was paused
use-over-limit = too many commands for the plan
use-failed = did not work
use-older = Older
use-newest = Back to the newest
use-last-command = Last command that worked
use-none-yet = none yet
use-access-renewed = Access renewed
use-link-doctor = Something did not link? See what became of each try in the <a href="/link-doctor">link doctor</a>.
use-see-plan = How much you can use, and what is used: <a href="/plan">Usage</a>.
