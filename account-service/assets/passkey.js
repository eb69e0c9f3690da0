// Passkeys. The pages work without this: forms that need it stay hidden until it says that the browser can do it.
"use strict";
(() => {
  const forms = [...document.querySelectorAll("form[data-passkey]")];
  if (!window.PublicKeyCredential || !navigator.credentials || forms.length === 0) return;
  document.querySelectorAll("[data-passkey-missing]").forEach((note) => { note.hidden = true; });

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const ids = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const read = (form) => {
    const options = JSON.parse(form.dataset.options);
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    if (options.excludeCredentials) options.excludeCredentials = ids(options.excludeCredentials);
    if (options.allowCredentials) options.allowCredentials = ids(options.allowCredentials);
    return options;
  };

  const write = (credential) => {
    const from = credential.response;
    const response = { clientDataJSON: text(from.clientDataJSON) };
    if (from.attestationObject) {
      response.attestationObject = text(from.attestationObject);
    } else {
      response.authenticatorData = text(from.authenticatorData);
      response.signature = text(from.signature);
      response.userHandle = from.userHandle ? text(from.userHandle) : null;
    }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
  };

  let waiting = null;
  const ask = async (form, more) => {
    if (waiting) waiting.abort();
    waiting = new AbortController();
    const request = { publicKey: read(form), signal: waiting.signal, ...more };
    const credential = form.dataset.passkey === "create"
      ? await navigator.credentials.create(request)
      : await navigator.credentials.get(request);
    form.elements.credential.value = write(credential);
    form.submit();
  };

  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = form.querySelector("[data-passkey-problem]");
      problem.hidden = true;
      try {
        await ask(form);
      } catch (error) {
        problem.hidden = false;
      }
    });
  }

  // Browsers that can, offer passkeys where the address is typed.
  const offer = forms.find((form) => "offer" in form.dataset);
  if (offer && PublicKeyCredential.isConditionalMediationAvailable) {
    PublicKeyCredential.isConditionalMediationAvailable()
      .then((can) => (can ? ask(offer, { mediation: "conditional" }) : null))
      .catch(() => {});
  }
})();
