# Times.
when-just-now = just now
when-minutes-ago = { $count ->
    [one] { $count } minute ago
   *[other] { $count } minutes ago
  }
when-hours-ago = { $count ->
    [one] { $count } hour ago
   *[other] { $count } hours ago
  }
when-days-ago = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
  }
when-long-ago = long ago
when-seconds = { $count ->
    [one] { $count } second
   *[other] { $count } seconds
  }
when-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
  }
when-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
  }
when-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
  }
when-date = { $day } { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
  } { $year }
