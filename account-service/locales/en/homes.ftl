# The list of homes.
homes-title = My homes
homes-connect = Connect a home
homes-empty-title = No home yet
homes-empty = Two steps, and your music listens to your voice: run <code>ma-connector pair</code> beside Music Assistant, then enter the code that it shows.
homes-empty-button = Enter the code
homes-waiting = Waiting for your connector
homes-waiting-note = You allowed this home. Its connector picks up its key within seconds; reload this page then. If nothing changes, look whether <code>ma-connector pair</code> is still running, or start it again.
homes-paused = Paused
homes-linked = Linked
homes-fingerprint = Fingerprint
homes-paired = Connected since
homes-seen = Last signed in
homes-never = not yet
homes-paused-note = Paused: no voice command reaches this home until you resume it.
homes-pause = Pause<span class="hidden"> { $name }</span>
homes-resume = Resume<span class="hidden"> { $name }</span>
homes-unlink = Unlink…<span class="hidden"> { $name }</span>
homes-rename = Rename<span class="hidden"> { $name }</span>
homes-new-name = New name
homes-save = Save
homes-unlink-title = Unlink this home?
homes-unlink-heading = Unlink { $name }?
homes-unlink-text = Voice commands will no longer reach this home, at once. Your music and Music Assistant stay as they are. To come back, connect the home again.
homes-unlink-yes = Unlink this home
homes-name-missing = Please give your home a name.
