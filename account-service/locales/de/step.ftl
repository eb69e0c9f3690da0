# The second step of signing in.
step-title = Zweiter Schritt
step-text = Dein Passwort stimmt. Gib jetzt die sechs Ziffern ein, die deine Authenticator-App zeigt, oder einen deiner Ersatzcodes.
step-code = Code
step-button = Anmelden
step-wrong = Dieser Code stimmt nicht oder wurde schon benutzt. Bitte gib den ein, den deine App gerade zeigt.
