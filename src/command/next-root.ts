import { join, resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { inodeKey } from '../engine/client/apply/links.ts'
import { readJournal } from '../engine/client/apply/receipts.ts'
import { nothingChanged } from '../engine/client/staged/new-tree.ts'
import * as environment from '../engine/client/staged/environment.ts'
import { statePaths } from '../engine/client/state.ts'
import { hostDisk } from '../host/disk.ts'
import { readConfig } from './client-config.ts'
import { withLock } from './client-session.ts'
import { isWorthIt } from './staged.ts'
import type { ClientConfig } from '../format/conf.ts'
import type { Disk } from '../port/disk.ts'
import type { Context } from './command.ts'
import type { StagedWork } from './staged.ts'

/** Staged mode for systems that start another root next: commands of bindery.conf make, start and remove it (doc/decisions/0222). */

type Commands = { readonly make: string; readonly start: string; readonly remove: string }

/** Undefined where bindery.conf has none of them; throws `usage` where it has some. */
function commandsOf({ rootMake: make, rootSwitch: start, rootRemove: remove }: ClientConfig): Commands | undefined {
  if (make !== undefined && start !== undefined && remove !== undefined) return { make, start, remove }
  if (make === undefined && start === undefined && remove === undefined) return undefined
  throw new BinderyError('usage', 'root-make, root-switch and root-remove go together', { subject: 'bindery.conf' })
}

/** Answers what `work` did, in a root that the machine has not started yet. */
export async function inNextRoot(context: Context, { verb, isNeeded, work }: StagedWork): Promise<number> {
  const config = await readConfig(context)
  const commands = commandsOf(config) as Commands
  const disk = hostDisk(context.root)
  if ((await readJournal(disk)) !== undefined)
    throw new BinderyError('interrupted', 'an earlier run was interrupted', { hint: "'bindery recover' finishes it" })
  await withLock(context, verb, async () => await dropUnfinished(context, disk, commands))
  await refuseWaiting(disk)
  const committing = refuseChange
  if (!(await isWorthIt(context.at(context.root, { committing, isSilent: true }), isNeeded)))
    return await work(context.at(context.root, { committing }))
  return await withLock(context, verb, async () => await changeNext(context, { disk, commands, config }, work))
}

async function refuseChange(): Promise<void> {
  throw new BinderyError('conflict', 'there is something to do now that was not there before', {
    hint: 'run it again; nothing was changed',
  })
}

/** Two roots that wait would each have what the other has not. */
async function refuseWaiting(disk: Disk): Promise<void> {
  const next = await environment.readNextRoot(disk)
  if (next === undefined) return
  throw new BinderyError('conflict', 'waits for the next start of the machine', {
    subject: next.name,
    hint: "reboot into it first; 'bindery recover --undo' removes it instead",
  })
}

/** Of a run that was killed. The command may have nothing to remove yet. */
async function dropUnfinished(context: Context, disk: Disk, commands: Commands): Promise<void> {
  const next = await environment.readNextRoot(disk)
  if (next?.state !== 'making') return
  const failure = await runCommand(context, 'root-remove', commands.remove, next.name)
  if (failure !== undefined) context.say(`root-remove of bindery.conf ${failure}: look whether ${next.name} is there`)
  await environment.forgetNextRoot(disk)
}

type Surroundings = { readonly disk: Disk; readonly commands: Commands; readonly config: ClientConfig }

async function changeNext(context: Context, { disk, commands, config }: Surroundings, work: StagedWork['work']): Promise<number> {
  const name = `bindery-${new Date(context.clock.now()).toISOString().replaceAll(/[-:]|\.[0-9]+/g, '')}`
  let isChanged = false
  let status: number
  await environment.writeNextRoot(disk, { name, state: 'making' })
  try {
    const before = await environment.lookBefore(disk)
    await makeNext(context, disk, commands, name)
    const root = join(resolve(context.root), statePaths.next)
    await environment.cleanNextRoot(hostDisk(root))
    const clone = await environment.pairUp(disk, before)
    status = await work(context.at(root, { committing: async () => void (isChanged = true) }))
    if (isChanged) {
      await environment.catchUpNext(disk, clone, config)
      // Whoever is killed in the middle of the command may have switched.
      await environment.writeNextRoot(disk, { name, state: 'waiting' })
      await mustRun(context, 'root-switch', commands.start, name)
    }
  } catch (error) {
    await environment.writeNextRoot(disk, { name, state: 'making' }).catch(() => 'as it is: somebody has to look')
    await dropUnfinished(context, disk, commands).catch(() => 'the next run removes it')
    throw nothingChanged(error)
  }
  if (!isChanged) await dropUnfinished(context, disk, commands)
  if (isChanged) context.say(`reboot to switch to ${name}`)
  return status
}

async function makeNext(context: Context, disk: Disk, commands: Commands, name: string): Promise<void> {
  if ((await disk.lstat(statePaths.next)) === undefined) await disk.mkdir(statePaths.next, 0o700)
  const empty = await disk.lstat(statePaths.next)
  await mustRun(context, 'root-make', commands.make, name)
  const there = await disk.lstat(statePaths.next)
  const enrolled = await hostDisk(join(resolve(context.root), statePaths.next)).lstat(statePaths.enrolled)
  const isMounted = there !== undefined && empty !== undefined && inodeKey(there) !== inodeKey(empty)
  if (isMounted && enrolled !== undefined) return
  throw new BinderyError('command-failed', 'root-make of bindery.conf has not mounted a clone of this root', {
    subject: `/${statePaths.next}`,
  })
}

async function mustRun(context: Context, title: string, text: string, name: string): Promise<void> {
  const failure = await runCommand(context, title, text, name)
  if (failure !== undefined)
    throw new BinderyError('command-failed', `${title} of bindery.conf ${failure}`, { hint: 'nothing was changed' })
}

/** On the system that runs here, whatever the root. Answers what was wrong. */
async function runCommand({ root, exec, explain }: Context, title: string, text: string, name: string): Promise<string | undefined> {
  explain(`running ${title}`)
  const at = resolve(root)
  const env = { BINDERY_ROOT: at, BINDERY_NEXT: join(at, statePaths.next), BINDERY_NAME: name }
  const { status, stderr } = await exec.run('/bin/sh', ['-c', text], { env, apart: true })
  // A command speaks in whatever its locale is.
  const last = Buffer.from(stderr).toString('utf8').trimEnd().split('\n').at(-1) ?? ''
  return status === 0 ? undefined : `failed with status ${status}${last === '' ? '' : `: ${showLine(last)}`}`
}

/** `recover`: what was begun goes; what waits goes where that is wished. Answers whether there is something that waits still. */
export async function recoverNext(context: Context, undo: boolean): Promise<boolean> {
  const commands = commandsOf(await readConfig(context)) as Commands
  const disk = hostDisk(context.root)
  return await withLock(context, 'recover', async () => {
    await dropUnfinished(context, disk, commands)
    const next = await environment.readNextRoot(disk)
    if (next === undefined) return false
    if (!undo) context.say(`${next.name} waits for the next start of the machine`)
    if (!undo) return true
    await mustRun(context, 'root-remove', commands.remove, next.name)
    await environment.forgetNextRoot(disk)
    context.say(`${next.name} is removed; the machine goes on with the root that it runs in`)
    return false
  })
}

export async function isNextWaiting(context: Context): Promise<boolean> {
  return (await environment.readNextRoot(hostDisk(context.root)))?.state === 'waiting'
}
