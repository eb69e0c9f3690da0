// The simulator page: sends what one says, shows what became of it, and keeps the players' cards alive.
// Everything from outside goes into the page as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);

/** An element with text or children. */
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const inTheRoom = (name) => `the ${name.toLowerCase()}`;

// --- The home: live state --------------------------------------------------------------------------------------------

const home = { players: [], receivedAt: 0, cards: new Map() };

function showState(state) {
  home.players = state.players || [];
  home.receivedAt = performance.now();
  const info = state.home || {};
  $("home-name").textContent = info.name || "Your home";
  $("home-print").textContent = info.fingerprint || "–";
  if (state.account) $("person").textContent = state.account.email;
  showOnline(info.online ? "on" : "off", info.online ? "is connected" : "is not connected");
  showPlayers();
  showIdeas();
}

function showOnline(dot, text) {
  $("home-dot").className = `dot ${dot}`;
  $("home-status").textContent = text;
}

function showPlayers() {
  const list = $("players");
  const ids = new Set(home.players.map((player) => player.id));
  for (const [id, card] of home.cards) {
    if (ids.has(id)) continue;
    card.item.remove();
    home.cards.delete(id);
  }
  for (const [place, player] of home.players.entries()) {
    let card = home.cards.get(player.id);
    if (!card) {
      card = makeCard();
      home.cards.set(player.id, card);
    }
    if (list.children[place] !== card.item) list.insertBefore(card.item, list.children[place] || null);
    updateCard(card, player);
  }
  $("no-players").hidden = home.players.length > 0;
  if (!home.players.length) $("no-players").textContent = "No speaker is in the home at the moment.";
}

function makeCard() {
  const card = { item: make("li", "card"), seen: "" };
  card.cover = make("div", "cover");
  card.cover.setAttribute("aria-hidden", "true");
  card.name = make("h3");
  card.stateText = make("span");
  const bars = make("span", "bars", make("i"), make("i"), make("i"));
  bars.setAttribute("aria-hidden", "true");
  card.song = make("p", "song");
  card.artist = make("p", "artist");
  card.elapsed = make("span");
  card.fill = make("span", "fill");
  card.length = make("span");
  card.time = make("div", "time", card.elapsed, make("span", "track", card.fill), card.length);
  card.volume = make("output");
  const button = (name) => {
    const element = make("button", "", icon(name));
    element.type = "button";
    element.addEventListener("click", () => say(element.dataset.say));
    return element;
  };
  card.buttons = Object.fromEntries(["previous", "play", "pause", "next", "quieter", "louder"].map((name) => [name, button(name)]));
  const { previous, play, pause, next, quieter, louder } = card.buttons;
  card.controls = make("div", "controls", previous, play, pause, next, make("div", "level", quieter, card.volume, louder));
  card.item.append(
    card.cover,
    make("div", "", make("div", "who", card.name, make("span", "state", bars, card.stateText)), card.song, card.artist),
    card.time,
    card.controls,
  );
  return card;
}

function updateCard(card, player) {
  const playing = player.available && player.state === "playing";
  const media = player.available ? player.now_playing : null;
  card.player = player;
  card.item.classList.toggle("playing", playing);
  card.item.classList.toggle("away", !player.available);
  card.name.textContent = player.name;
  card.stateText.textContent = stateWord(player);
  card.song.textContent = media ? media.title : player.available ? "Nothing in the queue" : "Is it plugged in?";
  card.artist.textContent = media ? [media.artist, media.album].filter(Boolean).join(" · ") : "";
  card.cover.textContent = media ? initials(media.album || media.title) : "♪";
  card.cover.classList.toggle("none", !media);
  card.cover.dataset.hue = media ? hue(media.album || media.title) : "";
  card.time.hidden = !media;
  card.controls.hidden = !player.available;
  card.volume.textContent = player.volume === null || player.volume === undefined ? "–" : String(player.volume);
  card.volume.className = player.muted ? "struck" : "";
  card.volume.setAttribute("aria-label", `Volume ${player.volume}${player.muted ? ", muted" : ""}`);
  updateButtons(card.buttons, player, playing);
  updateTime(card);
  noticeChange(card, player);
}

