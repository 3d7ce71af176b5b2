// Keeps a page that is open up to date: asks the server for the page anew when something has happened, and puts what
// differs in place, so that focus, selection and scrolling stay. Without it the pages say the same, once.

const body = document.body
let serverAhead = Number(body.dataset.now) - Date.now()
const now = () => Date.now() + serverAhead

// The same words as the server's spanOf.
function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`
}

function tick() {
  for (const time of document.querySelectorAll('time[data-since]')) {
    const text = span(now() - Number(time.dataset.since))
    if (time.textContent !== text) time.textContent = text
  }
  for (const bar of document.querySelectorAll('progress[data-started]')) bar.value = Math.min(bar.max, now() - Number(bar.dataset.started))
}

// Makes `to` out of `from`, keeping every element that is in both.
function morph(from, to) {
  for (const { name } of Array.from(from.attributes)) if (!to.hasAttribute(name)) from.removeAttribute(name)
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value)
  let place = from.firstChild
  for (const wanted of Array.from(to.childNodes)) {
    const match = findMatch(from, place, wanted)
    if (match === null) from.insertBefore(wanted, place)
    else {
      if (match !== place) from.insertBefore(match, place)
      else place = place.nextSibling
      if (match.nodeType !== 1) {
        if (match.nodeValue !== wanted.nodeValue) match.nodeValue = wanted.nodeValue
      } else if (!match.hasAttribute('data-log')) morph(match, wanted)
    }
  }
  while (place !== null) {
    const next = place.nextSibling
    place.remove()
    place = next
  }
}

// An element with an id is itself wherever it stands; any other is the next of its kind.
function findMatch(parent, place, wanted) {
  if (wanted.id) {
    const known = document.getElementById(wanted.id)
    return known !== null && known.parentNode === parent && known.nodeName === wanted.nodeName ? known : null
  }
  return place !== null && place.nodeName === wanted.nodeName && !place.id ? place : null
}

async function renew() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } })
  if (!answer.ok) return
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
  serverAhead = Number(fresh.body.dataset.now) - Date.now()
  const focused = document.activeElement?.id
  morph(document.getElementById('main'), fresh.getElementById('main'))
  if (focused && document.activeElement === body) document.getElementById(focused)?.focus()
  tick()
  followLogs()
}

// At most one request at a time and one in two seconds, however much happens.
let due = false
let running = false
async function renewSoon() {
  due = true
  if (running) return
  running = true
  while (due) {
    due = false
    await renew().catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 2000))
  }
  running = false
}

const sign = document.getElementById('live')
function showLive(state, text) {
  if (sign === null) return
  sign.className = state
  if (sign.textContent !== text) sign.textContent = text
}

function follow(path) {
  const source = new EventSource(path)
  // Something may have happened since the page was made, or since the connection was lost.
  source.addEventListener('open', () => {
    showLive('on', 'live')
    void renewSoon()
  })
  source.addEventListener('change', () => void renewSoon())
  source.addEventListener('error', () => showLive('off', 'not connected'))
}

const followed = new WeakSet()
function followLogs() {
  for (const pre of document.querySelectorAll('[data-log]')) if (!followed.has(pre)) followLog(pre)
}

// A log grows at its end; whoever has scrolled up is left alone.
function followLog(pre) {
  followed.add(pre)
  pre.scrollTop = pre.scrollHeight
  const source = new EventSource(`${pre.dataset.log}?from=${pre.dataset.from}`)
  source.addEventListener('part', ({ data }) => {
    const atEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40
    pre.append(JSON.parse(data))
    if (atEnd) pre.scrollTop = pre.scrollHeight
  })
  source.addEventListener('end', () => {
    source.close()
    pre.removeAttribute('data-log')
    void renewSoon()
  })
}

if (body.dataset.live) follow(body.dataset.live)
followLogs()
setInterval(tick, 1000)
