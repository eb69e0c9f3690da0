# Signing in.
signin-title = Anmelden
signin-to-link = Melde dich an, um dein Konto zu verbinden.
signin-to-pair = Melde dich an, um dein Zuhause zu verbinden.
signin-email = E-Mail-Adresse
signin-password = Passwort
signin-button = Anmelden
signin-forgot = Passwort vergessen?
signin-new = Neu hier? <a href="{ $link }">Leg dein Konto an</a>
signin-mismatch = Diese E-Mail-Adresse und dieses Passwort passen nicht zusammen. Bitte prüfe beides.
signin-suspended = Dieses Konto ist gesperrt. Bitte wende dich an den Betreiber dieses Dienstes.
signin-to-join = Melde dich an, um auf die Einladung zu antworten.
