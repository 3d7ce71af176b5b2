import { html } from '../html.ts'
import { spanOf } from './parts.ts'
import type { BuildRow } from '../../port/farm-view.ts'
import type { Html } from '../html.ts'

const barWidth = 10
const height = 64
const mostBars = 60

/** A bar for each finished build, the oldest on the left; the failed ones look otherwise. */
export function durationChart(builds: readonly BuildRow[]): Html {
  const bars = builds.flatMap(barOf).slice(0, mostBars).reverse()
  if (bars.length === 0) return html`<p class="none">No build of it has ended.</p>`
  const longest = Math.max(...bars.map(({ spent }) => spent), 1)
  const shortest = Math.min(...bars.map(({ spent }) => spent))
  const label = `The last ${bars.length} builds took between ${spanOf(shortest)} and ${spanOf(longest)}.`
  return html`<figure class="bars"><svg role="img" aria-label="${label}" viewBox="0 0 ${bars.length * barWidth} ${height}" width="${bars.length * barWidth}" height="${height}">${bars.map(
    ({ spent, state, title }, i) => {
      const tall = Math.max(2, Math.round((spent / longest) * height))
      return html`<rect class="s-${state}" x="${i * barWidth}" y="${height - tall}" width="${barWidth - 2}" height="${tall}"><title>${title}</title></rect>`
    },
  )}</svg><figcaption class="dim">${label}</figcaption></figure>`
}

type Bar = { readonly spent: number; readonly state: 'failed' | 'built'; readonly title: string }

function barOf({ attempt, arch }: BuildRow): Bar[] {
  if (attempt?.ended === undefined || (attempt.outcome !== 'built' && attempt.outcome !== 'failed')) return []
  const spent = attempt.ended - attempt.started
  return [{ spent, state: attempt.outcome, title: `${arch}, ${attempt.builder}: ${attempt.outcome} after ${spanOf(spent)}` }]
}
