# The second step of signing in.
step-title = Second step
step-text = Your password was right. Now type the six digits that your authenticator app shows, or one of your recovery codes.
step-code = Code
step-button = Sign in
step-wrong = This code is not right, or was used already. Please type the one that your app shows now.
