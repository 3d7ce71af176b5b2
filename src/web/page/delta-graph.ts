import { showSize } from '../../base/show-size.ts'
import { html } from '../html.ts'
import type { ChannelAccount, ReleaseAccount } from '../../engine/repo/channel-account.ts'
import type { Html } from '../html.ts'

/** More releases would not be told apart. */
const mostReleases = 12
const apart = 96
const margin = 56
const below = 44
const top = 12

/** Releases on a line, an arc for each delta between two of them: the smaller the delta, the thinner. */
export function deltaGraph({ channel, releases }: ChannelAccount): Html {
  const shown = releases.slice(-mostReleases)
  const places = new Map(shown.map(({ name }, i) => [name, margin + i * apart]))
  const highest = Math.max(0, ...shown.flatMap(({ name, deltas }) => deltas.map(({ from }) => heightOf(places, from, name))))
  const baseline = top + Math.round(0.75 * highest)
  const width = 2 * margin + Math.max(0, shown.length - 1) * apart
  const label = `The last ${shown.length} releases of ${channel} and the deltas between them; the table below says the same.`
  return html`<div class="graph" tabindex="0" role="group" aria-label="Picture of the deltas"><svg role="img" aria-label="${label}" viewBox="0 0 ${width} ${baseline + below}" width="${width}" height="${baseline + below}">
<line class="axis" x1="${margin}" y1="${baseline}" x2="${width - margin}" y2="${baseline}"/>
${shown.map((release) => arcs(release, places, baseline))}
${shown.map((release) => node(release, places.get(release.name) ?? 0, baseline))}
</svg></div>`
}

/** Of releases, from the left. */
type Places = ReadonlyMap<string, number>

/** Of the control points of an arc; its peak is at three quarters of it. */
function heightOf(places: Places, from: string, to: string): number {
  const [start, end] = [places.get(from), places.get(to)]
  return start === undefined || end === undefined ? 0 : Math.min(110, 26 + ((end - start) / apart) * 18)
}

function arcs({ name, full, deltas }: ReleaseAccount, places: Places, baseline: number): Html[] {
  const to = places.get(name) ?? 0
  return deltas.flatMap(({ from, size }) => {
    const start = places.get(from)
    if (start === undefined) return []
    const high = heightOf(places, from, name)
    const thick = Math.max(1, Math.min(8, (size / Math.max(1, full)) * 24))
    const middle = (start + to) / 2
    return [
      html`<path class="arc" d="M${start} ${baseline}C${start} ${baseline - high} ${to} ${baseline - high} ${to} ${baseline}" stroke-width="${thick.toFixed(1)}"><title>${from} to ${name}: ${showSize(size)}</title></path>
${to - start === apart && html`<text class="size" x="${middle}" y="${baseline + 16}">${showSize(size)}</text>`}`,
    ]
  })
}

function node({ name, full, security, sequence }: ReleaseAccount, x: number, baseline: number): Html {
  return html`<circle class="${security ? 'release security' : 'release'}" cx="${x}" cy="${baseline}" r="6"><title>${name}: ${showSize(full)} whole</title></circle>
<text x="${x}" y="${baseline + 36}">${shortName(name, sequence)}</text>`
}

/** The revision, which tells releases of one channel apart. */
function shortName(name: string, sequence: number): string {
  const parts = name.split('-')
  return parts.length >= 4 ? parts.slice(-3, -2).join('-').slice(0, 12) : `#${sequence}`
}
