# What happened to one's account.
activity-title = Was geschehen ist
activity-intro = Das Neueste zuerst, ein halbes Jahr lang. Warst du etwas davon nicht selbst, dann <a href="/security">ändere dein Passwort</a> und sieh nach, <a href="/sessions">wo du angemeldet bist</a>.
activity-empty = Noch nichts.
activity-signed-up = Du hast dieses Konto angelegt
activity-signed-in = Anmeldung mit { $what }
activity-password-changed = Das Passwort wurde geändert
activity-second-step-on = Der zweite Schritt wurde eingeschaltet
activity-second-step-off = Der zweite Schritt wurde ausgeschaltet
activity-recovery-codes-renewed = Neue Ersatzcodes wurden erstellt
activity-app-linked = { $what } wurde verbunden
activity-app-unlinked = { $what } wurde getrennt
activity-home-allowed = { $what } durfte sich verbinden
activity-home-refused = { $what } durfte sich nicht verbinden
activity-home-linked = { $what } hat sich verbunden
activity-home-paused = { $what } wurde pausiert
activity-home-resumed = { $what } wurde fortgesetzt
activity-home-renamed = Ein Zuhause heißt jetzt { $what }
activity-home-unlinked = { $what } wurde getrennt
activity-data-exported = Eine Kopie deiner Daten wurde erstellt
activity-plan-nearly-used = Die meisten der { $what } Befehle, die dein Tarif am Tag erlaubt, waren genutzt
activity-plan-used-up = Alle { $what } Befehle, die dein Tarif am Tag erlaubt, waren genutzt
activity-plan-changed = Dein Tarif heißt jetzt { $what }
activity-second-step-reset = Der Betreiber dieses Dienstes hat den zweiten Schritt ausgeschaltet
activity-sessions-ended = Der Betreiber dieses Dienstes hat dich überall abgemeldet
activity-suspended = Der Betreiber dieses Dienstes hat dein Konto gesperrt
activity-unsuspended = Der Betreiber dieses Dienstes hat die Sperre deines Kontos aufgehoben
