# The list of homes.
homes-title = My homes
homes-connect = Connect a home
homes-empty-title = No home yet
homes-empty = Two steps, and your music listens to your voice: on the machine that runs Music Assistant, run <code>{ $command }</code>. Then enter the code that it shows.
homes-empty-button = Enter the code
homes-waiting = Waiting for your connector
homes-waiting-note = You allowed this home. Its connector picks up its key within seconds; reload this page then. If nothing changes, look whether <code>ma-connector pair</code> is still running, or start it again.
homes-name-missing = Please give your home a name.
homes-yours = Yours
homes-shared-by = Shared by { $owner }
homes-same-name = Another of your homes has the same name
homes-open = Open
homes-have-code = Somebody invited you to their home? <a href="/join">Enter the invitation’s code</a>.