const LABELS = { previous: "Previous track", play: "Resume", pause: "Pause", next: "Next track", quieter: "Quieter", louder: "Louder" };

/** What one says for a button, in the language that is chosen. Where Alexa has no volume (French), she has percentages. */
const BUTTON_SENTENCES = {
  "en-US": (name) => ({ previous: `previous track in ${inTheRoom(name)}`, play: `resume ${inTheRoom(name)}`, pause: `pause ${inTheRoom(name)}`, next: `next track in ${inTheRoom(name)}`, quieter: `turn down ${inTheRoom(name)}`, louder: `turn up ${inTheRoom(name)}` }),
  "de-DE": (name) => ({ previous: `voriges Lied auf ${name}`, play: `spiele auf ${name} weiter`, pause: `pausiere ${name}`, next: `nächstes Lied auf ${name}`, quieter: `mach ${name} leiser`, louder: `mach ${name} lauter` }),
  "fr-FR": (name) => ({ previous: `titre précédent sur ${name}`, play: `reprends la lecture sur ${name}`, pause: `mets ${name} en pause`, next: `titre suivant sur ${name}`, quieter: `baisse ${name} de 10 pour cent`, louder: `augmente ${name} de 10 pour cent` }),
  "es-ES": (name) => ({ previous: `canción anterior en ${name}`, play: `reanuda ${name}`, pause: `pausa ${name}`, next: `siguiente canción en ${name}`, quieter: `baja el volumen de ${name}`, louder: `sube el volumen de ${name}` }),
  "it-IT": (name) => ({ previous: `canzone precedente su ${name}`, play: `riprendi ${name}`, pause: `metti in pausa ${name}`, next: `prossima canzone su ${name}`, quieter: `abbassa il volume di ${name}`, louder: `alza il volume di ${name}` }),
  "nl-NL": (name) => ({ previous: `vorige nummer op ${name}`, play: `hervat ${name}`, pause: `pauzeer ${name}`, next: `volgende nummer op ${name}`, quieter: `zet ${name} zachter`, louder: `zet ${name} harder` }),
};

function updateButtons(buttons, player, playing) {
  const sentences = (BUTTON_SENTENCES[language()] || BUTTON_SENTENCES["en-US"])(player.name);
  for (const [name, sentence] of Object.entries(sentences)) {
    const label = LABELS[name];
    buttons[name].dataset.say = sentence;
    buttons[name].setAttribute("aria-label", `${label}, ${player.name}`);
    buttons[name].title = `“Alexa, ${sentence}”`;
  }
  // The button that goes must not take the keyboard's place with it.
  const focused = document.activeElement;
  buttons.play.hidden = playing;
  buttons.pause.hidden = !playing;
  if (focused === buttons.play && playing) buttons.pause.focus();
  if (focused === buttons.pause && !playing) buttons.play.focus();
}

function stateWord(player) {
  if (!player.available) return "Not reachable";
  if (player.powered === false) return "Off";
  if (player.state === "playing") return player.muted ? "Playing, muted" : "Playing";
  const rest = player.state === "paused" ? "Paused" : "Idle";
  return player.muted ? `${rest}, muted` : rest;
}

/** A card glows when something about it changed that somebody asked for. */
function noticeChange(card, player) {
  const now = JSON.stringify([player.state, player.volume, player.muted, player.powered, player.available, player.now_playing]);
  if (card.seen && card.seen !== now) {
    card.item.classList.remove("changed");
    void card.item.offsetWidth; // Starts the animation anew.
    card.item.classList.add("changed");
  }
  card.seen = now;
}

