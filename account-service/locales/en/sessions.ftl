# Where one is signed in, and signing out.
sessions-title = Where you are signed in
sessions-intro = Browsers that can open your account here. Linked apps are on <a href="/apps">their own page</a>.
sessions-this = This device
sessions-times = Signed in { $since }, last seen { $seen }
sessions-end = Sign out<span class="hidden"> { $device }</span>
sessions-end-others = Sign out everywhere else
sessions-end-here = Sign out here
sessions-ask-title = Sign out?
sessions-ask-text = Linked apps and homes keep working. This only signs out this browser.
sessions-ask-yes = Sign out
sessions-too-title = Sign out here too?
sessions-too-text = The app you come from has signed you out. Linked apps and homes keep working. This only signs out this browser.
sessions-app-wrong = The app that sent you here asked in a way that we do not accept. You are still signed in; you can sign out on our own pages.
sessions-device = { $browser } on { $system }
