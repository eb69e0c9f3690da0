# Signing in.
signin-title = Sign in
signin-to-link = Sign in to link your account.
signin-to-pair = Sign in to connect your home.
signin-email = E-mail address
signin-password = Password
signin-button = Sign in
signin-forgot = Forgot your password?
signin-new = New here? <a href="{ $link }">Create your account</a>
signin-mismatch = That e-mail address and password do not match. Please check both.
signin-suspended = This account is suspended. Please contact whoever runs this service.
signin-to-join = Sign in to answer the invitation.
