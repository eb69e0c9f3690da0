# What an account may use, and what it has used.
plan-title = Your plan
plan-title-none = Usage
plan-today = Today
plan-left = { $left } of { $most } commands left
plan-used = { $count ->
    [one] { $count } command used today.
   *[other] { $count } commands used today.
  }
plan-resets = The day starts again in { $time }.
plan-over = Today's commands are used up. Alexa says so until the day starts again. Your music keeps playing, and everything at home works as ever.
plan-no-day-limit = There is no daily limit.
plan-allows = What your plan allows
plan-allows-none = What you can use
plan-homes-label = Homes
plan-homes = { $count }, as many as you like
plan-homes-of = { $count } of { $most }
plan-members-label = People to share each home with
plan-members = up to { $most }
plan-minute-label = Commands a minute for each home
plan-change = Change your plan
plan-change-hint = This leads to our payment provider. We never see your card. Before you delete your account here, please cancel there first.
plan-free-title = What never counts
plan-free-looking = Looking at what plays, at the volume, or at which speakers are there. Alexa does that often and by itself.
plan-free-discovery = Searching for devices.
plan-free-unreached = Commands that did not reach your home: because it was offline, paused, or the day was used up.
plan-local = Whatever did reach your home counts, also when it could not be done there.
plan-mail-subject = Your commands for today are nearly used up
plan-mail-text =
    Hello,

    { $used } of today's { $most } commands of your MA Cloud plan are used. When all are, Alexa tells you so until the day starts again.

    See what is left: { $address }
plan-too-many-homes = Your plan allows { $most ->
    [one] one home
   *[other] { $most } homes
  }, and you have as many. Please unlink one first, or change your plan.
