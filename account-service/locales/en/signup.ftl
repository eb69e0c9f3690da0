# Signing up.
signup-title = Create your account
signup-minute = It takes a minute.
signup-then-link = It takes a minute, and then you go on to link your account.
signup-then-pair = It takes a minute, and then you go on to connect your home.
signup-email = E-mail address
signup-password = Password
signup-password-hint = At least 8 characters. A few words in a row are easy to remember and hard to guess.
signup-button = Create account
signup-known = Have an account? <a href="{ $link }">Sign in</a>
signup-email-wrong = Please enter an e-mail address, such as you@example.org.
signup-email-taken = There is an account with this e-mail address already. Sign in instead?
signup-closed-title = New accounts come from the operator
signup-closed = This MA Cloud does not let people create accounts themselves. If you know who runs it, ask them for one. If you have one already, please sign in.
signup-then-join = It takes a minute, and then you go on to your invitation.
