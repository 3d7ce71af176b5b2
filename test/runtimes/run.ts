import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { smallTrees } from '../../bench/trees.ts'
import { exitStatusOf } from '../../src/base/error.ts'
import { npm } from '../../tools/npm.ts'
import { deltaVectors } from '../helpers/delta-vectors.ts'
import type { ErrorCode } from '../../src/base/error.ts'

/**
 * Runs the short road on every line of Node that is supported: the maker's verbs from the whole bundle, the client's from
 * a folder that holds the client bundle alone, which also ends in each of the ways that the test vectors of deltas end. Both decoders
 * go through all of them. Runtimes come from the npm registry, once.
 */
const versions = ['22.15.0', '24.21.0', '26.10.0']
const home = resolve('.cache/runtimes')

function main(): void {
  const client = clientFolder()
  for (const version of runtimes()) {
    const started = performance.now()
    const work = join(home, 'work')
    smallTrees(work)
    const node = version === undefined ? process.execPath : runtime(version)
    const env = { ...process.env, BINDERY_NODE: node }
    execFileSync(resolve('test/runtimes/road.sh'), [resolve('bin/bindery'), join(client, 'bin/bindery')], {
      cwd: work,
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    patchVectors(work, join(client, 'bin/bindery'), env)
    execFileSync(node, ['--experimental-strip-types', '--disable-warning=ExperimentalWarning', 'test/runtimes/vectors.ts'])
    rmSync(work, { recursive: true })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stdout.write(`test-runtimes: ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}: ok, ${seconds} s\n`)
  }
}

/** By the client bundle, one of each way to end: the right bytes, or the status of the error. */
function patchVectors(work: string, launcher: string, env: NodeJS.ProcessEnv): void {
  const byEnd = new Map(deltaVectors().map((vector) => [vector.result.kind === 'new' ? 'new' : vector.result.code, vector]))
  for (const { name, delta, old, result } of byEnd.values()) {
    writeFileSync(join(work, 'vector.delta'), delta)
    const { status, stdout } = spawnSync(launcher, ['patch', 'vector.delta'], { cwd: work, env, input: old, maxBuffer: 1 << 26 })
    assert.equal(status, result.kind === 'new' ? 0 : exitStatusOf[result.code as ErrorCode], name)
    if (result.kind === 'new') assert.ok(Buffer.compare(stdout, result.bytes) === 0, name)
  }
}

/** Elsewhere than on Linux there is only the system's own. */
function runtimes(): readonly (string | undefined)[] {
  return process.platform === 'linux' ? versions : [undefined]
}

function runtime(version: string): string {
  const name = `node-linux-${process.arch}`
  const prefix = join(home, version)
  const node = join(prefix, 'node_modules', name, 'bin/node')
  if (!existsSync(node)) {
    mkdirSync(prefix, { recursive: true })
    // Not with --prefix: npm would look for the system's npmrc there, too.
    writeFileSync(join(prefix, 'package.json'), '{}')
    npm(prefix, 'install', '--no-save', '--ignore-scripts', '--loglevel=error', `${name}@${version}`)
  }
  return node
}

/** As it would be on a machine that only takes updates. */
function clientFolder(): string {
  const folder = join(home, 'client')
  rmSync(folder, { recursive: true, force: true })
  for (const file of ['bin/bindery', 'bin/start.cjs', 'dist/bindery-client.js']) {
    mkdirSync(resolve(folder, file, '..'), { recursive: true })
    copyFileSync(file, join(folder, file))
  }
  return folder
}

main()
