# Zeigen, wer man ist: Passwörter, Codes per Mail, Passkeys, andere Anbieter.
identity-password-common = Dieses Passwort wäre schnell erraten. Drei oder vier Wörter, die nichts miteinander zu tun haben, sind ein gutes.

identity-not-now = Jetzt nicht

identity-code-title = Schau in deine Mail
identity-code-sent = Wir haben einen Code an <strong>{ $email }</strong> geschickt. Er gilt fünfzehn Minuten. Lass diese Seite offen und gib den Code hier ein.
identity-code-go-on = Konto anlegen
identity-code-nothing-came = Nichts angekommen? Schau in den Spam-Ordner, oder
identity-code-start-again = fang noch einmal an
identity-email-title = Deine neue E-Mail-Adresse
identity-email-confirm = Diese Adresse nehmen
identity-email-changed = Deine E-Mail-Adresse ist geändert. Die alte haben wir benachrichtigt.
identity-email-heading = Eine andere E-Mail-Adresse
identity-email-explain = Du meldest dich mit <strong>{ $email }</strong> an. Wenn du zu einer anderen Adresse wechselst, schicken wir zuerst einen Code dorthin.
identity-email-label = Neue E-Mail-Adresse
identity-email-send = Code schicken

identity-mail-sign-up = Dein Code, um ein Konto bei { $cloud } anzulegen:
identity-mail-change = Dein Code, um diese Adresse für dein Konto bei { $cloud } zu nehmen:
identity-mail-known-subject = Du hast schon ein Konto bei MA Cloud
identity-mail-known =
    Jemand wollte diese Adresse für ein Konto bei { $cloud } verwenden. Wenn du das warst: Du hast schon ein Konto. Bitte melde dich an, oder setz ein neues Passwort, falls du deins vergessen hast:

        { $cloud }/sign-in
        { $cloud }/forgot

    Wenn du es nicht warst, musst du nichts tun: Es hat sich nichts geändert.
identity-mail-moved-subject = Dein MA-Cloud-Konto hat jetzt eine andere Adresse
identity-mail-moved =
    Dein Konto bei { $cloud } ist gerade auf eine andere E-Mail-Adresse umgezogen, veranlasst von jemandem, der angemeldet war. Diese Adresse gehört nicht mehr dazu. Wenn du das nicht warst, wende dich bitte sofort an den Betreiber dieses Dienstes.

identity-activity-email = Die E-Mail-Adresse wurde geändert
identity-activity-passkey = Der Passkey { $what } wurde hinzugefügt
identity-activity-passkey-removed = Ein Passkey wurde entfernt
identity-activity-linked = { $what } wurde zum Anmelden verbunden
identity-activity-unlinked = { $what } wurde vom Anmelden getrennt

identity-again-title = Zeig, dass du es bist
identity-again-why = Du bist schon angemeldet. Bevor sich etwas Wichtiges ändert, fragen wir noch einmal.
identity-again-go-on = Weiter
identity-again-other = Ein anderes Konto nehmen
identity-again-by-mail = Nichts davon geht? Lass dir einen Code per Mail schicken und setz damit ein Passwort
identity-again-first = Zeig zuerst, dass du es bist
identity-app-code = Oder: der Code, den deine Authenticator-App zeigt
identity-app-code-wrong = Dieser Code stimmt nicht oder wurde schon benutzt. Bitte gib den ein, den deine App jetzt zeigt.
identity-back = Zurück zur Sicherheit
identity-last-way = Das ist dein letzter Weg, dich anzumelden. Setz zuerst ein Passwort, oder füg einen anderen Weg hinzu.
identity-passkey-sign-in = Mit einem Passkey anmelden
identity-passkey-second = Stattdessen einen Passkey nehmen
identity-passkey-wrong = Dieser Passkey passt nicht, oder es hat zu lange gedauert. Bitte versuch es noch einmal, oder melde dich anders an.
identity-passkey-cancelled = Das hat nicht geklappt oder wurde abgebrochen. Bitte versuch es noch einmal, oder nimm einen anderen Weg.
identity-passkeys-title = Passkeys
identity-passkeys-why = Mit einem Passkey meldest du dich mit deinem Finger, deinem Gesicht oder dem Code deines Telefons an. Niemand kann ihn erraten oder dir entlocken.
identity-passkeys-manage = Passkeys verwalten
identity-passkeys-have = Deine Passkeys
identity-passkeys-none = Du hast noch keinen.
identity-passkeys-add = Passkey hinzufügen
identity-passkeys-missing = Dieser Browser kann hier keine Passkeys anlegen, oder Skripte sind abgeschaltet. Auf einem anderen Gerät geht es vielleicht.
identity-passkeys-no-name = Diese MA Cloud hat statt eines Namens nur eine Nummer als Adresse, und Passkeys brauchen einen Namen. Deshalb gibt es hier keine, auf keinem Gerät.
identity-passkey-name = Name
identity-passkey-example = Mein Telefon
identity-passkey-unnamed = Mein Passkey
identity-passkey-make = Passkey hinzufügen
identity-passkey-made = Hinzugefügt { $when }
identity-passkey-used = zuletzt benutzt { $when }
identity-passkey-change = { $name } ändern
identity-passkey-rename = Umbenennen
identity-passkey-remove = Entfernen
identity-passkey-added = Mit { $name } kannst du dich ab jetzt anmelden.
identity-passkey-not-made = Das hat nicht geklappt. Bitte versuch es noch einmal.
identity-passkey-full = Mehr Passkeys können wir nicht behalten. Entfern zuerst einen, den du nicht mehr benutzt.

