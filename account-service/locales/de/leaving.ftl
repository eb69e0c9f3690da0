# Leaving for good.
leaving-title = Dein Konto löschen?
leaving-text = Alles, was MA Cloud über dich gespeichert hat, verschwindet sofort: Dein Zuhause antwortet nicht mehr, verbundene Apps werden getrennt, und niemand kann es zurückholen. Deine Musik und Music Assistant bleiben, wie sie sind.
leaving-email = Gib zur Sicherheit deine E-Mail-Adresse ein
leaving-code = Code aus deiner App oder ein Ersatzcode
leaving-yes = Mein Konto löschen
leaving-no = Behalten
leaving-email-wrong = Bitte gib die E-Mail-Adresse dieses Kontos ein.
leaving-paid = Du zahlst für einen Tarif, und das endet nicht mit deinem Konto: Danach könnte es hier niemand mehr für dich beenden. Bitte kündige ihn zuerst dort, wo du zahlst; auf deinen Rechnungen steht, wie.
leaving-paid-read = Ich habe gekündigt, oder weiß, dass die Zahlungen weitergehen
leaving-paid-unread = Bitte bestätige, dass du weißt, was aus deinen Zahlungen wird.
leaving-done-title = Dein Konto ist gelöscht
leaving-done-text = Über dich ist nichts mehr gespeichert. Deaktiviere bitte in der Alexa-App den Skill, damit auch Alexa die Verbindung vergisst.
