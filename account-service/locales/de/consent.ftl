# What an app asks for.
consent-title = Zugriff erlauben?
consent-heading = Darf { $app } deine Musik steuern?
consent-heading-other = Darf { $app } zugreifen?
consent-who = Du bist angemeldet als <strong>{ $email }</strong>.
consent-can = { $app } kann dann
consent-cannot = Nicht möglich ist damit
consent-cannot-account = dein Passwort zu sehen oder dein Konto zu ändern
consent-cannot-home = irgendetwas anderes bei dir zu Hause zu erreichen
consent-no-home = Du hast noch kein Zuhause verbunden. Du kannst es jetzt erlauben und danach <a href="/pair">dein Zuhause verbinden</a>.
consent-homes = { $count ->
    [one] Es geht um dein Zuhause <strong>{ $homes }</strong>.
   *[other] Es geht um <strong>{ $homes }</strong>.
  } Unter „Apps“ kannst du es jederzeit rückgängig machen.
consent-allow = Erlauben
consent-deny = Nicht erlauben
consent-scope-read = deine Lautsprecher sehen und was sie spielen
consent-scope-control = Musik auswählen, abspielen, anhalten, weiterschalten und die Lautstärke ändern
consent-scope-email = deine E-Mail-Adresse sehen
consent-unknown-app = Die App, von der du kommst, kennen wir nicht. Es wurde nichts weitergegeben.
consent-used-up = Dieser Link wurde schon benutzt oder ist zu alt. Bitte geh zurück zur App und fang noch einmal an.
consent-unregistered = Die App, von der du kommst, hat eine Adresse für den Rückweg genannt, die sie nicht angemeldet hat. Es wurde nichts weitergegeben.
