import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

/** What each layer may import, besides itself (ARCHITECTURE.md). Engine stages are in their order of flow. */
const stages = ['tree', 'capture', 'dist', 'delta', 'update', 'repo', 'client', 'bundle']
const beside = ['pkg', 'farm']

/** Modules that have just checked a signature chain and a digest, and may therefore mint a Verified<T>. */
const minters = new Set([
  'src/engine/repo/trust.ts',
  'src/engine/client/fetch/download.ts',
  // What signed deltas make, whose digests they name.
  'src/engine/client/fetch/patched.ts',
  // A base that was read as a whole.
  'src/command/tar-file.ts',
  // What the message of an errata patch says, whose embedded signature was checked. Not in engine/capture, which stands left
  // of engine/repo and so cannot check signatures.
  'src/command/errata-file.ts',
])

const files = globSync('src/**/*.ts').sort()

function layerOf(file: string): string {
  const [, first, second] = file.split('/') as [string, string, string | undefined]
  return first === 'engine' ? `engine/${second as string}` : first
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true
  switch (from) {
    case 'base':
      return false
    case 'port':
      return to === 'base'
    case 'format':
      return to === 'base'
    case 'host':
      return ['base', 'port', 'format', 'command'].includes(to)
    case 'command':
    case 'web':
      return to !== 'host' || from === 'command'
    case 'main.ts':
    case 'thread-works.ts':
    case 'bindery.ts':
    case 'bindery-thread.ts':
    case 'bindery-client.ts':
      return true
    default:
      return engineMayImport(from.slice('engine/'.length), to)
  }
}

function engineMayImport(stage: string, to: string): boolean {
  if (['base', 'port', 'format'].includes(to)) return true
  if (!to.startsWith('engine/')) return false
  const other = to.slice('engine/'.length)
  // The farm makes packages, and knows what they are.
  if (beside.includes(stage)) return stages.includes(other) || (stage === 'farm' && other === 'pkg')
  return stages.indexOf(other) >= 0 && stages.indexOf(other) < stages.indexOf(stage)
}

function importsOf(file: string): { path: string; line: string }[] {
  const text = readFileSync(file, 'utf8')
  const found = [...text.matchAll(/^(?:import|export)[^'"]*?from\s+'([^']+)'|import\('([^']+)'\)/gm)]
  return found.map((match) => ({ path: (match[1] ?? match[2]) as string, line: match[0] }))
}

test('every import follows the order of the layers', () => {
  const wrong: string[] = []
  for (const file of files) {
    for (const { path, line } of importsOf(file)) {
      if (!path.startsWith('.')) continue
      const target = normalize(join(dirname(file), path))
      if (target === 'package.json') continue
      const typeOnly = line.startsWith('import type')
      const from = layerOf(file)
      const to = layerOf(target)
      if (from === 'host' && to === 'command' && typeOnly) continue
      if (from === 'host' && to === 'command') wrong.push(`${file} imports ${target} for more than its types`)
      else if (!mayImport(from, to)) wrong.push(`${file} (${from}) imports ${target} (${to})`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('formats and engine name no file system, process, network, clock or chance', () => {
  const banned =
    /\bnode:(?!crypto'|zlib')\w+|\bprocess\.|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bsetTimeout\b|\bperformance\.now\b|(?<!\.)\bfetch\(|\brandomBytes\b|\bgenerateKeyPair/
  const wrong = files
    .filter((file) => /^src\/(base|port|format|engine)\//.test(file))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .map((line, i) => ({ line, at: `${file}:${i + 1}` }))
        .filter(({ line }) => banned.test(line) && !/^\s*(\/?\*|\/\/)/.test(line))
        .map(({ at, line }) => `${at}: ${line.trim()}`),
    )
  assert.deepEqual(wrong, [])
})

test('only what has just verified may mint a Verified value', () => {
  const minting = files.filter((file) => file !== 'src/base/verified.ts' && /\bmarkVerified\b/.test(readFileSync(file, 'utf8')))
  assert.deepEqual(
    minting.filter((file) => !minters.has(file)),
    [],
  )
})

test('one process.exit, no default export, enum, namespace or any', () => {
  const wrong = files.flatMap((file) => {
    const text = readFileSync(file, 'utf8')
    const found: string[] = []
    if (file !== 'src/main.ts' && /\bprocess\.exit\(/.test(text)) found.push(`${file}: process.exit`)
    if (/^export default\b/m.test(text)) found.push(`${file}: default export`)
    if (/^\s*(?:export )?(?:const )?enum\b|^\s*(?:export )?namespace\b/m.test(text)) found.push(`${file}: enum or namespace`)
    if (/[:<,]\s*any\b|\bas any\b/.test(text.replaceAll(/\/\/.*|\*.*/g, ''))) found.push(`${file}: any`)
    return found
  })
  assert.deepEqual(wrong, [])
})

test('the two halves of the client, fetch and apply, do not know each other', () => {
  const half = (file: string): string | undefined => /^src\/engine\/client\/(fetch|apply)\//.exec(file)?.[1]
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .map(({ path }) => normalize(join(dirname(file), path)))
      .filter((target) => half(file) !== undefined && half(target) !== undefined && half(target) !== half(file))
      .map((target) => `${file} imports ${target}`),
  )
  assert.deepEqual(wrong, [])
})

test('the second decoder of deltas shares nothing with the engine', () => {
  const imports = globSync('test/second-decoder/*.ts').flatMap((file) => importsOf(file).map(({ path }) => path))
  assert.ok(imports.length > 20)
  // xz and bzip2 are made by their programs: no page could say how (doc/decisions/0121).
  const allowed = ['node:zlib', 'node:crypto', 'node:child_process']
  assert.deepEqual(
    imports.filter((path) => !path.startsWith('./') && !allowed.includes(path)),
    [],
  )
})
