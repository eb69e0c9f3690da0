# Where one is signed in, and signing out.
sessions-title = Wo du angemeldet bist
sessions-intro = Browser, die hier dein Konto öffnen können. Verbundene Apps haben <a href="/apps">ihre eigene Seite</a>.
sessions-this = Dieses Gerät
sessions-times = Angemeldet am { $since }, zuletzt da: { $seen }
sessions-end = Abmelden<span class="hidden">: { $device }</span>
sessions-end-others = Überall sonst abmelden
sessions-end-here = Hier abmelden
sessions-ask-title = Abmelden?
sessions-ask-text = Verbundene Apps und dein Zuhause funktionieren weiter. Nur dieser Browser wird abgemeldet.
sessions-ask-yes = Abmelden
sessions-too-title = Auch hier abmelden?
sessions-too-text = Die App, von der du kommst, hat dich abgemeldet. Verbundene Apps und dein Zuhause funktionieren weiter. Nur dieser Browser wird abgemeldet.
sessions-app-wrong = Die App, von der du kommst, hat auf eine Weise gefragt, die wir nicht annehmen. Du bist noch angemeldet; abmelden kannst du dich auf unseren eigenen Seiten.
sessions-device = { $browser } auf { $system }
