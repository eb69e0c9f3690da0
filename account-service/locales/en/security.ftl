# Passwords, the second step, one's data.
security-title = Security
security-address = E-mail address
security-address-open = Not confirmed
security-address-text = Confirm that this address is yours. If you forget your password before that, setting a new one by mail also ends every link, every home and every other way to sign in of this account.
security-address-confirm = Confirm it
security-second-step = Second step
security-on = On
security-off = Off
security-codes-left = Besides your password, signing in asks for a code from your authenticator app. { $count ->
    [one] You have one recovery code
   *[other] You have { $count } recovery codes
  } left for the day on which your phone is not at hand.
security-new-codes = New recovery codes
security-turn-off = Turn it off
security-turn-off-code = Code from your app, or a recovery code
security-turn-off-button = Turn off
security-turn-on-text = With an authenticator app on your phone, a stolen password alone opens nothing.
security-turn-on = Turn it on
security-password = Password
security-new-password = New password
security-password-hint = At least 8 characters. Every other browser is signed out; linked apps and homes keep working.
security-change-password = Change password
security-look = Look over it
security-look-text = See <a href="/sessions">where you are signed in</a>, and <a href="/activity">what happened to your account</a>.
security-data = Your data
security-data-text = Take a copy of everything that is kept about you, or leave for good.
security-download = Download my data
security-delete = Delete my account…
security-password-short = Please use at least 8 characters.
security-password-long = Please use at most 1024 characters.
security-password-email = Please do not use your e-mail address as the password.
security-password-done = Your password is changed, and every other browser is signed out. Linked apps and homes keep working.
security-code-wrong = This code is not right, or was used already.
security-off-done = The second step is off. Your password alone signs you in.
security-app = Authenticator app
security-app-scan = Scan this with an app for one-time codes, on your phone. Any such app will do.
security-app-qr = QR code for your authenticator app
security-app-or-type = Or type this key into the app:
security-app-key = Key for your app
security-app-code = Then type the six digits that it shows
security-app-not-now = Not now
security-app-misfit = This code does not fit. Please type the one that your app shows now, and check that your phone’s clock is right.
security-codes-title = Your recovery codes
security-codes-text = Write these down, or print them, and keep them where your phone is not. Each works once in the place of a code from your app. They are shown only now.
security-codes-kept = I have kept them
