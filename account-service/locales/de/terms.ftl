# The terms page.
terms-title = Nutzungsbedingungen
terms-intro = Was du von diesem Dienst erwarten kannst und er von dir.
terms-what = Was er ist
terms-what-text = MA Cloud trägt Befehle von einem Sprachassistenten zum Music Assistant bei dir zu Hause und die Antworten zurück. Musik spielt sie selbst keine, und was du spielst, braucht seine eigene Lizenz oder sein eigenes Abo. Sie wird von Amazon weder hergestellt noch empfohlen.
terms-expect = Was du erwarten kannst
terms-expect-text = Sorgfalt, aber kein Versprechen: Der Dienst kommt so, wie er ist, und kann ausfallen oder enden. Was du nutzen kannst und was es kostet, falls es etwas kostet, steht unter <a href="/plan">Nutzung</a>, bevor du bezahlst. Deine Musik zu Hause funktioniert auch ohne ihn. Benutze ihn für nichts, bei dem jemand zu Schaden kommen könnte, wenn ein Befehl spät oder gar nicht ankommt.
terms-you = Was von dir erwartet wird
terms-you-text = Verbinde nur ein Zuhause, das dir gehört oder dessen Bewohner einverstanden sind. Behalte dein Passwort für dich. Versuche nicht, an Konten oder das Zuhause anderer zu kommen, und überlaste den Dienst nicht. Wer das tut, kann gesperrt werden.
terms-end = Wie es endet
terms-end-text = Du kannst jederzeit und ohne Angabe von Gründen trennen oder <a href="/security">dein Konto löschen</a>. Beendet der Betreiber den Dienst oder dein Konto, ohne dass du Anlass dazu gegeben hast, sagt er es dir vorher, wenn er kann.
terms-data = Deine Daten
terms-data-text = Was über dich gespeichert ist und wie lange, steht auf der Seite zum <a href="/privacy">Datenschutz</a>.
terms-software = Die Software
terms-software-text = MA Cloud ist freie Software unter der Apache-Lizenz 2.0. Jeder darf sie betreiben; diese Bedingungen gelten zwischen dir und dem Betreiber dieser hier.
