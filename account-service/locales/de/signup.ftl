# Signing up.
signup-title = Leg dein Konto an
signup-minute = Es dauert eine Minute.
signup-then-link = Es dauert eine Minute, danach geht es weiter mit dem Verbinden deines Kontos.
signup-then-pair = Es dauert eine Minute, danach geht es weiter mit dem Verbinden deines Zuhauses.
signup-email = E-Mail-Adresse
signup-password = Passwort
signup-password-hint = Mindestens 8 Zeichen. Ein paar Wörter hintereinander sind leicht zu merken und schwer zu erraten.
signup-button = Konto anlegen
signup-known = Du hast ein Konto? <a href="{ $link }">Melde dich an</a>
signup-email-wrong = Bitte gib eine E-Mail-Adresse ein, etwa du@example.org.
signup-email-taken = Zu dieser E-Mail-Adresse gibt es schon ein Konto. Möchtest du dich stattdessen anmelden?
signup-closed-title = Neue Konten gibt es beim Betreiber
signup-closed = In dieser MA Cloud kann man sich nicht selbst ein Konto anlegen. Weißt du, wer sie betreibt, bitte dort um eines. Hast du schon eines, melde dich an.
signup-then-join = Es dauert eine Minute, und dann geht es weiter zu deiner Einladung.
