# Proving who one is: passwords, codes by mail, passkeys, other providers.
identity-password-common = This password would be guessed quickly. Three or four unrelated words make a good one.

identity-not-now = Not now

identity-code-title = Look into your mail
identity-code-sent = We sent a code to <strong>{ $email }</strong>. It is good for fifteen minutes. Leave this page open, and type the code here.
identity-code-go-on = Create account
identity-code-nothing-came = Nothing came? Look into the spam folder, or
identity-code-start-again = start again
identity-email-title = Your new e-mail address
identity-email-confirm = Use this address
identity-email-changed = Your e-mail address is changed. The old one was told.
identity-email-heading = Another e-mail address
identity-email-explain = You sign in with <strong>{ $email }</strong>. If you move to another address, we send a code there first.
identity-email-label = New e-mail address
identity-email-send = Send the code

identity-mail-sign-up = Your code to create an account at { $cloud }:
identity-mail-change = Your code to use this address for your account at { $cloud }:
identity-mail-known-subject = You have an MA Cloud account already
identity-mail-known =
    Somebody wanted to use this address for an account at { $cloud }. If that was you: you have an account already. Please sign in, or set a new password if you have forgotten yours:

        { $cloud }/sign-in
        { $cloud }/forgot

    If it was not you, you need do nothing: nothing has changed.
identity-mail-moved-subject = Your MA Cloud account has another address now
identity-mail-moved =
    Your account at { $cloud } was just moved to another e-mail address, by somebody who was signed in to it. This address no longer belongs to it. If that was not you, please contact whoever runs this service at once.

identity-activity-email = The e-mail address was changed
identity-activity-passkey = The passkey { $what } was added
identity-activity-passkey-removed = A passkey was removed
identity-activity-linked = { $what } was linked for signing in
identity-activity-unlinked = { $what } was unlinked for signing in

identity-again-title = Show that it is you
identity-again-why = You are signed in already. Before something important is changed, we ask once more.
identity-again-go-on = Go on
identity-again-other = Use another account
identity-again-by-mail = None of this works? Have a code sent by mail, and set a password with it
identity-again-first = Show that it is you first
identity-app-code = Or: the code that your authenticator app shows
identity-app-code-wrong = This code is not right, or was used already. Please type the one that your app shows now.
identity-back = Back to security
identity-last-way = This is your last way to sign in. Set a password or add another way first.
identity-passkey-sign-in = Sign in with a passkey
identity-passkey-second = Use a passkey instead
identity-passkey-wrong = This passkey does not fit, or took too long. Please try again, or sign in another way.
identity-passkey-cancelled = That did not work, or was cancelled. Please try again, or use another way.
identity-passkeys-title = Passkeys
identity-passkeys-why = A passkey signs you in with your finger, your face or your phone's code. Nobody can guess it or trick you into telling it.
identity-passkeys-manage = Manage passkeys
identity-passkeys-have = Your passkeys
identity-passkeys-none = You have none yet.
identity-passkeys-add = Add a passkey
identity-passkeys-missing = This browser cannot make passkeys here, or scripts are turned off. On another device it may work.
identity-passkeys-no-name = This MA Cloud is reached by a number instead of a name, and passkeys need a name. So there are none here, on any device.
identity-passkey-name = Name
identity-passkey-example = My phone
identity-passkey-unnamed = Passkey
identity-passkey-make = Add a passkey
identity-passkey-made = Added { $when }
identity-passkey-used = last used { $when }
identity-passkey-change = Change { $name }
identity-passkey-rename = Rename
identity-passkey-remove = Remove it
identity-passkey-added = { $name } can sign you in from now on.
identity-passkey-not-made = That did not work. Please try again.
identity-passkey-full = You have as many passkeys as we can keep. Remove one that you no longer use first.

identity-providers-title = Other ways to sign in
identity-providers-why = Sign in with an account that you have elsewhere, without a password for here.
identity-providers-manage = Manage them
identity-providers-have = Linked
identity-providers-none = None is linked yet.
identity-providers-add = Link another
identity-provider-sign-in = Go on with { $name }
identity-provider-link = Link { $name }
identity-provider-unlink = Unlink { $name }
identity-provider-since = linked { $when }
identity-provider-go = On to { $name }
identity-provider-go-why = You sign in there and come back here.
identity-provider-go-on = Go on to { $name }
identity-provider-linked = { $name } can sign you in from now on.
identity-provider-linked-already = { $name } is linked to your account already.
identity-provider-somebody-elses = That account at { $name } belongs to somebody else's account here. Unlink it there first.
identity-provider-away = { $name } does not answer at the moment. Please try again later, or sign in another way.
identity-provider-wrong = What { $name } answered cannot be right, so we stopped. Please try again.
identity-provider-lost = That page was open for too long, or was used already. Please start again.
identity-provider-declined = You did not sign in at { $name }. Please try again, or sign in another way.
identity-provider-not-again = { $name } did not ask you to sign in anew. Please use another way.
identity-provider-no-address = { $name } does not vouch for your e-mail address. Please create an account here, and link { $name } under Security then.
identity-provider-link-first = There is an account with your e-mail address already. Please sign in to it, and link { $name } under Security then.

identity-mail-notice-subject = A change to your MA Cloud account
identity-mail-passkey-added =
    The passkey "{ $name }" was just added to your account at { $cloud }. If that was not you, remove it under Security, and change your password.
identity-mail-passkey-removed =
    A passkey was just removed from your account at { $cloud }. If that was not you, look under Security who is signed in, and change your password.
identity-mail-password =
    The password of your account at { $cloud } was just changed, by somebody who was signed in. Every other browser is signed out. If that was not you, set a new one at once:

        { $cloud }/forgot
identity-mail-step-on =
    Signing in to your account at { $cloud } takes a code of an authenticator app from now on. If that was not you, please contact whoever runs this service.
identity-mail-step-off =
    Signing in to your account at { $cloud } takes no code of an authenticator app any more. If that was not you, change your password, and look under Security who is signed in.
identity-mail-codes =
    The recovery codes of your account at { $cloud } were just replaced by new ones. If that was not you, change your password, and make new codes under Security.
identity-mail-linked =
    { $name } was just linked to your account at { $cloud } and can sign you in. If that was not you, unlink it under Security, and change your password.
identity-mail-unlinked =
    { $name } was just unlinked from your account at { $cloud }. If that was not you, look under Security who is signed in, and change your password.

identity-activity-home-assistant = { $what } was told who you are in its Home Assistant
identity-activity-home-assistant-removed = Who you are in a Home Assistant was removed
identity-home-assistant-title = Home Assistant
identity-home-assistant-ask = You come from the Home Assistant at <strong>{ $url }</strong>. Shall your home <strong>{ $home }</strong> tell us who you are there?
identity-home-assistant-what = We learn your user name there, and whether you are its owner. We get no access to your Home Assistant.
identity-home-assistant-yes = Yes, that is me
identity-home-assistant-done = Your home does the rest by itself. It takes a few seconds.
identity-home-assistant-homes = To my homes
identity-home-assistant-lost = This link is too old, was used already, or belongs to a home of another account. Please start again at the connector.
identity-home-assistant-user = Home Assistant: { $name }
identity-home-assistant-owner = Home Assistant: { $name } (owner)
identity-home-assistant-remove = Remove
