# Linked apps.
apps-title = Linked apps
apps-empty-title = No app is linked
apps-empty = In the Alexa app, enable the Music Assistant skill of this MA Cloud and sign in there with this account. Then it appears here.
apps-none = There is nothing to link yet: whoever runs this MA Cloud has not set up a skill for it.
apps-linked = Linked
apps-used = Last used
apps-never = not yet
apps-unlink = Unlink…<span class="hidden"> { $app }</span>
apps-unlink-title = Unlink this app?
apps-unlink-heading = Unlink { $app }?
apps-unlink-text = { $app } will no longer see or control your music, at once. You can link it again at any time.
apps-unlink-yes = Unlink this app
