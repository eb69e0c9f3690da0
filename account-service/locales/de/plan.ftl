# Was ein Konto nutzen darf, und was es genutzt hat.
plan-title = Dein Tarif
plan-title-none = Nutzung
plan-today = Heute
plan-left = Noch { $left } von { $most } Befehlen
plan-used = { $count ->
    [one] { $count } Befehl heute genutzt.
   *[other] { $count } Befehle heute genutzt.
  }
plan-resets = Der Tag beginnt neu in { $time }.
plan-over = Die Befehle für heute sind aufgebraucht. Alexa sagt dir das, bis der Tag neu beginnt. Deine Musik spielt weiter, und zu Hause geht alles wie immer.
plan-no-day-limit = Es gibt keine Grenze pro Tag.
plan-allows = Was dein Tarif erlaubt
plan-allows-none = Was du nutzen kannst
plan-homes-label = Zuhause
plan-homes = { $count }, so viele du willst
plan-homes-of = { $count } von { $most }
plan-members-label = Menschen, mit denen du jedes Zuhause teilst
plan-members = bis zu { $most }
plan-minute-label = Befehle pro Minute für jedes Zuhause
plan-change = Tarif ändern
plan-change-hint = Das führt zu unserem Zahlungsdienst. Deine Karte sehen wir nie. Bevor du hier dein Konto löschst, kündige bitte zuerst dort.
plan-free-title = Was nie zählt
plan-free-looking = Nachsehen, was läuft, wie laut es ist oder welche Lautsprecher da sind. Alexa tut das oft und von selbst.
plan-free-discovery = Nach Geräten suchen.
plan-free-unreached = Befehle, die dein Zuhause nicht erreicht haben: weil es nicht verbunden oder pausiert war oder der Tag aufgebraucht.
plan-local = Was dein Zuhause erreicht hat, zählt, auch wenn es dort nicht ging.
plan-mail-subject = Deine Befehle für heute sind fast aufgebraucht
plan-mail-text =
    Hallo,

    { $used } der { $most } Befehle, die dein MA-Cloud-Tarif heute erlaubt, sind genutzt. Wenn alle aufgebraucht sind, sagt dir Alexa das, bis der Tag neu beginnt.

    Sieh nach, was übrig ist: { $address }
plan-too-many-homes = Dein Tarif erlaubt { $most ->
    [one] ein Zuhause
   *[other] { $most } Zuhause
  }, und so viele hast du schon. Bitte trenne zuerst eines, oder ändere deinen Tarif.
