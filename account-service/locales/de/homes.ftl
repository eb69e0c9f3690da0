# The list of homes.
homes-title = Mein Zuhause
homes-connect = Zuhause verbinden
homes-empty-title = Noch kein Zuhause
homes-empty = Zwei Schritte, und deine Musik hört auf dich: Starte <code>ma-connector pair</code> neben Music Assistant und gib dann den Code ein, der dort erscheint.
homes-empty-button = Code eingeben
homes-waiting = Wartet auf deinen Connector
homes-waiting-note = Du hast dieses Zuhause erlaubt. Sein Connector holt sich den Schlüssel in wenigen Sekunden; lade die Seite dann neu. Ändert sich nichts, sieh nach, ob <code>ma-connector pair</code> noch läuft, oder starte es noch einmal.
homes-paused = Pausiert
homes-linked = Verbunden
homes-fingerprint = Fingerabdruck
homes-paired = Verbunden seit
homes-seen = Zuletzt angemeldet
homes-never = noch nie
homes-paused-note = Pausiert: Bis du es fortsetzt, erreicht kein Sprachbefehl dieses Zuhause.
homes-pause = Pausieren<span class="hidden">: { $name }</span>
homes-resume = Fortsetzen<span class="hidden">: { $name }</span>
homes-unlink = Trennen …<span class="hidden"> { $name }</span>
homes-rename = Umbenennen<span class="hidden">: { $name }</span>
homes-new-name = Neuer Name
homes-save = Speichern
homes-unlink-title = Dieses Zuhause trennen?
homes-unlink-heading = { $name } trennen?
homes-unlink-text = Sprachbefehle erreichen dieses Zuhause dann sofort nicht mehr. Deine Musik und Music Assistant bleiben, wie sie sind. Du kannst es jederzeit wieder verbinden.
homes-unlink-yes = Zuhause trennen
homes-name-missing = Bitte gib deinem Zuhause einen Namen.
