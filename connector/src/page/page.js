// Keeps a page fresh that is looked at: the parts marked as live are replaced by what they are now. Without this script the pages
// work as well; those on which there is nothing to do but wait then load themselves again.
'use strict'

const every = Number(document.body.dataset.refresh)

async function look() {
  if (document.hidden) return
  const answer = await fetch(location.href, { cache: 'no-store' }).catch(() => undefined)
  if (!answer?.ok) return
  const now = new DOMParser().parseFromString(await answer.text(), 'text/html')
  if (now.body.dataset.kind !== document.body.dataset.kind) {
    location.reload()
    return
  }
  for (const part of document.querySelectorAll('[data-live]')) {
    const fresh = now.getElementById(part.id)
    if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes)
  }
}

if (every > 0) setInterval(look, every * 1000)

for (const button of document.querySelectorAll('[data-copy]')) {
  button.hidden = false
  button.addEventListener('click', async () => {
    const text = document.getElementById(button.dataset.copy)
    text.focus()
    text.select()
    // The clipboard is there for encrypted pages and this machine's own; what is selected can be copied everywhere.
    await navigator.clipboard?.writeText(text.value).catch(() => undefined)
  })
}
