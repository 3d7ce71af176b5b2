import { show } from '../table.ts'
import { peers } from './peers.ts'
import { geometricMean, measuredOf, ratioToBest, ratioToBsdiff } from './results.ts'
import type { ToolName } from './peers.ts'
import type { Figures, Measured, PairResult, Results } from './results.ts'

/** Everything for stdout, as Markdown. */
export function report(results: Results, { details }: { readonly details: boolean }): string {
  const parts = [sizes(results), costs(results), goals(results), ...(details ? [everything(results)] : []), setting(results)]
  return `\n${parts.join('\n')}`
}

const tools: readonly ToolName[] = ['bindery', ...peers.map((peer) => peer.name)]

/** Sizes against bsdiff's, pair by pair. */
function sizes(results: Results): string {
  const ratios = [...tools.filter((tool) => tool !== 'bsdiff'), 'hdiffz' as const]
  const head = ['pair', 'what', 'new file', 'bsdiff', ...ratios.map((tool) => (tool === 'hdiffz' ? 'hdiffz ¹' : tool)), 'ours / best peer']
  const rows = results.pairs.map((pair) => sizeCells(pair, ratios, head.length))
  const means = meanGroups(measuredOf(results, 'elf')).map(([name, group]) => [
    `**${name}**`,
    `geometric mean of ${group.length}`,
    '',
    '',
    ...ratios.map((tool) => bold(tool, showRatio(geometricMean(group.map((pair) => ratioToBsdiff(pair, tool)))))),
    strong(showRatio(geometricMean(group.map(ratioToBest)))),
  ])
  const note = '† held out: not looked at while the engine was made. ¹ Measured elsewhere on the same files, where there is a figure.\n'
  return `### Sizes: bytes of bindery and bsdiff, the others as ratios to bsdiff\n\n${markdown(head, [...rows, ...means])}\n${note}`
}

function sizeCells(pair: PairResult, ratios: readonly (ToolName | 'hdiffz')[], width: number): readonly string[] {
  const name = `${pair.name}${pair.heldOut ? ' †' : ''}`
  if ('missing' in pair) return [name, pair.what, 'skipped: could not be fetched', ...Array<string>(width - 3).fill('')]
  const { bindery, bsdiff } = pair.figures
  return [
    name,
    pair.what,
    show(pair.newBytes, 'bytes'),
    showBytes(bsdiff?.bytes),
    ...ratios.map((tool) => {
      const ratio = showRatio(ratioToBsdiff(pair, tool))
      return tool === 'bindery' ? `${showBytes(bindery?.bytes)} ${strong(ratio)}`.trim() : ratio
    }),
    showRatio(ratioToBest(pair)),
  ]
}

function meanGroups(elf: readonly Measured[]): readonly (readonly [string, readonly Measured[]])[] {
  const groups = [
    ['ELF', elf],
    ['ELF, held out', elf.filter((pair) => pair.heldOut)],
    ['ELF, arm64', elf.filter((pair) => pair.what.includes('arm64'))],
  ] as const
  return groups.filter(([, group]) => group.length > 0)
}

/** Time and memory by tool: over all ELF pairs together, and on the tree. */
function costs(results: Results): string {
  const groups = [
    ['ELF pairs', measuredOf(results, 'elf')],
    ['tree', measuredOf(results, 'tree')],
  ] as const
  const head = ['', 'tool', 'making: CPU', 'to bsdiff', 'wall', 'memory', 'applying: CPU', 'wall', 'output', 'memory']
  const rows = groups.flatMap(([name, pairs]) => tools.flatMap((tool) => costCells(name, tool, pairs)))
  return `### Time and memory: sums of time, the largest memory\n\n${markdown(head, rows)}`
}

function costCells(group: string, tool: ToolName, pairs: readonly Measured[]): readonly (readonly string[])[] {
  const figures = pairs.flatMap((pair) => pair.figures[tool] ?? [])
  if (figures.length === 0) return []
  const bsdiff = pairs.flatMap((pair) => pair.figures.bsdiff ?? [])
  const makingCpu = sum(figures, (one) => one.make.cpuSeconds)
  const applyingWall = sum(figures, (one) => one.apply.wallSeconds)
  const output = pairs.reduce((bytes, pair) => bytes + pair.newBytes, 0) / 1e6
  return [
    [
      group,
      tool,
      show(makingCpu, 's'),
      bsdiff.length === figures.length ? showRatio(makingCpu / sum(bsdiff, (one) => one.make.cpuSeconds)) : '',
      show(
        sum(figures, (one) => one.make.wallSeconds),
        's',
      ),
      show(Math.max(...figures.map((one) => one.make.peakMiB)), 'MiB'),
      show(
        sum(figures, (one) => one.apply.cpuSeconds),
        's',
      ),
      show(applyingWall, 's'),
      show(output / applyingWall, 'MB/s'),
      show(Math.max(...figures.map((one) => one.apply.peakMiB)), 'MiB'),
    ],
  ]
}

function sum(figures: readonly Figures[], of: (figures: Figures) => number): number {
  return figures.reduce((total, one) => total + of(one), 0)
}

