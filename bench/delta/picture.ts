import { geometricMean, measuredOf, ratioToBsdiff } from './results.ts'
import type { ToolName } from './peers.ts'
import type { Measured, Results } from './results.ts'

/** Horizontal bars, a group for each pair: the size of a delta as a ratio to bsdiff's. What is longer than the scale is cut and tells its number. */
export function drawSizes(results: Results): string {
  const groups = groupsOf(results)
  const height = top + groups.length * groupHeight + 44
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="13" fill="#1f2933">`,
    '<title>Size of deltas against bsdiff</title>',
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="16" y="28" font-size="17" font-weight="600">Size of deltas, bsdiff = 1 (shorter is better)</text>`,
    ...legend(),
    ...scale(height - 44),
    ...groups.map(group),
    `<text x="16" y="${height - 12}" font-size="11" fill="#52606d">${escape(footer(results))}</text>`,
    '</svg>',
    '',
  ].join('\n')
}

type Group = { readonly label: string; readonly what: string; readonly ratios: readonly (number | undefined)[]; readonly heavy: boolean }

type Bar = { readonly tool: ToolName; readonly colour: string; readonly height: number }

const bars: readonly Bar[] = [
  { tool: 'bindery', colour: '#0b6e4f', height: 12 },
  { tool: 'zstd -22', colour: '#8fa3b5', height: 7 },
  { tool: 'xdelta3 -9 lzma', colour: '#d3a15f', height: 7 },
]

const width = 860
const left = 230
const right = 770
const top = 76
const groupHeight = 40
const longest = 2

function groupsOf(results: Results): readonly Group[] {
  const elf = measuredOf(results, 'elf')
  const mean = bars.map(({ tool }) => geometricMean(elf.map((pair) => ratioToBsdiff(pair, tool))))
  return [
    { label: 'ELF, geometric mean', what: `of ${elf.length} pairs`, ratios: mean, heavy: true },
    ...measuredOf(results, 'tree').map(groupOf),
    ...elf.map(groupOf),
  ]
}

function groupOf(pair: Measured): Group {
  return { label: pair.name, what: pair.what, ratios: bars.map(({ tool }) => ratioToBsdiff(pair, tool)), heavy: false }
}

function group({ label, what, ratios, heavy }: Group, index: number): string {
  const y = top + index * groupHeight
  const weight = heavy ? ' font-weight="600"' : ''
  const texts = [
    `<text x="${left - 12}" y="${y + 14}" text-anchor="end"${weight}>${escape(label)}</text>`,
    `<text x="${left - 12}" y="${y + 28}" text-anchor="end" font-size="11" fill="#52606d">${escape(what)}</text>`,
  ]
  let at = y + 3
  for (const [i, { colour, height }] of bars.entries()) {
    const ratio = ratios[i]
    if (ratio !== undefined) texts.push(...bar(ratio, at, height, colour, i === 0))
    at += height + 2
  }
  return texts.join('\n')
}

function bar(ratio: number, y: number, height: number, colour: string, isOurs: boolean): readonly string[] {
  const end = xOf(Math.min(ratio, longest))
  const isCut = ratio > longest
  const shape = `<rect x="${left}" y="${y}" width="${round(end - left)}" height="${height}" fill="${colour}"/>`
  if (!isOurs && !isCut) return [shape]
  const size = isOurs ? 12 : 10
  const text = `${isCut ? '▸ ' : ''}${ratio.toFixed(isOurs ? 2 : 1)}`
  const look = isOurs ? ' font-weight="600"' : ' fill="#52606d"'
  return [shape, `<text x="${round(end + 5)}" y="${y + height - (isOurs ? 1.5 : -1)}" font-size="${size}"${look}>${text}</text>`]
}

function legend(): readonly string[] {
  return bars.flatMap(({ tool, colour }, index) => {
    const x = left + index * 130
    return [`<rect x="${x}" y="42" width="12" height="12" fill="${colour}"/>`, `<text x="${x + 18}" y="53">${tool}</text>`]
  })
}

function scale(bottom: number): readonly string[] {
  return [0, 0.5, 1, 1.5, 2].flatMap((ratio) => {
    const x = xOf(ratio)
    const look = ratio === 1 ? 'stroke="#b42318" stroke-dasharray="4 3"' : 'stroke="#e4e7eb"'
    return [
      `<line x1="${x}" y1="${top - 4}" x2="${x}" y2="${bottom}" ${look}/>`,
      `<text x="${x}" y="${bottom + 14}" text-anchor="middle" font-size="11" fill="${ratio === 1 ? '#b42318' : '#52606d'}">${ratio === 1 ? 'bsdiff = 1' : ratio}</text>`,
    ]
  })
}

function footer({ machine, versions }: Results): string {
  return `bindery ${versions.bindery ?? ''}, ${machine.date}. Written by make bench-delta.`
}

function xOf(ratio: number): number {
  return left + ((right - left) * ratio) / longest
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
