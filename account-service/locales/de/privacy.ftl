# The privacy page.
privacy-title = Datenschutz
privacy-intro = Was dieser Dienst über dich weiß, wozu und wie lange. Es ist kurz, weil es wenig ist.
privacy-who = Wer ihn betreibt
privacy-operator = Diese MA Cloud betreibt <strong>{ $name }</strong>.
privacy-operator-unnamed = Diese MA Cloud betreibt, wer dir ihre Adresse gegeben hat. Die Software schickt nichts an ihre Hersteller.
privacy-contact = Fragen und Wünsche zu deinen Daten: <strong>{ $contact }</strong>.
privacy-never = Was er nie speichert
privacy-never-text = Keine Lautsprecher, keine Titel, keine Playlists, nichts von dem, was du verlangt oder gehört hast. Befehle und Antworten gehen versiegelt für dein Zuhause hindurch, und was darin steht, wird nirgends aufgeschrieben. Es gibt keine Werbung, keine Verfolgung und keine Besucherzählung.
privacy-kept = Was er speichert
privacy-kept-account = <strong>Dein Konto:</strong> deine E-Mail-Adresse und dein Passwort in einer Form, die sich nicht zurückrechnen lässt. Solange du das Konto hast.
privacy-kept-homes = <strong>Dein Zuhause:</strong> der Name, den du ihm gegeben hast, die öffentliche Hälfte seines Schlüssels, wann es verbunden wurde und sich zuletzt angemeldet hat. Bis 400 Tage, nachdem du es getrennt hast.
privacy-kept-apps = <strong>Verbundene Apps:</strong> welche App, was sie darf, wann sie verbunden und zuletzt benutzt wurde. Bis 400 Tage, nachdem du sie getrennt hast.
privacy-kept-browsers = <strong>Browser:</strong> für jeden angemeldeten ein Name wie „Safari auf iPhone“, wann er sich angemeldet hat und zuletzt da war. Bis er abgemeldet wird. Dass du dich in einem Browser schon angemeldet hast, und sonst nichts über ihn, ein Jahr lang.
privacy-kept-activity = <strong>Was mit deinem Konto geschehen ist:</strong> Anmeldungen und Änderungen, damit du siehst, ob du es warst. 180 Tage lang.
privacy-kept-uses = <strong>Was verbundene Apps getan haben:</strong> wie oft welche App in welchem Zuhause welche Art von Sache getan hat, etwa „Lautstärke geändert“, nach Stunden gezählt, und wie es ausging. Nie, was gespielt wurde, und nie, auf welchem Lautsprecher. 30 Tage lang.
privacy-kept-attempts = <strong>Versuche, eine App zu verbinden:</strong> wie weit jeder kam und woran er scheiterte, damit der Link-Doktor helfen kann. 30 Tage lang.
privacy-kept-plan = <strong>Dein Tarif:</strong> welcher es ist und, wo er etwas kostet, unter welcher Nummer dich der Zahlungsdienst kennt. Nie eine Karte oder ein Bankkonto. Solange du das Konto hast.
privacy-kept-people = <strong>Menschen, mit denen du ein Zuhause teilst:</strong> ihr Konto und der Name, den du ihnen gegeben hast, bis sie gehen oder du sie entfernst; eine offene Einladung, mit der Adresse, wenn du eine angegeben hast, höchstens sieben Tage.
privacy-kept-time = Was sonst noch gespeichert ist, steht in der Kopie deiner Daten, die du jederzeit herunterladen kannst.
privacy-address = Deine Netzwerkadresse dient dazu, Raten zu bremsen, nur im Arbeitsspeicher. In die Protokolle dieses Dienstes wird sie nicht geschrieben.
privacy-cookies = Cookies
privacy-cookies-text = Eines, das Formulare vor Fremden schützt und dich nach dem Anmelden angemeldet hält, und eines, das sich deine Sprache merkt, wenn du sie auswählst. Ein drittes, für ein Jahr, an dem dieser Dienst den Browser wiedererkennt, in dem du dich angemeldet hast, damit Fremde, die deine Adresse ausprobieren, dich nicht aussperren können. Keines davon bekommt sonst jemand zu sehen.
privacy-others = Wer sonst etwas erfährt
privacy-others-text = Amazon hört, was du zu Alexa sagst, und erfährt die Namen der Lautsprecher, die du Alexa sehen lässt, und die Antworten, die Alexa spricht. Was Amazon damit tut, regelt Amazon selbst. Wer von dir in dein Zuhause eingeladen wird, sieht dessen Namen und deine E-Mail-Adresse; von jemandem, der beitritt, siehst du nur den Namen, den du ihm gegeben hast, und was seine Apps in deinem Zuhause getan haben. Bezahlst du für einen Tarif, erfährt der Zahlungsdienst, was du dort eingibst. Sonst bekommt niemand etwas von diesem Dienst, außer ein Gesetz verpflichtet den Betreiber dazu.
privacy-rights = Deine Rechte
privacy-rights-text = Unter <a href="/security">Sicherheit</a> kannst du eine Kopie von allem mitnehmen, dein Passwort ändern und dein Konto löschen. Das Löschen wirkt sofort und für immer; in einer Sicherungskopie des Betreibers kann es stehen, bis diese überschrieben wird.