identity-providers-title = Andere Wege, dich anzumelden
identity-providers-why = Melde dich mit einem Konto an, das du anderswo hast, ohne ein Passwort für hier.
identity-providers-manage = Verwalten
identity-providers-have = Verbunden
identity-providers-none = Noch ist keiner verbunden.
identity-providers-add = Einen weiteren verbinden
identity-provider-sign-in = Weiter mit { $name }
identity-provider-link = { $name } verbinden
identity-provider-unlink = { $name } trennen
identity-provider-since = verbunden { $when }
identity-provider-go = Weiter zu { $name }
identity-provider-go-why = Du meldest dich dort an und kommst hierher zurück.
identity-provider-go-on = Weiter zu { $name }
identity-provider-linked = Mit { $name } kannst du dich ab jetzt anmelden.
identity-provider-linked-already = { $name } ist schon mit deinem Konto verbunden.
identity-provider-somebody-elses = Dieses Konto bei { $name } gehört hier schon zu einem anderen Konto. Trenn es zuerst dort.
identity-provider-away = { $name } antwortet gerade nicht. Bitte versuch es später noch einmal, oder melde dich anders an.
identity-provider-wrong = Was { $name } geantwortet hat, kann nicht stimmen; deshalb haben wir aufgehört. Bitte versuch es noch einmal.
identity-provider-lost = Diese Seite war zu lange offen oder wurde schon benutzt. Bitte fang noch einmal an.
identity-provider-declined = Du hast dich bei { $name } nicht angemeldet. Bitte versuch es noch einmal, oder melde dich anders an.
identity-provider-not-again = { $name } hat dich nicht noch einmal nach der Anmeldung gefragt. Bitte nimm einen anderen Weg.
identity-provider-no-address = { $name } steht nicht für deine E-Mail-Adresse ein. Bitte leg hier ein Konto an, und verbinde { $name } dann unter Sicherheit.
identity-provider-link-first = Zu deiner E-Mail-Adresse gibt es schon ein Konto. Bitte melde dich dort an, und verbinde { $name } dann unter Sicherheit.

identity-mail-notice-subject = Eine Änderung an deinem MA-Cloud-Konto
identity-mail-passkey-added =
    Der Passkey „{ $name }“ wurde gerade zu deinem Konto bei { $cloud } hinzugefügt. Wenn du das nicht warst, entfern ihn unter Sicherheit und ändere dein Passwort.
identity-mail-passkey-removed =
    Ein Passkey wurde gerade von deinem Konto bei { $cloud } entfernt. Wenn du das nicht warst, schau unter Sicherheit nach, wer angemeldet ist, und ändere dein Passwort.
identity-mail-password =
    Das Passwort deines Kontos bei { $cloud } wurde gerade geändert, von jemandem, der angemeldet war. Alle anderen Browser sind abgemeldet. Wenn du das nicht warst, setz sofort ein neues:

        { $cloud }/forgot
identity-mail-step-on =
    Zum Anmelden bei deinem Konto bei { $cloud } braucht es ab jetzt auch einen Code aus einer Authenticator-App. Wenn du das nicht warst, wende dich bitte an den Betreiber dieses Dienstes.
identity-mail-step-off =
    Zum Anmelden bei deinem Konto bei { $cloud } braucht es keinen Code aus einer Authenticator-App mehr. Wenn du das nicht warst, ändere dein Passwort und schau unter Sicherheit nach, wer angemeldet ist.
identity-mail-codes =
    Die Ersatzcodes deines Kontos bei { $cloud } wurden gerade durch neue ersetzt. Wenn du das nicht warst, ändere dein Passwort und lass dir unter Sicherheit neue geben.
identity-mail-linked =
    { $name } wurde gerade mit deinem Konto bei { $cloud } verbunden und kann dich anmelden. Wenn du das nicht warst, trenn es unter Sicherheit und ändere dein Passwort.
identity-mail-unlinked =
    { $name } wurde gerade von deinem Konto bei { $cloud } getrennt. Wenn du das nicht warst, schau unter Sicherheit nach, wer angemeldet ist, und ändere dein Passwort.

identity-activity-home-assistant = { $what } hat erfahren, wer du in seinem Home Assistant bist
identity-activity-home-assistant-removed = Wer du in einem Home Assistant bist, wurde entfernt
identity-home-assistant-title = Home Assistant
identity-home-assistant-ask = Du kommst vom Home Assistant unter <strong>{ $url }</strong>. Soll dein Zuhause <strong>{ $home }</strong> uns sagen, wer du dort bist?
identity-home-assistant-what = Wir erfahren deinen Benutzernamen dort und ob du der Besitzer bist. Zugriff auf dein Home Assistant bekommen wir nicht.
identity-home-assistant-yes = Ja, das bin ich
identity-home-assistant-done = Den Rest erledigt dein Zuhause von selbst. Es dauert ein paar Sekunden.
identity-home-assistant-homes = Zu meinen Zuhausen
identity-home-assistant-lost = Dieser Link ist zu alt, wurde schon benutzt oder gehört zu einem Zuhause eines anderen Kontos. Bitte fang am Connector noch einmal an.
identity-home-assistant-user = Home Assistant: { $name }
identity-home-assistant-owner = Home Assistant: { $name } (Besitzer)
identity-home-assistant-remove = Entfernen
