# Times.
when-just-now = gerade eben
when-minutes-ago = { $count ->
    [one] vor { $count } Minute
   *[other] vor { $count } Minuten
  }
when-hours-ago = { $count ->
    [one] vor { $count } Stunde
   *[other] vor { $count } Stunden
  }
when-days-ago = { $count ->
    [one] vor { $count } Tag
   *[other] vor { $count } Tagen
  }
when-long-ago = vor langer Zeit
when-seconds = { $count ->
    [one] { $count } Sekunde
   *[other] { $count } Sekunden
  }
when-minutes = { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
  }
when-hours = { $count ->
    [one] { $count } Stunde
   *[other] { $count } Stunden
  }
when-days = { $count ->
    [one] { $count } Tag
   *[other] { $count } Tage
  }
when-date = { $day }. { $month ->
    [1] Januar
    [2] Februar
    [3] März
    [4] April
    [5] Mai
    [6] Juni
    [7] Juli
    [8] August
    [9] September
    [10] Oktober
    [11] November
   *[12] Dezember
  } { $year }
