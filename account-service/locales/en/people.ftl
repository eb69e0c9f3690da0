# Who else uses a home.
people-heading = People
people-hint = Family and guests use their own account and their own Alexa. You need not share your password.
people-invite = Invite somebody
people-guest-left = Guest for { $time } more
people-member-since = Member since { $date }
people-remove = Remove…
people-open = Invited { $what }, open for { $time } more
people-as-member = as a member
people-as-guest = as a guest for { $time }
people-as-owner = to take this home over
people-revoke = Take back
people-invite-title = Invite somebody
people-invite-heading = Invite somebody to { $home }
people-invite-text = You get a link to pass on. It works once and for seven days. Whoever accepts sees your e-mail address, so that they know whom it comes from.
people-name = What do you call them?
people-name-hint = Such as “Ben” or “Grandma”. You see this name; they see it, too. You do not see the address of their account.
people-role = What may they do?
people-role-member = <strong>Member</strong>: plays and controls music until you remove them
people-role-guest-1 = <strong>Guest</strong> for a day
people-role-guest-7 = <strong>Guest</strong> for a week
people-role-guest-30 = <strong>Guest</strong> for 30 days
people-role-hint = Members may also pause the home. Only you can rename it, invite people, give it away or unlink it. A guest’s time begins when they accept.
people-email = Their e-mail address (if you like)
people-email-hint = With an address, only the account with this address can accept, and we send the link there if you have confirmed your own address.
people-make = Make the invitation
people-back = Back
people-problem-name = Please give this person a name, so that you find them in the list.
people-problem-email = This is not an e-mail address. Please check it, or leave it empty.
people-problem-full = This home has as many members and invitations as it can have. Please remove one first.
people-invited-title = The invitation is ready
people-invited-heading = The invitation for { $name } is ready
people-invited-text = Pass this link on to whoever shall use { $home }. If they have no account yet, they make one on the way.
people-mailed = We are sending it to { $email }, too.
people-link = Link
people-code = Or the code alone, to be entered on the page “My homes”
people-once = For your safety it is shown only now. It works once, for seven days, and you can take it back at any time.
people-done = Done
people-remove-title = Remove this person?
people-remove-heading = Remove { $name }?
people-remove-text = Their voice commands no longer reach { $home }, at once. Nobody else notices. You can invite them again.
people-remove-yes = Remove
people-leave-title = Leave this home?
people-leave-heading = Leave { $home }?
people-leave-text = Your voice commands no longer reach this home, at once. Its owner sees that you left. To come back, you need a new invitation.
people-leave-yes = Leave this home
people-told-invited = An invitation was made for { $what }
people-told-revoked = The invitation for { $what } was taken back
people-told-declined = The invitation for { $what } was declined
people-told-joined = { $what } accepted the invitation
people-told-left = { $what } left
people-told-removed = { $what } was removed
people-told-home-joined = You accepted the invitation to { $what }
people-told-home-left = You left { $what }
people-told-home-lost = { $what } is no longer shared with you
people-mail-subject = An invitation to a home at MA Cloud
people-mail-text =
    { $owner } invites you to use the music of a home with your own voice assistant. What you may do there is on this page, and you decide there:

    { $link }

    The link works once, for seven days. If you do not know { $owner }, you need do nothing.
people-delete-account = You share your homes with { $count ->
    [one] one person, who loses them
   *[other] { $count } people, who lose them
  } at the same moment. To avoid that, give each home to another account first.
