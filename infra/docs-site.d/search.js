// Search in WORDS, a list of [address, document, heading, text]. All words must occur; in a heading they weigh most.
const form = document.querySelector('search form')
const asked = document.querySelector('#asked')
const found = document.querySelector('#found')
const MOST = 12
const AROUND = 60

function weigh([, title, heading, text], words) {
  const places = [heading.toLowerCase(), title.toLowerCase(), text.toLowerCase()]
  let weight = 0
  for (const word of words) {
    const place = places.findIndex((place) => place.includes(word))
    if (place < 0) return 0
    weight += [9, 3, 1][place]
  }
  return weight
}

function excerpt(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - AROUND)
  return (at > 0 ? '… ' : '') + text.slice(at, at + 3 * AROUND) + (text.length > at + 3 * AROUND ? ' …' : '')
}

function show() {
  const words = asked.value.toLowerCase().split(/\s+/).filter(Boolean)
  found.hidden = words.length === 0
  if (found.hidden) return
  const best = WORDS.map((entry) => [weigh(entry, words), entry]).filter(([weight]) => weight > 0)
  best.sort(([one], [other]) => other - one)
  const list = document.createElement('ul')
  for (const [, [address, title, heading, text]] of best.slice(0, MOST)) {
    const link = document.createElement('a')
    link.href = address
    link.textContent = heading === title ? title : `${title}: ${heading}`
    const item = document.createElement('li')
    const around = document.createElement('p')
    around.textContent = excerpt(text, words[0])
    item.append(link, around)
    list.append(item)
  }
  const count = document.createElement('p')
  count.textContent = best.length === 0 ? 'Nothing found' : `${best.length} found`
  found.replaceChildren(count, list)
}

form.hidden = false
form.addEventListener('submit', (event) => {
  event.preventDefault()
  found.querySelector('a')?.click()
})
asked.addEventListener('input', show)
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== asked) {
    event.preventDefault()
    asked.focus()
  } else if (event.key === 'Escape' && document.activeElement === asked) {
    asked.value = ''
    show()
  }
})
found.addEventListener('click', (event) => {
  // A place on this page: the list would stay before it.
  if (event.target.closest('a')) found.hidden = true
})
