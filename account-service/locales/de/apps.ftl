# Linked apps.
apps-title = Verbundene Apps
apps-empty-title = Keine App verbunden
apps-empty = Aktiviere in der Alexa-App den Music-Assistant-Skill dieser MA Cloud und melde dich dort mit diesem Konto an. Dann erscheint er hier.
apps-none = Noch gibt es nichts zu verbinden: Für diese MA Cloud ist noch kein Skill eingerichtet. Das macht, wer sie betreibt.
apps-linked = Verbunden
apps-used = Zuletzt benutzt
apps-never = noch nie
apps-unlink = Trennen …<span class="hidden"> { $app }</span>
apps-unlink-title = Diese App trennen?
apps-unlink-heading = { $app } trennen?
apps-unlink-text = { $app } kann deine Musik dann sofort nicht mehr sehen oder steuern. Du kannst die App jederzeit wieder verbinden.
apps-unlink-yes = App trennen