type Goal = { readonly what: string; readonly value: number | undefined; readonly atMost?: number; readonly atLeast?: number }

/** What the engine aims at. Told, not judged: this is a measurement, not a test. */
function goals(results: Results): string {
  const elf = measuredOf(results, 'elf')
  const [tree] = measuredOf(results, 'tree')
  const [overhead] = measuredOf(results, 'overhead')
  const rows: readonly Goal[] = [
    { what: 'ELF, to bsdiff, geometric mean', value: geometricMean(elf.map((pair) => ratioToBsdiff(pair, 'bindery'))), atMost: 0.2 },
    { what: 'ELF, to the best peer of each pair, geometric mean', value: geometricMean(elf.map(ratioToBest)), atMost: 0.3 },
    { what: 'ELF, to bsdiff, worst pair', value: largest(elf.map((pair) => ratioToBsdiff(pair, 'bindery'))), atMost: 0.35 },
    { what: 'tree, to bsdiff', value: tree && ratioToBsdiff(tree, 'bindery'), atMost: 0.15 },
    { what: '3 bytes differ, size in bytes', value: overhead?.figures.bindery?.bytes, atMost: 200 },
    { what: 'ELF, making, CPU to bsdiff, geometric mean', value: geometricMean(elf.map(makingToBsdiff)), atMost: 0.3 },
    { what: 'tree, making, CPU to bsdiff', value: tree && makingToBsdiff(tree), atMost: 0.3 },
    { what: 'ELF, making, memory to 6 x file + 100 MiB, worst pair', value: largest(elf.map(makingMemory)), atMost: 1 },
    { what: 'tree, applying, MB/s', value: tree && applyingRate(tree), atLeast: 250 },
    { what: 'tree, applying, MiB', value: tree?.figures.bindery?.apply.peakMiB, atMost: 160 },
  ]
  return `### Goals\n\n${markdown(['what', 'bindery', 'goal', ''], rows.filter((row) => row.value !== undefined).map(goalCells))}`
}

function goalCells({ what, value = NaN, atMost, atLeast }: Goal): readonly string[] {
  const goal = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`
  const met = value <= (atMost ?? Infinity) && value >= (atLeast ?? -Infinity)
  return [what, value < 10 ? value.toFixed(3) : String(Math.round(value)), goal, met ? 'met' : 'missed']
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

function makingToBsdiff({ figures: { bindery, bsdiff } }: Measured): number | undefined {
  return bindery && bsdiff && bindery.make.cpuSeconds / bsdiff.make.cpuSeconds
}

function makingMemory({ figures: { bindery }, oldBytes, newBytes }: Measured): number | undefined {
  return bindery && bindery.make.peakMiB / ((6 * Math.max(oldBytes, newBytes)) / 2 ** 20 + 100)
}

function applyingRate({ figures: { bindery }, newBytes }: Measured): number | undefined {
  return bindery && newBytes / 1e6 / bindery.apply.wallSeconds
}

function everything(results: Results): string {
  const head = ['pair', 'tool', 'bytes', 'making: CPU', 'wall', 'memory', 'applying: CPU', 'wall', 'memory']
  const rows = measuredOf(results).flatMap((pair) =>
    tools.flatMap((tool) => {
      const figures = pair.figures[tool]
      if (figures === undefined) return []
      const { bytes, make, apply } = figures
      const usages = [make, apply].flatMap((one) => [show(one.cpuSeconds, 's'), show(one.wallSeconds, 's'), show(one.peakMiB, 'MiB')])
      return [[pair.name, tool, showBytes(bytes), ...usages]]
    }),
  )
  return `### Every pair and tool\n\n${markdown(head, rows)}`
}

function setting({ machine, versions, pairs }: Results): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} (${version})`)
  const files = pairs.flatMap((pair) => ('versions' in pair ? [`${pair.name} ${pair.versions.join(' to ')}`] : []))
  const hangs = pairs.reduce((count, pair) => count + ('figures' in pair ? (pair.figures.bindery?.hangs ?? 0) : 0), 0)
  const hung = hangs === 0 ? '' : `bindery did not end in ${hangs} of its runs, was killed and measured anew.\n\n`
  return `${hung}${machine.date}, ${machine.cores} cores of ${machine.processor}, Node ${machine.node}; ${programs.join(', ')}. Pairs: ${files.join('; ')}.\n`
}

/** Without the columns of what was not measured. */
function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  const kept = lines.map((cells) => cells.filter((_, column) => rows.some((row) => (row[column] ?? '') !== '')))
  return kept.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function bold(tool: string, text: string): string {
  return tool === 'bindery' ? strong(text) : text
}

function strong(text: string): string {
  return text === '' ? '' : `**${text}**`
}

function showRatio(ratio: number | undefined): string {
  return ratio === undefined ? '' : ratio.toFixed(ratio < 1 ? 3 : 2)
}

function showBytes(bytes: number | undefined): string {
  return bytes === undefined ? '' : bytes.toLocaleString('en-US')
}
