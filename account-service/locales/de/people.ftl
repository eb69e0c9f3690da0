# Wer ein Zuhause noch nutzt.
people-heading = Personen
people-hint = Familie und Gäste nutzen ihr eigenes Konto und ihre eigene Alexa. Dein Passwort brauchst du nicht zu teilen.
people-invite = Jemanden einladen
people-guest-left = Gast für noch { $time }
people-member-since = Mitglied seit { $date }
people-remove = Entfernen …
people-open = Eingeladen { $what }, offen für noch { $time }
people-as-member = als Mitglied
people-as-guest = als Gast für { $time }
people-as-owner = das Zuhause zu übernehmen
people-revoke = Zurücknehmen
people-invite-title = Jemanden einladen
people-invite-heading = Jemanden zu { $home } einladen
people-invite-text = Du bekommst einen Link zum Weitergeben. Er gilt einmal und sieben Tage lang. Wer annimmt, sieht deine E-Mail-Adresse und weiß so, von wem die Einladung kommt.
people-name = Wie nennst du die Person?
people-name-hint = Zum Beispiel „Ben“ oder „Oma“. Du siehst diesen Namen, die Person auch. Die Adresse ihres Kontos siehst du nicht.
people-role = Was darf sie?
people-role-member = <strong>Mitglied</strong>: spielt und steuert Musik, bis du es entfernst
people-role-guest-1 = <strong>Gast</strong> für einen Tag
people-role-guest-7 = <strong>Gast</strong> für eine Woche
people-role-guest-30 = <strong>Gast</strong> für 30 Tage
people-role-hint = Mitglieder dürfen das Zuhause auch anhalten. Nur du kannst es umbenennen, Leute einladen, es weggeben oder trennen. Die Zeit eines Gastes beginnt, wenn er annimmt.
people-email = Ihre E-Mail-Adresse (wenn du magst)
people-email-hint = Mit einer Adresse kann nur das Konto mit dieser Adresse annehmen, und wir schicken den Link dorthin, wenn du deine eigene Adresse bestätigt hast.
people-make = Einladung erstellen
people-back = Zurück
people-problem-name = Bitte gib der Person einen Namen, damit du sie in der Liste wiederfindest.
people-problem-email = Das ist keine E-Mail-Adresse. Bitte prüfe sie oder lass das Feld leer.
people-problem-full = Dieses Zuhause hat so viele Mitglieder und Einladungen, wie es haben kann. Bitte entferne zuerst eine.
people-invited-title = Die Einladung ist fertig
people-invited-heading = Die Einladung für { $name } ist fertig
people-invited-text = Gib diesen Link an die Person weiter, die { $home } nutzen soll. Wenn sie noch kein Konto hat, legt sie es unterwegs an.
people-mailed = Wir schicken ihn auch an { $email }.
people-link = Link
people-code = Oder nur der Code, einzugeben auf der Seite „Meine Zuhause“
people-once = Zu deiner Sicherheit zeigen wir ihn nur jetzt. Er gilt einmal, sieben Tage lang, und du kannst ihn jederzeit zurücknehmen.
people-done = Fertig
people-remove-title = Diese Person entfernen?
people-remove-heading = { $name } entfernen?
people-remove-text = Ihre Sprachbefehle erreichen { $home } sofort nicht mehr. Niemand sonst merkt etwas. Du kannst sie wieder einladen.
people-remove-yes = Entfernen
people-leave-title = Dieses Zuhause verlassen?
people-leave-heading = { $home } verlassen?
people-leave-text = Deine Sprachbefehle erreichen dieses Zuhause sofort nicht mehr. Die Person, der es gehört, sieht, dass du gegangen bist. Um zurückzukommen, brauchst du eine neue Einladung.
people-leave-yes = Dieses Zuhause verlassen
people-told-invited = Eine Einladung für { $what } wurde erstellt
people-told-revoked = Die Einladung für { $what } wurde zurückgenommen
people-told-declined = Die Einladung für { $what } wurde abgelehnt
people-told-joined = { $what } hat die Einladung angenommen
people-told-left = { $what } ist gegangen
people-told-removed = { $what } wurde entfernt
people-told-home-joined = Du hast die Einladung zu { $what } angenommen
people-told-home-left = Du hast { $what } verlassen
people-told-home-lost = { $what } wird nicht mehr mit dir geteilt
people-mail-subject = Eine Einladung in ein Zuhause bei MA Cloud
people-mail-text =
    { $owner } lädt dich ein, die Musik eines Zuhauses mit deinem eigenen Sprachassistenten zu nutzen. Was du dort darfst, steht auf dieser Seite, und dort entscheidest du:

    { $link }

    Der Link gilt einmal, sieben Tage lang. Wenn du { $owner } nicht kennst, brauchst du nichts zu tun.
people-delete-account = Du teilst deine Zuhause mit { $count ->
    [one] einer Person, die sie im selben Moment verliert
   *[other] { $count } Personen, die sie im selben Moment verlieren
  }. Damit das nicht geschieht, gib jedes Zuhause vorher an ein anderes Konto.
