# Linked apps.
apps-title = Linked apps
apps-empty-title = No app is linked
apps-empty = Enable the Music Assistant skill in the Alexa app and sign in there with this account. Then it appears here.
apps-linked = Linked
apps-used = Last used
apps-never = not yet
apps-unlink = Unlink…<span class="hidden"> { $app }</span>
apps-unlink-title = Unlink this app?
apps-unlink-heading = Unlink { $app }?
apps-unlink-text = { $app } will no longer see or control your music, at once. You can link it again at any time.
apps-unlink-yes = Unlink this app
