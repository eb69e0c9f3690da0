# The page of one home.
home-linked = Linked
home-paused = Paused
home-on-hold = On hold
home-on-hold-text = The account of this home’s owner is suspended, so nobody can reach the home at the moment. Only the owner can sort this out.
home-about = About this home
home-owner = Owner
home-owner-you = You
home-you-are = You are
home-member = A member
home-guest-left = A guest for { $time } more
home-fingerprint = Fingerprint
home-since = Connected since
home-seen = Last signed in
home-not-yet = not yet
home-paused-text = Paused: no voice command reaches this home until you resume it.
home-paused-guest = Paused: no voice command reaches this home until its owner or a member resumes it.
home-same-name = Another of your homes has the same name, and a voice assistant cannot tell them apart. Please rename this one.
home-same-name-shared = Another of your homes has the same name, and a voice assistant cannot tell them apart. Rename your own, or ask the owner of this one to rename it.
home-pause = Pause
home-resume = Resume
home-leave = Leave this home…
home-rename = Rename
home-new-name = New name
home-save = Save
home-change = Moving and ending
home-hardware-text = New computer for your connector? Run <code>{ $command }</code> there, and on the page that opens choose that it replaces this home. Alexa need not be linked again.
home-move = Give to another account…
home-unlink = Unlink…
home-all = All homes
home-unlink-title = Unlink this home?
home-unlink-heading = Unlink { $home }?
home-unlink-text = Voice commands will no longer reach this home, at once. Your music and Music Assistant stay as they are. To come back, connect the home again.
home-unlink-text-shared = Voice commands will no longer reach this home, at once, { $count ->
    [one] neither yours nor those of the one person
   *[other] neither yours nor those of the { $count } people
  } you share it with. Your music and Music Assistant stay as they are. To come back, connect the home and invite people again.
home-unlink-yes = Unlink this home
