# The list of homes.
homes-title = Mein Zuhause
homes-connect = Zuhause verbinden
homes-empty-title = Noch kein Zuhause
homes-empty = Zwei Schritte, und deine Musik hört auf dich: Starte auf dem Rechner, auf dem Music Assistant läuft, <code>{ $command }</code>. Gib dann den Code ein, der dort erscheint.
homes-empty-button = Code eingeben
homes-waiting = Wartet auf deinen Connector
homes-waiting-note = Du hast dieses Zuhause erlaubt. Sein Connector holt sich den Schlüssel in wenigen Sekunden; lade die Seite dann neu. Ändert sich nichts, sieh nach, ob <code>ma-connector pair</code> noch läuft, oder starte es noch einmal.
homes-name-missing = Bitte gib deinem Zuhause einen Namen.
homes-yours = Deins
homes-shared-by = Geteilt von { $owner }
homes-same-name = Ein anderes deiner Zuhause heißt genauso
homes-open = Öffnen
homes-have-code = Jemand hat dich in sein Zuhause eingeladen? <a href="/join">Gib den Code der Einladung ein</a>.
