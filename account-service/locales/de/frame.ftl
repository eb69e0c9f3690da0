# Around every page.
frame-skip = Zum Inhalt springen
frame-account = Dein Konto
frame-homes = Zuhause
frame-apps = Apps
frame-activity = Verlauf
frame-plan = Nutzung
frame-security = Sicherheit
frame-sign-out = Abmelden
frame-promise = MA Cloud trägt Befehle von deinem Sprachassistenten zu dir nach Hause, unterwegs versiegelt. Es behält keine Kopie deiner Musik, deiner Lautsprecher oder dessen, was du hörst.
frame-privacy = Datenschutz
frame-terms = Bedingungen
