import { execFileSync } from 'node:child_process'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { bindery, machine } from '../harness.ts'
import { show } from '../table.ts'
import { figuresOf } from './measure.ts'
import { fetchOrTell } from './pairs.ts'
import { ours, peers } from './peers.ts'
import { geometricMean, ratioToBsdiff, unmeasured } from './results.ts'
import type { Files, Pair } from './pairs.ts'
import type { Tool, ToolName } from './peers.ts'
import type { Measured } from './results.ts'

/** Deltas between packages as they are shipped, beside those of the peers: `make bench-containers`. Writes bench/results-containers.json. */

const packages: readonly Pair[] = [
  ...[
    'curl',
    'libcurl4',
    'libssl3',
    'libc6',
    'bind9-libs',
    'sudo',
    'tzdata',
    'libxml2',
    'perl-base',
    'python3.11-minimal',
    'openssh-client',
    'systemd',
  ].map(debian),
  ...['curl', 'openssh-client', 'python3.11-minimal'].map(pbi),
  npm('lodash', '4.17.20', '4.17.21'),
  npm('express', '4.18.2', '4.19.2'),
  npm('react-dom', '18.2.0', '18.3.1'),
  npm('typescript', '5.4.4', '5.4.5'),
  npm('axios', '1.6.7', '1.6.8'),
  npm('webpack', '5.90.2', '5.90.3'),
  npm('eslint', '8.56.0', '8.57.0'),
  npm('prettier', '3.2.4', '3.2.5'),
  npm('vue', '3.4.20', '3.4.21'),
  npm('moment', '2.29.3', '2.29.4'),
  npm('rxjs', '7.8.0', '7.8.1'),
  npm('jquery', '3.7.0', '3.7.1'),
]

function debian(name: string): Pair {
  return { name: `deb-${name}`, kind: 'container', what: '.deb', heldOut: false, source: { kind: 'debian-package', name } }
}

function pbi(name: string): Pair {
  return { name: `pbi-${name}`, kind: 'container', what: '.pbi', heldOut: false, source: { kind: 'pbi', name } }
}

function npm(name: string, old: string, next: string): Pair {
  return { name: `npm-${name}`, kind: 'container', what: '.tgz', heldOut: false, source: { kind: 'npm-package', name, old, new: next } }
}

/** What comes out is the package, digest and all: with a .tgz that has to be asked for. */
const exact: Tool = { ...ours, make: () => `${bindery} delta --exact old new -o delta` }
/** By itself it unpacks a .tgz, and packs another one that is not the same. */
const closed = (tool: Tool): Tool =>
  tool.name === 'xdelta3 -9 lzma'
    ? {
        ...tool,
        make: (files) => tool.make(files).replace('xdelta3', 'xdelta3 -D'),
        apply: (files) => tool.apply(files).replace('xdelta3', 'xdelta3 -D -R'),
      }
    : tool

const compared: readonly ToolName[] = ['bsdiff', 'xdelta3 -9 lzma', 'zstd -19']

/** How the pieces of a package were handled, as `--explain` tells. */
type Handled = { readonly gzip: number; readonly gzipExact: number; readonly pieces: number; readonly exact: number }

type Line = { readonly measured: Measured; readonly handled: Handled }

async function main(words: readonly string[]): Promise<number> {
  if (!existsSync('bin/bindery')) throw new Error('run it from the top of the project')
  const { values } = parseArgs({ args: [...words], options: { only: { type: 'string', multiple: true, default: [] } } })
  const tools = [exact, ...peers.filter(({ name }) => compared.includes(name)).map(closed)]
  const lines: Line[] = []
  for (const pair of packages.filter(({ name }) => values.only.length === 0 || values.only.includes(name))) {
    const line = await measurePair(pair, tools)
    if (line !== undefined) lines.push(line)
  }
  if (values.only.length === 0) save(lines, tools)
  process.stdout.write(report(lines))
  return 0
}

