// Bundles src: dist/bindery.js with a lazy chunk for each verb, and dist/bindery-client.js, one file with the client's verbs.
// dist/meta.json and dist/meta-client.json say what went in. --clean drops what earlier builds left.
import { build } from 'esbuild'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

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
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
}

const whole = await build({ ...common, entryPoints: ['src/bindery.ts'], splitting: true, chunkNames: 'chunk/[name]-[hash]' })
const client = await build({ ...common, entryPoints: ['src/bindery-client.ts'] })
if (process.argv.includes('--clean')) rmSync('dist', { recursive: true, force: true })
for (const { path, contents } of [...whole.outputFiles, ...client.outputFiles]) put(path, contents)
put('dist/meta.json', Buffer.from(JSON.stringify(whole.metafile)))
put('dist/meta-client.json', Buffer.from(JSON.stringify(client.metafile)))

// By a rename, and only where something changed: another bindery may be running from there, and npx runs this script when
// it is first called in a clone.
function put(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, contents)
  renameSync(`${path}.new`, path)
}
