import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { brotliDecompressSync } from 'node:zlib'
import { clientVerbs } from '../src/command/verbs-client.ts'
import { verbs } from '../src/command/verbs.ts'

/** The bundler's own account of what went into a bundle (tools/build.mjs). */
type Metafile = {
  readonly inputs: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<Record<string, { readonly imports: readonly { readonly path: string }[] }>>
}

const meta = JSON.parse(readFileSync('dist/meta-client.json', 'utf8')) as Metafile

test('the client bundle holds nothing of the maker, the signer or the server', () => {
  const foreign = [
    /^src\/command\/(cut|delta|keygen|sign|init|publish|bundle|prune|fsck|refresh|serve|tuf)\.ts$/,
    /^src\/engine\/(capture|farm)\//,
    /^src\/engine\/pkg\/(?!check\/|index\/open-index|verify-package)/,
    /^src\/web\//,
    /http-server|folder-store/,
    /^src\/engine\/repo\/(publish|release-draft|commit|init|prune|fsck|stage)/,
    /bcrypt/,
  ]
  const held = Object.keys(meta.inputs)
  assert.ok(held.includes('src/bindery-client.ts'))
  assert.deepEqual(
    held.filter((file) => foreign.some((pattern) => pattern.test(file))),
    [],
  )
})

test('the client bundle is one file that needs nothing but the runtime', () => {
  const outputs = Object.entries(meta.outputs)
  assert.deepEqual(
    outputs.map(([file]) => file),
    ['dist/bindery-client.js'],
  )
  const outside = outputs.flatMap(([, { imports }]) => imports.map((one) => one.path)).filter((path) => !path.startsWith('node:'))
  assert.deepEqual(
    [...new Set(outside)].filter((path) => !['crypto', 'buffer', 'stream', 'util'].includes(path)),
    [],
  )
  assert.ok(statSync('dist/bindery-client.js').size < 1_150_000)
})

test('the client bundle has the recovery program in itself', () => {
  const packed = readFileSync('dist/bindery-client.js', 'utf8').matchAll(/"([A-Za-z0-9+/]{10000,}=*)"/g)
  const programs = [...packed].map(([, text = '']) => brotliDecompressSync(Buffer.from(text, 'base64')))
  assert.deepEqual(programs, [readFileSync('dist/bindery-recover')])
})

test('the verbs of the client bundle are verbs of the whole, in its order and words', () => {
  const names = clientVerbs.map((verb) => verb.name)
  assert.deepEqual(
    clientVerbs.map(({ name, summary }) => ({ name, summary })),
    verbs.filter((verb) => names.includes(verb.name)).map(({ name, summary }) => ({ name, summary })),
  )
  assert.deepEqual(
    names,
    'scan diff patch verify enroll unenroll check fetch install rollback recover list audit config pkgcheck'.split(' '),
  )
})

test('whose code is in the bundles is said, with the licence that has to go with it', () => {
  const packages = ['dist/meta.json', 'dist/meta-client.json'].flatMap((file) => {
    const { inputs } = JSON.parse(readFileSync(file, 'utf8')) as Metafile
    return Object.keys(inputs).flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? [])
  })
  const text = readFileSync('dist/LICENSES.txt', 'utf8')
  assert.ok(packages.includes('node-diff3'))
  for (const name of packages) assert.match(text, new RegExp(`^${name} [0-9.]+\n\n[^\n]`, 'm'))
})
