# Passwords, the second step, one's data.
security-title = Sicherheit
security-address = E-Mail-Adresse
security-address-open = Nicht bestätigt
security-address-text = Bestätige, dass diese Adresse dir gehört. Vergisst du vorher dein Passwort, dann beendet ein neues, das du per Mail setzt, auch jede Verbindung, jedes Zuhause und jeden anderen Weg zur Anmeldung dieses Kontos.
security-address-confirm = Bestätigen
security-second-step = Zweiter Schritt
security-on = Ein
security-off = Aus
security-codes-left = Beim Anmelden wird außer deinem Passwort ein Code aus deiner Authenticator-App verlangt. { $count ->
    [one] Dir bleibt ein Ersatzcode
   *[other] Dir bleiben { $count } Ersatzcodes
  } für den Tag, an dem dein Telefon nicht zur Hand ist.
security-new-codes = Neue Ersatzcodes
security-turn-off = Ausschalten
security-turn-off-code = Code aus deiner App oder ein Ersatzcode
security-turn-off-button = Ausschalten
security-turn-on-text = Mit einer Authenticator-App auf deinem Telefon öffnet ein gestohlenes Passwort allein nichts.
security-turn-on = Einschalten
security-password = Passwort
security-new-password = Neues Passwort
security-password-hint = Mindestens 8 Zeichen. Alle anderen Browser werden abgemeldet; verbundene Apps und dein Zuhause funktionieren weiter.
security-change-password = Passwort ändern
security-look = Nachsehen
security-look-text = Sieh nach, <a href="/sessions">wo du angemeldet bist</a> und <a href="/activity">was mit deinem Konto geschehen ist</a>.
security-data = Deine Daten
security-data-text = Nimm eine Kopie von allem mit, was über dich gespeichert ist, oder geh für immer.
security-download = Meine Daten herunterladen
security-delete = Mein Konto löschen …
security-password-short = Bitte nimm mindestens 8 Zeichen.
security-password-long = Bitte nimm höchstens 1024 Zeichen.
security-password-email = Bitte nimm nicht deine E-Mail-Adresse als Passwort.
security-password-done = Dein Passwort ist geändert, und alle anderen Browser sind abgemeldet. Verbundene Apps und dein Zuhause funktionieren weiter.
security-code-wrong = Dieser Code stimmt nicht oder wurde schon benutzt.
security-off-done = Der zweite Schritt ist aus. Zum Anmelden genügt dein Passwort.
security-app = Authenticator-App
security-app-scan = Scanne das mit einer App für Einmalcodes auf deinem Telefon. Jede solche App ist recht.
security-app-qr = QR-Code für deine Authenticator-App
security-app-or-type = Oder tippe diesen Schlüssel in die App:
security-app-key = Schlüssel für deine App
security-app-code = Gib dann die sechs Ziffern ein, die sie zeigt
security-app-not-now = Jetzt nicht
security-app-misfit = Dieser Code passt nicht. Bitte gib den ein, den deine App gerade zeigt, und prüfe, ob die Uhr deines Telefons richtig geht.
security-codes-title = Deine Ersatzcodes
security-codes-text = Schreib sie auf oder drucke sie aus, und bewahre sie nicht beim Telefon auf. Jeder gilt einmal anstelle eines Codes aus deiner App. Sie werden nur jetzt gezeigt.
security-codes-kept = Ich habe sie aufbewahrt