function updateTime(card) {
  const player = card.player;
  if (!player || card.time.hidden) return;
  const running = player.state === "playing" ? (performance.now() - home.receivedAt) / 1000 : 0;
  const length = player.duration_s || 0;
  const elapsed = Math.min((player.elapsed_s || 0) + running, length || Infinity);
  card.elapsed.textContent = clock(elapsed);
  card.length.textContent = length ? clock(length) : "live";
  card.fill.style.width = length ? `${(100 * elapsed) / length}%` : "100%";
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const initials = (title) => title.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).slice(0, 2).map((word) => [...word.replace(/^[^\p{L}\p{N}]+/u, "")][0].toUpperCase()).join("") || "♪";

function hue(title) {
  let sum = 7;
  for (const character of title) sum = (sum * 131 + character.codePointAt(0)) % 1000003;
  return String(sum % 6);
}

function listen() {
  const events = new EventSource("/simulator/api/events");
  events.onmessage = (event) => showState(JSON.parse(event.data));
  // The browser tries again by itself.
  events.onerror = () => showOnline("off", "cannot be seen: is the demo still running?");
}

// --- Suggestions -----------------------------------------------------------------------------------------------------

const TITLES = ["Kind of Blue", "Homogenic", "Abbey Road", "Dinner Jazz", "Pastel Blues"];

const language = () => $("locale").value;

/** What one can say in another language than English. */
const ELSEWHERE = {
  "de-DE": (name) => [`spiele Kind of Blue auf ${name}`, `stelle ${name} auf 30 Prozent`, "was läuft", "stoppe in 20 Minuten", "springe 30 Sekunden vor", "merk dir dieses Lied", "spiele etwas Ähnliches", "Hilfe"],
  "fr-FR": (name) => [`joue Kind of Blue sur ${name}`, `règle ${name} sur 40 pour cent`, "qu'est-ce qui passe", "arrête dans 20 minutes", "avance de 30 secondes", "enregistre cette chanson", "mets un peu de jazz", "aide"],
  "es-ES": (name) => [`pon Kind of Blue en ${name}`, `pon el volumen de ${name} al 45`, "qué suena", "para en 20 minutos", "avanza 30 segundos", "guarda esta canción", "pon un poco de jazz", "ayuda"],
  "it-IT": (name) => [`metti Kind of Blue su ${name}`, `imposta il volume di ${name} a 50`, "cosa sta suonando", "fermati tra 20 minuti", "vai avanti di 30 secondi", "salva questa canzone", "metti un po' di jazz", "aiuto"],
  "nl-NL": (name) => [`speel Kind of Blue op ${name}`, `zet ${name} op 40`, "wat speelt er", "stop over 20 minuten", "ga 30 seconden vooruit", "bewaar dit nummer", "speel wat jazz", "hulp"],
};

/** A few sentences per player that make sense in its present state. */
function ideas() {
  const ready = home.players.filter((player) => player.available);
  if (ELSEWHERE[language()]) return ELSEWHERE[language()](ready.length ? ready[0].name : "Kitchen");
  const sentences = ready.map((player, place) => `play ${TITLES[place % TITLES.length]} in ${inTheRoom(player.name)}`).slice(0, 2);
  for (const player of ready) {
    const room = inTheRoom(player.name);
    const name = player.name.toLowerCase();
    if (player.state === "playing") {
      sentences.push(`what's playing in ${room}`, `pause ${room}`, `next song in ${room}`);
    } else if (player.state === "paused") {
      sentences.push(`resume ${room}`);
    }
    sentences.push(`set ${name} volume to ${player.volume === 30 ? 45 : 30}`);
    if (player.state === "playing" || player.powered === false) sentences.push(player.powered === false ? `turn on ${name}` : `turn off ${name}`);
  }
  const last = ready[ready.length - 1];
  if (last && last.powered !== false) sentences.push(`turn off ${last.name.toLowerCase()}`);
  sentences.push("stop in 20 minutes", "discover devices", "ask Music Assistant for help", "stop");
  return [...new Set(sentences)].slice(0, 12);
}

let shownIdeas = "";

