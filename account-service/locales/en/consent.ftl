# What an app asks for.
consent-title = Allow access?
consent-heading = Let { $app } control your music?
consent-heading-other = Allow { $app } access?
consent-who = You are signed in as <strong>{ $email }</strong>.
consent-can = { $app } will be able to
consent-cannot = It will not be able to
consent-cannot-account = See your password or change your account
consent-cannot-home = Reach anything else in your home
consent-no-home = You have not connected a home yet. You can allow this now and <a href="/pair">connect your home</a> afterwards.
consent-homes = { $count ->
    [one] This is for your home <strong>{ $homes }</strong>.
   *[other] This is for your homes <strong>{ $homes }</strong>.
  } You can undo it at any time under “Apps”.
consent-allow = Allow
consent-deny = Don’t allow
consent-scope-read = See your players and what they are playing
consent-scope-control = Play, pause, skip and choose music, and change the volume
consent-scope-email = See your e-mail address
consent-unknown-app = The app that sent you here is not known to us. Nothing was shared.
consent-used-up = This link was used already or is too old. Please go back to the app and start again.
consent-unregistered = The app that sent you here gave an address to return to that it has not registered. Nothing was shared.
