# The terms page.
terms-title = Terms
terms-intro = What you can expect of this service, and it of you.
terms-what = What it is
terms-what-text = MA Cloud carries commands from a voice assistant to the Music Assistant in your home, and its answers back. It plays no music itself, and what you play needs its own licence or subscription. It is neither made nor endorsed by Amazon.
terms-expect = What you can expect
terms-expect-text = Care, but no promise: it comes as it is, and may be away or end. What you can use, and what it costs if it costs anything, stands under <a href="/plan">Usage</a> before you pay. Your music at home works without it. Do not use it for anything in which somebody could come to harm if a command arrives late or not at all.
terms-you = What is expected of you
terms-you-text = Connect only homes that are yours or whose people agree. Keep your password to yourself. Do not try to get at other people’s accounts or homes, and do not overload the service. Whoever does may be suspended.
terms-end = How it ends
terms-end-text = You can unlink, or <a href="/security">delete your account</a>, at any time and without giving a reason. Should the operator end the service or your account without your having caused it, they tell you beforehand if they can.
terms-data = Your data
terms-data-text = What is kept about you, and for how long, is on the <a href="/privacy">privacy page</a>.
terms-software = The software
terms-software-text = MA Cloud is free software under the Apache License 2.0. Anybody may run it; these terms are between you and the operator of this one.
