import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startRelay } from '../demo/relay.ts'
import { bindery, line, portOf, startBindery, title } from '../demo/stage.ts'
import { makeMachine } from './machine.ts'
import { quick, states, whole, type Slice } from './packages.ts'
import { programsOf, watchPrograms } from './programs.ts'
import { publishState } from './publish.ts'
import { endRunning } from './kill.ts'
import { takeEachUpdate, update, type Scene } from './road.ts'
import { killAndRecover, type Numbers } from './rounds.ts'
import { wholeStandings } from './standing.ts'
import { prepareSystems, type Systems } from './systems.ts'

/**
 * make rehearse: a Debian system in a chroot goes from its release to its present security state and back, while programs
 * in it are started without a pause and installs are killed at random. The first step that is not what it should be ends it.
 */
async function main(atEnd: (() => void)[]): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('run it as root: it needs owners, devices and chroot(8)')
  if (!existsSync('/usr/bin/apt-get')) throw new Error('run it on Debian 12: its packages come by apt-get')
  const { slice, kills } = optionsOf(process.argv.slice(2))
  const systems = await prepareSystems(slice, resolve('.cache/rehearse', slice.name))
  const work = resolve('.cache/rehearse', slice.name, 'work')
  const started = performance.now()
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  atEnd.push(() => rmSync(work, { recursive: true, force: true }), endChildren, endRunning)
  showSystems(slice, systems)
  await makeReleases(work, systems)
  const scene = await setScene(work, systems, atEnd)
  await takeEachUpdate(scene)
  const numbers = await killAndRecover(scene, kills)
  title('And once more, left alone')
  await update(scene, 'present')
  await sumUp(scene, numbers)
  title(`The whole rehearsal in ${((performance.now() - started) / 1000).toFixed(0)} s, every step checked.`)
}

function optionsOf(args: readonly string[]): { readonly slice: Slice; readonly kills: number } {
  const { values } = parseArgs({ args: [...args], options: { quick: { type: 'boolean', default: false }, kills: { type: 'string' } } })
  const kills = values.kills ?? (values.quick ? '5' : '50')
  if (!/^[1-9][0-9]{0,3}$/.test(kills)) throw new Error(`'${kills}' is no number of kills`)
  return { slice: values.quick ? quick : whole, kills: Number(kills) }
}

function showSystems({ hasKernel }: Slice, { packages }: Systems): void {
  title(`Three states of a Debian system of ${packages.present.base.length} packages:`)
  const shown = ['libc6', 'libssl3', 'openssh-client', 'perl-base', 'python3.11-minimal', 'systemd']
  for (const state of states) {
    const versions = packages[state].base.filter((spec) => shown.includes(spec.split('=')[0] ?? ''))
    process.stdout.write(`  ${state.padEnd(9)} ${[...versions, ...packages[state].kernels].join(' ')}\n`)
  }
  if (hasKernel && packages.release.kernels.length === 0) process.stdout.write('  no kernel: the mirrors have one version of it\n')
}

/** The repository as it is before the last state, which comes later than the machine, and as it is then. */
const repositories = { halfway: 'repo-halfway', present: 'repo' } as const

async function makeReleases(work: string, systems: Systems): Promise<void> {
  title('The maker: each state is cut and published, with deltas from those before')
  await bindery(work, ['init', '-r', 'repo', '-k', 'keys', '--no-passphrase'])
  await publishState(work, systems, 'release')
  await publishState(work, systems, 'halfway')
  cpSync(join(work, repositories.present), join(work, repositories.halfway), { recursive: true })
  await publishState(work, systems, 'present')
}

async function setScene(work: string, systems: Systems, atEnd: (() => void)[]): Promise<Scene> {
  const machine = join(work, 'machine')
  makeMachine(systems.release, machine)
  const standings = await wholeStandings(systems, machine)
  const serve = async (repository: string): Promise<number> => {
    const server = startBindery(work, ['serve', '-r', repository, '--listen', '127.0.0.1:0'])
    atEnd.push(() => void server.kill())
    return await portOf(server)
  }
  const relay = await startRelay(await serve(repositories.halfway))
  atEnd.push(() => relay.close())
  const watch = watchPrograms(machine)
  atEnd.push(() => watch.kill())
  const appear = async (): Promise<void> => relay.leadTo(await serve(repositories.present))
  return { work, machine, systems, relay, standings, watch, appear }
}

/** A verb that runs; it would go on in a folder that is being removed. */
function endChildren(): void {
  spawnSync('pkill', ['-KILL', '-P', String(process.pid)])
}

async function sumUp({ machine, watch }: Scene, numbers: Numbers): Promise<void> {
  const { installs, rollbacks, recoveries, inCommit, byBindery, byProgram, finished, untouched } = numbers
  const { started, failures } = await watch.stop()
  title('What it came to')
  line('killed', undefined, `${installs} installs, ${rollbacks} rollbacks, ${recoveries} recoveries of those`)
  line('', undefined, `${inCommit} of them while files changed places`)
  line('recovered', undefined, `${byBindery} by bindery, ${byProgram} by the sh program alone, each other by the install started again`)
  line('rounds', undefined, `${finished} to a new state and back, ${untouched} in which nothing had changed places`)
  line('programs started meanwhile', undefined, `${started}, of which ${failures.length} failed: ${programsOf(machine).join(', ')}`)
}

/** Whatever ends it, last first: programs before the folder in which they run. */
const atEnd: (() => void)[] = []
const cleanUp = (): void =>
  atEnd
    .splice(0)
    .reverse()
    .forEach((undo) => undo())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    cleanUp()
    process.kill(process.pid, signal)
  })
}
try {
  await main(atEnd)
} catch (error) {
  process.stderr.write(`rehearse: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  cleanUp()
}