async function measurePair(pair: Pair, tools: readonly Tool[]): Promise<Line | undefined> {
  const files = fetchOrTell(pair)
  if ('missing' in files) return undefined
  let measured = unmeasured(pair, files)
  for (const tool of tools) measured = { ...measured, figures: { ...measured.figures, [tool.name]: await figuresOf(tool, files, 1) } }
  return { measured, handled: handledIn(files) }
}

/** Of one package made from nothing that it has in common with, so that none of its pieces is unchanged. */
function handledIn({ new: file }: Files): Handled {
  const command = `printf x | gzip >empty.$$ && ${bindery} delta --exact --explain --json empty.$$ '${file}' -o delta.$$; rm -f empty.$$ delta.$$`
  const told = execFileSync('bash', ['-c', command], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const lines = told
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PieceLine)
  const pieces = lines.filter(({ piece }) => piece !== undefined)
  const gzips = pieces.filter(({ piece }) => piece === 'gzip' || piece === 'deflate')
  const count = (list: readonly PieceLine[]): number => list.filter(isExact).length
  return { gzip: gzips.length, gzipExact: count(gzips), pieces: pieces.length, exact: count(pieces) }
}

type PieceLine = { readonly piece?: string; readonly handled?: string; readonly why?: string }

/** Where the whole is left closed it was not because of the piece. */
function isExact({ handled, why }: PieceLine): boolean {
  return handled === 'bit for bit' || why === 'larger if it is opened'
}

const resultsFile = 'bench/results-containers.json'

function save(lines: readonly Line[], tools: readonly Tool[]): void {
  const versions = Object.fromEntries(tools.map((tool) => [tool.name, tool.version()]))
  writeFileSync(`${resultsFile}.new`, `${JSON.stringify({ machine: machine(), versions, pairs: lines }, null, 2)}\n`)
  renameSync(`${resultsFile}.new`, resultsFile)
}

function report(lines: readonly Line[]): string {
  const head = [
    'package',
    'new file',
    'bindery',
    'to bsdiff',
    ...compared.slice(1).map((name) => `${name} to bsdiff`),
    'bsdiff',
    'pieces, bit for bit',
    'apply',
  ]
  const rows = lines.map(({ measured, handled }) => [
    `${measured.name} ${measured.versions.join(' to ')}`,
    show(measured.newBytes, 'bytes'),
    String(measured.figures.bindery?.bytes),
    ...(['bindery', ...compared.slice(1)] as const).map((tool) => ratioToBsdiff(measured, tool)?.toFixed(3) ?? ''),
    String(measured.figures.bsdiff?.bytes),
    `${handled.exact} of ${handled.pieces}`,
    show(measured.figures.bindery?.apply.wallSeconds ?? NaN, 's'),
  ])
  const means = ['', '.deb', '.pbi', '.tgz'].map((what) =>
    meanRow(
      what,
      lines.filter(({ measured }) => measured.what.includes(what)),
    ),
  )
  const cells = [head, head.map(() => '---'), ...rows, ...means]
  return `\n${cells.map((row) => `| ${row.join(' | ')} |\n`).join('')}\n`
}

function meanRow(what: string, lines: readonly Line[]): readonly string[] {
  const ratios = (['bindery', ...compared.slice(1)] as readonly ToolName[]).map((tool) =>
    geometricMean(lines.map(({ measured }) => ratioToBsdiff(measured, tool))),
  )
  const sum = (key: keyof Handled): number => lines.reduce((total, { handled }) => total + handled[key], 0)
  const gzips = sum('gzip') === 0 ? '' : `, gzip ${sum('gzipExact')} of ${sum('gzip')}`
  return [
    `**${what === '' ? 'all' : what}**`,
    '',
    '',
    ...ratios.map((ratio) => ratio?.toFixed(3) ?? ''),
    '',
    `${sum('exact')} of ${sum('pieces')}${gzips}`,
    '',
  ]
}

process.exitCode = await main(process.argv.slice(2))
