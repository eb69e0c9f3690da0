# What happened to one's account.
activity-title = What happened
activity-intro = The newest first, for half a year. If something here was not you, <a href="/security">change your password</a> and look at <a href="/sessions">where you are signed in</a>.
activity-empty = Nothing yet.
activity-signed-up = You created this account
activity-signed-in = Somebody signed in with { $what }
activity-password-changed = The password was changed
activity-second-step-on = The second step was turned on
activity-second-step-off = The second step was turned off
activity-recovery-codes-renewed = New recovery codes were made
activity-app-linked = { $what } was linked
activity-app-unlinked = { $what } was unlinked
activity-home-allowed = { $what } was allowed to connect
activity-home-refused = { $what } was not allowed to connect
activity-home-linked = { $what } connected
activity-home-paused = { $what } was paused
activity-home-resumed = { $what } was resumed
activity-home-renamed = A home was renamed to { $what }
activity-home-unlinked = { $what } was unlinked
activity-data-exported = A copy of your data was made
activity-plan-nearly-used = Most of the { $what } commands that your plan allows a day were used
activity-plan-used-up = All of the { $what } commands that your plan allows a day were used
activity-plan-changed = Your plan is now { $what }
activity-second-step-reset = Whoever runs this service turned the second step off
activity-sessions-ended = Whoever runs this service signed you out everywhere
activity-suspended = Whoever runs this service suspended your account
activity-unsuspended = Whoever runs this service lifted the suspension of your account