function showIdeas() {
  const sentences = ideas();
  const list = $("ideas");
  // Chips that are being used with the keyboard stay where they are.
  if (sentences.join("\n") === shownIdeas || list.contains(document.activeElement)) return;
  shownIdeas = sentences.join("\n");
  list.replaceChildren(
    ...sentences.map((sentence) => {
      const chip = make("button", "chip", sentence);
      chip.type = "button";
      chip.addEventListener("click", () => say(sentence));
      return make("li", "", chip);
    }),
  );
}

// --- Saying something ------------------------------------------------------------------------------------------------

const said = { history: [], place: 0, busy: false };

async function say(text) {
  const sentence = text.trim();
  if (!sentence || said.busy) return;
  said.busy = true;
  remember(sentence);
  $("send").setAttribute("aria-disabled", "true");
  showBubble("waiting", sentence, "One moment");
  try {
    const answer = await fetch("/simulator/api/say", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: sentence, locale: language(), device: $("device").value, linked: $("account").value === "linked" }),
    });
    const result = await answer.json();
    if (answer.ok && !result.error) showAnswer(result);
    else showTrouble(sentence, (result.error && result.error.message) || `The demo answered with status ${answer.status}.`);
  } catch {
    showTrouble(sentence, "The demo does not answer. Is it still running?");
  } finally {
    said.busy = false;
    $("send").removeAttribute("aria-disabled");
  }
}

function remember(sentence) {
  said.history = said.history.filter((earlier) => earlier !== sentence).concat(sentence).slice(-30);
  said.place = said.history.length;
}

function showBubble(kind, heard, speech, ...more) {
  const bubble = make("div", `bubble ${kind}`, make("p", "heard", `“Alexa, ${heard.replace(/^alexa,?\s*/i, "")}”`), make("p", "speech", speech), ...more);
  $("answer").replaceChildren(bubble);
  // Who pressed a button on a card is looking at the card.
  if (!document.activeElement.closest(".card")) bubble.scrollIntoView({ block: "nearest" });
}

function showTrouble(sentence, message) {
  $("details").hidden = true;
  showBubble("trouble", sentence, message);
}

function showAnswer(result) {
  const { text, aside, trouble } = spokenForm(result);
  const more = [aside ? make("p", "aside", aside) : null, result.speech ? aloud(result.speech) : null];
  showBubble(trouble ? "trouble" : "", result.heard, text, ...more);
  showHops(result.hops || [], result.total_micros || 0);
  showRelay(result.relay_saw);
  $("kind").textContent = result.kind === "custom" ? "custom skill request" : "smart home directive";
  $("response-kind").textContent = responseKind(result);
  showJson($("request"), result.request);
  showJson($("response"), result.response);
  $("details").hidden = false;
}

function responseKind(result) {
  const header = result.response && result.response.event && result.response.event.header;
  return header ? `${header.namespace}.${header.name}` : "spoken response";
}

/** What a person would notice: the words, or for smart home what Alexa does without words. */
function spokenForm(result) {
  if (result.speech) return { text: result.speech };
  const event = (result.response && result.response.event) || {};
  const { name } = event.header || {};
  const payload = event.payload || {};
  if (name === "ErrorResponse") return { text: payload.message || "That did not work.", aside: `Alexa was told: ${payload.type}`, trouble: true };
  if (name === "Discover.Response") return found(payload.endpoints || []);
  if (name === "StateReport") return { text: "Here is how things stand.", aside: "Alexa now knows the player’s state." };
  return { text: "OK.", aside: "Alexa says nothing to this; she plays a short chime." };
}

function found(endpoints) {
  const names = endpoints.map((endpoint) => endpoint.friendlyName);
  if (!names.length) return { text: "I did not find any devices." };
  return { text: `I found ${names.length} ${names.length === 1 ? "device" : "devices"}: ${names.join(", ")}.` };
}

function aloud(speech) {
  if (!("speechSynthesis" in window)) return null;
  const button = make("button", "aloud", "Hear it");
  button.type = "button";
  button.addEventListener("click", () => {
    speechSynthesis.cancel();
    const utterance = new SpeechSynthesisUtterance(speech);
    utterance.lang = language();
    speechSynthesis.speak(utterance);
  });
  return button;
}

