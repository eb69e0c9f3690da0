# Was über verbundene Apps getan wurde.
use-line = { $app }: { $what } in { $home }
use-line-by = { $app }, benutzt von { $who }: { $what } in { $home }
use-a-home = einem Zuhause, das nicht mehr mit dir geteilt ist
use-discovery = Lautsprecher gesucht
use-read = nachgesehen, wie es steht
use-playback = Wiedergabe, Pause oder Springen
use-volume = Lautstärke geändert
use-power = Lautsprecher ein- oder ausgeschaltet
use-mode = Zufall oder Wiederholung geändert
use-play-media = gesucht und abgespielt
use-times = { $count ->
    [one] einmal
   *[other] { $count }-mal
  }
use-done = erledigt
use-refused = durch die Regeln des Zuhauses nicht erlaubt
use-not-possible = ging dort nicht
use-offline = das Zuhause war nicht verbunden
use-timed-out = keine Antwort in der Zeit
use-paused = das Zuhause war pausiert
use-over-limit = zu viele Befehle für den Tarif
use-failed = hat nicht geklappt
use-older = Ältere
use-newest = Zurück zu den neuesten
use-last-command = Letzter Befehl, der geklappt hat
use-none-yet = noch keiner
use-access-renewed = Zugang erneuert
use-link-doctor = Eine App ließ sich nicht verbinden? Was aus jedem Versuch wurde, steht im <a href="/link-doctor">Link-Doktor</a>.
use-see-plan = Wie viel du nutzen kannst und was schon genutzt ist: <a href="/plan">Nutzung</a>.
