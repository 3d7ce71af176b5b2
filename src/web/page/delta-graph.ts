import { showSize } from '../../base/show-size.ts'
import { html } from '../html.ts'
import type { ChannelAccount, ReleaseAccount } from '../../engine/repo/channel-account.ts'
import type { Html } from '../html.ts'

/** More releases would not be told apart. */
const mostReleases = 12
const apart = 96
const margin = 56
const baseline = 120
const below = 44

/** Releases on a line, an arc for each delta between two of them: the smaller the delta, the thinner. */
export function deltaGraph({ channel, releases }: ChannelAccount): Html {
  const shown = releases.slice(-mostReleases)
  const places = new Map(shown.map(({ name }, i) => [name, margin + i * apart]))
  const width = 2 * margin + Math.max(0, shown.length - 1) * apart
  const label = `The last ${shown.length} releases of ${channel} and the deltas between them; the table below says the same.`
  return html`<div class="graph" tabindex="0" role="group" aria-label="Picture of the deltas">
    <svg role="img" aria-label="${label}" viewBox="0 0 ${width} ${baseline + below}" width="${width}" height="${baseline + below}">
      <line class="axis" x1="${margin}" y1="${baseline}" x2="${width - margin}" y2="${baseline}" />
      ${shown.map((release) => arcs(release, places))} ${shown.map((release) => node(release, places.get(release.name) ?? 0))}
    </svg>
  </div>`
}

function arcs({ name, full, deltas }: ReleaseAccount, places: ReadonlyMap<string, number>): Html[] {
  const to = places.get(name) ?? 0
  return deltas.flatMap(({ from, size }) => {
    const start = places.get(from)
    if (start === undefined) return []
    const high = Math.min(baseline - 14, 26 + ((to - start) / apart) * 18)
    const thick = Math.max(1, Math.min(8, (size / Math.max(1, full)) * 24))
    const middle = (start + to) / 2
    return [
      html`<path
          class="arc"
          d="M${start} ${baseline}C${start} ${baseline - high} ${to} ${baseline - high} ${to} ${baseline}"
          stroke-width="${thick.toFixed(1)}"
          ><title>${from} to ${name}: ${showSize(size)}</title></path
        >
        ${to - start === apart && html`<text class="size" x="${middle}" y="${baseline + 16}">${showSize(size)}</text>`}`,
    ]
  })
}

function node({ name, full, security, sequence }: ReleaseAccount, x: number): Html {
  return html`<circle class="${security ? 'release security' : 'release'}" cx="${x}" cy="${baseline}" r="6"
      ><title>${name}: ${showSize(full)} whole</title></circle
    >
    <text x="${x}" y="${baseline + 36}">${shortName(name, sequence)}</text>`
}

/** The revision, which tells releases of one channel apart. */
function shortName(name: string, sequence: number): string {
  const parts = name.split('-')
  return parts.length >= 4 ? parts.slice(-3, -2).join('-').slice(0, 12) : `#${sequence}`
}
