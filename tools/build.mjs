// Bundles src: dist/bindery.js with a lazy chunk for each verb, and dist/bindery-client.js, one file with the client's verbs.
// dist/bindery-sh is the client of machines without Node, put together from share/bundle and share/bindery-sh; dist/bindery-recover, from
// share/recover, what the client leaves beside its journal.
// dist/meta.json and dist/meta-client.json say what went in, dist/LICENSES.txt whose. --clean drops what earlier builds left.
import { build } from 'esbuild'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { withoutNamespaces } from './builtins.mjs'
import { sharedChunks } from './chunks.mjs'

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.15',
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  write: false,
  outdir: 'dist',
  // For packages that are no modules; all that they ask for is of the runtime.
  banner: { js: 'const require = process.getBuiltinModule;' },
}

// liblzma is looked for when a delta needs it, and may not be there; the libraries of the farm when one of its verbs needs a database or serves.
const wholeOptions = {
  ...common,
  external: ['node-liblzma', '@electric-sql/pglite', 'kysely', 'pg', 'pg-boss', 'fastify', 'prom-client'],
  entryPoints: ['src/bindery.ts', 'src/bindery-thread.ts'],
  splitting: true,
  // Before bindery.js by name: an update of bindery puts them in place first, and one starts at every moment.
  chunkNames: 'apart/[name]-[hash]',
}
const { metafile } = await build(wholeOptions)
const whole = await build({ ...wholeOptions, plugins: [sharedChunks('src/bindery.ts', metafile)] })
const recovery = Buffer.from(shellProgram('recover', ['verbs'], 'bindery_recover'), 'latin1')
// The client is one file and needs no other.
const hooks = Object.fromEntries(readdirSync('share/boot').map((system) => [system, readFileSync(`share/boot/${system}`, 'latin1')]))
const define = { packedRecovery: packed(recovery), packedBootHooks: packed(Buffer.from(JSON.stringify(hooks), 'latin1')) }
// Said shorter, not renamed: a small machine reads all of it at each start.
const client = await build({ ...common, define, minifySyntax: true, entryPoints: ['src/bindery-client.ts'] })
if (process.argv.includes('--clean')) rmSync('dist', { recursive: true, force: true })
for (const { path, text } of [...whole.outputFiles, ...client.outputFiles]) put(path, Buffer.from(withoutNamespaces(withoutPaths(text))))
put('dist/meta.json', Buffer.from(JSON.stringify(whole.metafile)))
put('dist/meta-client.json', Buffer.from(JSON.stringify(client.metafile)))
put('dist/bindery-sh', Buffer.from(shellProgram('bindery-sh', ['config', 'download', 'list', 'verbs'], 'bindery_sh'), 'latin1'), 0o755)
put('dist/bindery-recover', recovery, 0o755)
put('dist/LICENSES.txt', Buffer.from(licences([...Object.keys(whole.metafile.inputs), ...Object.keys(client.metafile.inputs)])))

// Where each module begins, and the comments that esbuild leaves: a hundredth of what the client is, and nobody reads them there.
function withoutPaths(code) {
  return code.replaceAll(/^(?:\/\/ (?:src|node_modules)\/\S+\.[cm]?[jt]s|[ \t]+(?:\/\/ .*|\/\*\* [^*\n]* \*\/))\n/gm, '')
}

// As a literal of the code.
function packed(bytes) {
  return JSON.stringify(brotliCompressSync(bytes).toString('base64'))
}

// Of every package that went in: its name, its version, the text that has to go with it.
function licences(inputs) {
  const folders = inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [])
  const texts = [...new Set(folders)]
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
      if (file === undefined) throw new Error(`${folder} has no licence`)
      return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
    })
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}

// By a rename, and only where something changed: another bindery may be running from there, and npx runs this script when
// it is first called in a clone.
function put(path, contents, mode = 0o644) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, contents, { mode })
  renameSync(`${path}.new`, path)
}

// All code lies in functions, these in one group, and is called on the last line: of a file that was cut off nothing is run, not even a
// program that is called like the beginning of a function's name.
function shellProgram(folder, own, entry) {
  const share = (name) => readFileSync(`share/${name}.sh`, 'latin1')
  const bundle = ['base', 'look', 'stage', 'commit', 'times', 'steps', 'verbs'].map((name) => share(`bundle/${name}`)).join('')
  const plan = readFileSync('share/bundle/plan.awk', 'latin1')
  const text = bundle.replace('@plan.awk@\n', () => plan) + own.map((name) => share(`${folder}/${name}`)).join('')
  return `${share(`${folder}/head`)}{\n${text}}\n\n{ ${entry} "$@"; exit; }\n`
}
