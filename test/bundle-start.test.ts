import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { verbs } from '../src/command/verbs.ts'
import { inTemporary } from './helpers/temporary.ts'

/** What makes a start slow is not measured here, but counted (doc/decisions/0155). */
type Metafile = {
  readonly outputs: Readonly<
    Record<
      string,
      {
        readonly entryPoint?: string
        readonly bytes: number
        readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[]
      }
    >
  >
}

const { outputs } = JSON.parse(readFileSync('dist/meta.json', 'utf8')) as Metafile

function filesOf(source: string): ReadonlySet<string> {
  const [first] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === source) as [string, unknown]
  const files = new Set([first])
  for (const file of files) {
    for (const { path, kind, external } of outputs[file]?.imports ?? [])
      if (kind === 'import-statement' && external !== true) files.add(path)
  }
  return files
}

const program = filesOf('src/bindery.ts')

/** Those of a verb besides the program. */
function verbFiles(verb: string): readonly string[] {
  return [...filesOf(`src/command/${verb}.ts`).difference(program)]
}

test('a verb is in few files, each worth opening', () => {
  assert.ok(program.size <= 4, [...program].join(' '))
  const entries = new Set(Object.values(outputs).map(({ entryPoint }) => entryPoint))
  const files = verbs.map(({ name }) => name.replaceAll(' ', '-')).filter((verb) => entries.has(`src/command/${verb}.ts`))
  assert.ok(files.length > 30)
  // What machines run each hour, and what makers and farms run.
  const often = new Set(['audit', 'check', 'fetch', 'install', 'list', 'recover', 'rollback'])
  const many = files.filter((verb) => verbFiles(verb).length > (often.has(verb) ? 10 : 18))
  assert.deepEqual(many, [])
  const pkgcheck = verbFiles('pkgcheck')
  assert.ok(pkgcheck.length <= 4, pkgcheck.join(' '))
  assert.ok(pkgcheck.reduce((sum, file) => sum + (outputs[file]?.bytes ?? 0), 0) < 150_000)
})

test('no file of a bundle makes a namespace of a module of the runtime', () => {
  // Not what earlier builds have left in dist.
  const bundles = [...Object.keys(outputs), 'dist/bindery-client.js']
  assert.deepEqual(
    bundles.filter((file) => /^import .*["']node:/m.test(readFileSync(file, 'utf8'))),
    [],
  )
})

test('modules of the runtime are loaded by whoever needs them', async () => {
  await inTemporary(async (folder) => {
    const hook = join(folder, 'hook.cjs')
    writeFileSync(hook, `process.on('exit', () => require('fs').writeSync(2, process.moduleLoadList.join('\\n')))`)
    for (const words of [['--version'], ['pkgcheck', '--help']]) {
      const { status, stderr } = spawnSync(process.execPath, ['-r', hook, resolve('bin/start.cjs'), ...words], { encoding: 'utf8' })
      assert.equal(status, 0)
      const loaded = new Set(stderr.split('\n'))
      const slow = ['child_process', 'crypto', 'fs/promises', 'http', 'readline', 'worker_threads', 'zlib'].map(
        (name) => `NativeModule ${name}`,
      )
      assert.deepEqual(
        slow.filter((module) => loaded.has(module)),
        [],
      )
    }
  })
})
