# Leaving for good.
leaving-title = Delete your account?
leaving-text = Everything that MA Cloud keeps about you goes at once: your homes stop answering, linked apps are unlinked, and nobody can bring it back. Your music and Music Assistant stay as they are.
leaving-email = Type your e-mail address to be sure
leaving-code = Code from your app, or a recovery code
leaving-yes = Delete my account
leaving-no = Keep it
leaving-email-wrong = Please type the e-mail address of this account.
leaving-paid = You pay for a plan, and deleting your account does not end that: nobody here could do it for you afterwards. Please end it first where you pay; your receipts say how.
leaving-paid-read = I have ended it, or know that the payments go on
leaving-paid-unread = Please tick that you know what becomes of your payments.
leaving-done-title = Your account is deleted
leaving-done-text = Nothing about you is kept. In the Alexa app, please disable the skill, so that Alexa forgets the link, too.
