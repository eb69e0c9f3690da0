# The privacy page.
privacy-title = Privacy
privacy-intro = What this service knows about you, what for, and for how long. It is short because there is little.
privacy-who = Who runs it
privacy-operator = This MA Cloud is run by <strong>{ $name }</strong>.
privacy-operator-unnamed = This MA Cloud is run by whoever gave you its address. The software does not send anything to its makers.
privacy-contact = Questions, and wishes about your data: <strong>{ $contact }</strong>.
privacy-never = What it never keeps
privacy-never-text = No players, no titles, no playlists, nothing of what you asked for or heard. Commands and answers pass through sealed for your home, and what they say is written down nowhere. There is no advertising, no tracking, and no counting of visitors.
privacy-kept = What it keeps
privacy-kept-account = <strong>Your account:</strong> your e-mail address, and your password in a form that cannot be turned back. For as long as you have the account.
privacy-kept-homes = <strong>Your homes:</strong> the name you gave, the public half of the home’s key, when it was connected and last signed in. Until 400 days after you unlink it.
privacy-kept-apps = <strong>Linked apps:</strong> which app, what it may do, when it was linked and last used. Until 400 days after you unlink it.
privacy-kept-browsers = <strong>Browsers:</strong> for each one that is signed in, a name such as “Safari on iPhone”, when it signed in and was last seen. Until it is signed out. That you signed in from a browser before, and nothing else about it, for a year.
privacy-kept-activity = <strong>What happened to your account:</strong> sign-ins and changes, so that you can see whether it was you. For 180 days.
privacy-kept-uses = <strong>What linked apps did:</strong> how often which app did which kind of thing in which home, such as “changed the volume”, counted by the hour, and how it ended. Never what was played, nor on which player. For 30 days.
privacy-kept-attempts = <strong>Attempts to link an app:</strong> how far each one got and why it failed, so that the link doctor can help. For 30 days.
privacy-kept-plan = <strong>Your plan:</strong> which one it is and, where it is paid for, under which number the payment provider knows you. Never a card or a bank account. For as long as you have the account.
privacy-kept-people = <strong>People you share a home with:</strong> their account and the name you gave them, until they leave or you remove them; an open invitation, with the address if you gave one, for at most seven days.
privacy-kept-time = Whatever is kept beyond that stands in the copy of your data that you can download at any time.
privacy-address = Your network address is used to slow down guessing, in memory only. It is not written into the logs of this service.
privacy-cookies = Cookies
privacy-cookies-text = One that keeps forms safe from strangers and, once you sign in, keeps you signed in; and one to remember your language when you choose it. A third, for a year, by which this service knows the browser again that you signed in from, so that strangers who try your address cannot keep you out. None is shown to anybody else.
privacy-others = Who else learns something
privacy-others-text = Amazon hears what you say to Alexa, and learns the names of the players that you let Alexa see and the answers that it speaks. What Amazon does with it is Amazon’s own policy. Whoever you invite to your home sees its name and your e-mail address; of somebody who joins, you see only the name you gave them and what their apps did in your home. If you pay for a plan, the payment provider learns what you enter there. Nobody else gets anything from this service, except when a law obliges its operator.
privacy-rights = Your rights
privacy-rights-text = Under <a href="/security">Security</a> you can take a copy of everything, correct your password, and delete your account. Deleting takes effect at once and for good; a backup of the operator may hold it until that backup is overwritten.
