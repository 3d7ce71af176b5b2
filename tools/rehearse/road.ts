import { execFileSync } from 'node:child_process'
import { bindery, line, megabytes, title } from '../demo/stage.ts'
import { follow, type Course } from './kill.ts'
import { partsOf, products } from './publish.ts'
import { findStanding, showStanding, type Standings } from './standing.ts'
import type { Relay } from '../demo/relay.ts'
import type { State } from './packages.ts'
import type { Watch } from './programs.ts'
import type { Systems } from './systems.ts'

/** Where the rehearsal is played. */
export type Scene = {
  readonly work: string
  readonly machine: string
  readonly systems: Systems
  readonly relay: Relay
  readonly standings: Standings
  readonly watch: Watch
  /** The last state is published, as machines see it. */
  appear(): Promise<void>
}

/** To each release as it appears, and all of it back at once. */
export async function takeEachUpdate(scene: Scene): Promise<void> {
  title('A machine of the release follows them, programs in it starting all the time')
  const { work, machine, systems, relay } = scene
  const channels = partsOf(systems).map((part) => `${products[part]}/amd64`)
  const enroll = await bindery(work, ['-C', machine, 'enroll', relay.url, 'repo/metadata/1.root.json', ...channels])
  line(`enroll ${channels.join(' ')}`, enroll.seconds, `${megabytes(relay.takeCounts().received)} received`)
  await update(scene, 'halfway')
  await scene.appear()
  await update(scene, 'present')
  const steps = 2 * channels.length
  const rollback = await bindery(work, ['-C', machine, 'rollback', '--steps', String(steps)])
  await mustStand(scene, 'release')
  line(`rollback --steps ${steps}`, rollback.seconds, 'exactly the release again: contents, modes, owners, times, links')
}

/** One install to the newest release, from wherever the machine is. */
export async function update(scene: Scene, to: State): Promise<Course> {
  const { work, machine, relay } = scene
  relay.takeCounts()
  const fetched = await bindery(work, ['-C', machine, 'fetch'])
  line('fetch', fetched.seconds, `${megabytes(relay.takeCounts().received)} received`)
  const course = await follow(machine, ['install'])
  await mustStand(scene, to)
  const commits = course.commits.map(({ milliseconds }) => `${milliseconds.toFixed(0)} ms`).join(', ')
  line('install', course.milliseconds / 1000, `the ${to} state; files changed places for ${commits}`)
  const audit = await bindery(work, ['-C', machine, 'audit'])
  line('audit', audit.seconds, 'no difference from the signed manifests')
  verifyByDpkg(machine)
  line('dpkg --verify', undefined, 'nor from what its packages say')
  return course
}

/** The packages' own digests, which came another way than ours. */
function verifyByDpkg(machine: string): void {
  const found = execFileSync('dpkg', [`--root=${machine}`, '--verify'], { encoding: 'utf8' })
  if (found !== '') throw new Error(`dpkg --verify:\n${found}`)
}

export async function mustStand(scene: Scene, wanted: State): Promise<void> {
  const standing = await findStanding(scene.standings, scene.machine)
  if (Object.values(standing).some((state) => state !== wanted)) throw new Error(`${showStanding(standing)} instead of ${wanted}`)
  failIfAnyFailed(scene)
}

/** Of the programs that are started all the time. */
export function failIfAnyFailed({ watch }: Scene): void {
  const { started, failures } = watch.counts()
  if (failures.length > 0) throw new Error(`of ${started} programs ${failures.length} failed:\n${failures.slice(0, 20).join('\n')}`)
}
