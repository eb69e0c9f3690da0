# Die Seite eines Zuhauses.
home-linked = Verbunden
home-paused = Angehalten
home-on-hold = Gesperrt
home-on-hold-text = Das Konto, dem dieses Zuhause gehört, ist gesperrt. Deshalb ist das Zuhause im Moment für niemanden erreichbar. Nur die Person, der es gehört, kann das klären.
home-about = Über dieses Zuhause
home-owner = Gehört
home-owner-you = Dir
home-you-are = Du bist
home-member = Mitglied
home-guest-left = Gast für noch { $time }
home-fingerprint = Fingerabdruck
home-since = Verbunden seit
home-seen = Zuletzt angemeldet
home-not-yet = noch nicht
home-paused-text = Angehalten: Kein Sprachbefehl erreicht dieses Zuhause, bis du es wieder freigibst.
home-paused-guest = Angehalten: Kein Sprachbefehl erreicht dieses Zuhause, bis ein Mitglied oder die Person, der es gehört, es wieder freigibt.
home-same-name = Ein anderes deiner Zuhause heißt genauso, und ein Sprachassistent kann sie nicht unterscheiden. Bitte benenne dieses um.
home-same-name-shared = Ein anderes deiner Zuhause heißt genauso, und ein Sprachassistent kann sie nicht unterscheiden. Benenne deins um oder bitte die Person, der dieses gehört, es umzubenennen.
home-pause = Anhalten
home-resume = Wieder freigeben
home-leave = Dieses Zuhause verlassen …
home-rename = Umbenennen
home-new-name = Neuer Name
home-save = Speichern
home-change = Umziehen und beenden
home-hardware-text = Neuer Rechner für deinen Connector? Starte dort <code>{ $command }</code> und wähle auf der Seite, die sich öffnet, dass er dieses Zuhause ersetzt. Alexa musst du nicht neu verbinden.
home-move = An ein anderes Konto geben …
home-unlink = Trennen …
home-all = Alle Zuhause
home-unlink-title = Dieses Zuhause trennen?
home-unlink-heading = { $home } trennen?
home-unlink-text = Sprachbefehle erreichen dieses Zuhause dann sofort nicht mehr. Deine Musik und Music Assistant bleiben, wie sie sind. Um zurückzukommen, verbinde das Zuhause noch einmal.
home-unlink-text-shared = Sprachbefehle erreichen dieses Zuhause dann sofort nicht mehr, { $count ->
    [one] weder deine noch die der einen Person
   *[other] weder deine noch die der { $count } Personen
  } aus dem Kreis, mit dem du es teilst. Deine Musik und Music Assistant bleiben, wie sie sind. Um zurückzukommen, verbinde das Zuhause und lade alle noch einmal ein.
home-unlink-yes = Dieses Zuhause trennen