// --- The way it took -------------------------------------------------------------------------------------------------

const PLACES = { dispatch: "in-relay", route: "in-relay", carry: "in-relay", open: "in-home", execute: "in-home", "open, execute": "in-home" };

function showHops(hops, total) {
  const whole = Math.max(1, hops.reduce((sum, hop) => sum + hop.micros, 0));
  let start = 0;
  const rows = hops.map((hop, place) => {
    const bar = make("span", "bar");
    bar.style.left = `${Math.min(98.5, (100 * start) / whole)}%`;
    bar.style.width = `${(100 * hop.micros) / whole}%`;
    bar.style.maxWidth = `${100 - Math.min(98.5, (100 * start) / whole)}%`;
    bar.style.animationDelay = `${place * 60}ms`;
    start += hop.micros;
    const lane = make("span", "lane", bar);
    lane.setAttribute("aria-hidden", "true");
    return make("li", `hop ${PLACES[hop.step] || "in-cloud"}`, make("span", "step", hop.step), lane, make("span", "took", duration(hop.micros)), make("span", "note", hop.note || ""));
  });
  $("hops").replaceChildren(...rows);
  $("total").replaceChildren(make("strong", "", duration(total)), " in all");
}

function duration(micros) {
  if (micros < 1000) return `${micros} µs`;
  const millis = micros / 1000;
  return millis < 1000 ? `${millis.toFixed(millis < 10 ? 1 : 0)} ms` : `${(millis / 1000).toFixed(2)} s`;
}

function showRelay(saw) {
  $("relay").hidden = !saw;
  if (!saw) return;
  const sealed = !saw.plaintext_found;
  $("seal").className = sealed ? "seal" : "seal broken";
  $("seal").replaceChildren(...(sealed ? [icon("lock"), "Sealed"] : ["Not sealed!"]));
  $("relay-text").textContent = sealed
    ? `${saw.bytes} bytes for this home. Not one word of what you said stands in them, and the relay has no key to find out.`
    : `${saw.bytes} bytes, and a word of what you said stands in them. This must not happen.`;
  const dump = $("dump");
  dump.replaceChildren();
  const bytes = (saw.hex || "").replace(/[^0-9a-f]/gi, "").match(/../g) || [];
  const width = matchMedia("(min-width: 48rem)").matches ? 16 : 8;
  for (let start = 0; start < bytes.length; start += width) {
    const row = bytes.slice(start, start + width);
    const text = row.map((byte) => printable(Number.parseInt(byte, 16))).join("");
    dump.append(`${start.toString(16).padStart(4, "0")}  `, make("b", "", row.join(" ").padEnd(width * 3)), ` ${text}\n`);
  }
  if (saw.bytes > bytes.length) dump.append(`      … and ${saw.bytes - bytes.length} more`);
}

const printable = (byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : "·");

// --- JSON ------------------------------------------------------------------------------------------------------------

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Writes JSON with its parts coloured. */
function showJson(element, value) {
  const text = JSON.stringify(value, null, 2) || "";
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    parts.push(text.slice(end, match.index));
    const kind = match[1] ? (match[2] ? "key" : "str") : "lit";
    parts.push(make("span", kind, match[1] || match[0]), match[2] || "");
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  element.replaceChildren(...parts);
  element.scrollTop = 0;
}

// --- Start -----------------------------------------------------------------------------------------------------------

$("locale").addEventListener("change", () => {
  $("say").lang = language();
  showPlayers();
  showIdeas();
});

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  say($("say").value);
  $("say").select();
});

$("say").addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || !said.history.length) return;
  event.preventDefault();
  said.place = Math.min(said.history.length, Math.max(0, said.place + step));
  $("say").value = said.history[said.place] || "";
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
  event.preventDefault();
  $("say").focus();
});

setInterval(() => home.cards.forEach(updateTime), 500);
fetch("/simulator/api/state").then((answer) => answer.json()).then(showState).catch(() => showOnline("off", "cannot be seen: is the demo running?"));
listen();
