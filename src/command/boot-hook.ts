import { BinderyError } from '../base/error.ts'
import { bootHookOf, checkBootHook, installBootHook, readBootHook, removeBootHook } from '../engine/client/boot-hook.ts'
import { bootSystemOf } from '../engine/client/boot-system.ts'
import { statePaths } from '../engine/client/state.ts'
import { bootHookText } from '../host/boot-hook.ts'
import type { RelPath } from '../base/path.ts'
import type { BootHook } from '../engine/client/boot-hook.ts'
import type { BootSystem } from '../format/boot-hook.ts'
import type { Disk } from '../port/disk.ts'
import type { Context, Input } from './command.ts'

export const bootHookOptions = {
  'boot-hook': { kind: 'flag', help: 'install what finishes an interrupted install when the machine starts (asked on a terminal)' },
  'no-boot-hook': { kind: 'flag', help: 'install none, and do not ask' },
} as const

/** What to install when the rest has succeeded; undefined for nothing. Never without a word of the administrator. */
export async function agreedBootHook(context: Context, input: Input, disk: Disk): Promise<BootHook | undefined> {
  if (input.flag('boot-hook') && input.flag('no-boot-hook'))
    throw new BinderyError('usage', '--boot-hook and --no-boot-hook exclude each other')
  if (input.flag('no-boot-hook')) return undefined
  const system = await bootSystemOf(disk)
  if (system === undefined) return input.flag('boot-hook') ? refuseUnknown(context) : undefined
  const hook = await bootHookOf(disk, system, await bootHookText(system))
  const isWanted = input.flag('boot-hook') || (await readBootHook(disk)) !== undefined || (await isWished(context, hook))
  if (isWanted) await checkBootHook(disk, hook)
  return isWanted ? hook : undefined
}

function refuseUnknown({ root }: Context): never {
  throw new BinderyError('not-supported', 'no boot hook is known for what starts this system', {
    subject: root,
    hint: `let it run 'sh /${statePaths.recover} --boot' as soon as its file systems are mounted`,
  })
}

async function isWished(context: Context, hook: BootHook): Promise<boolean> {
  const { stdin, stderr } = context.isTerminal
  if (!stdin || !stderr || context.verbosity === 'quiet') {
    context.say('no boot hook: an install that a power cut interrupts waits for somebody; --boot-hook installs one')
    return false
  }
  context.say('an install that a power cut interrupts can be finished when the machine starts; for that would be written:')
  for (const line of describe(hook)) context.say(`  ${line}`)
  return /^(?:y(?:es)?)?$/i.test(((await context.ask('Install this boot hook? [Y/n] ')) ?? 'n').trim())
}

function describe({ parts }: BootHook): readonly string[] {
  return parts.map((part) => {
    if (part.kind === 'link') return `/${part.path}, a link to ${part.target}`
    return part.kind === 'file' ? `/${part.path}` : `${part.text.split('\n').length - 1} lines at the beginning of /${part.path}`
  })
}

/** Files and links alone: nothing is started. Answers false, and says why, where it failed. */
export async function layBootHook(context: Context, disk: Disk, hook: BootHook): Promise<boolean> {
  try {
    await installBootHook(disk, hook)
    await orderStart(context, hook.system, 'defaults')
    context.say(`the boot hook is installed (${hook.system})`)
    return true
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    context.say(`the boot hook could not be installed: ${error.subject === undefined ? '' : `${error.subject}: `}${error.message}`)
    return false
  }
}

/** Answers what stays there, since somebody changed it. */
export async function takeBootHookAway(context: Context, disk: Disk): Promise<readonly RelPath[]> {
  const record = await readBootHook(disk)
  const changed = await removeBootHook(disk)
  if (record !== undefined) await orderStart(context, record.system, 'remove')
  return changed
}

/** Where insserv(8) keeps the order of the scripts, they are not run by their numbers. */
async function orderStart({ steps, signal }: Context, system: BootSystem, change: 'defaults' | 'remove'): Promise<void> {
  if (system !== 'sysv') return
  const end = await steps.run({
    title: 'update-rc.d',
    text: `command -v update-rc.d >/dev/null || exit 0; exec update-rc.d bindery-recover ${change}`,
    env: { PATH: '/sbin:/bin:/usr/sbin:/usr/bin', LC_ALL: 'C' },
    seconds: 60,
    log: bootLog,
    signal,
  })
  if (end.kind === 'ended' && end.status === 0) return
  throw new BinderyError('command-failed', `update-rc.d bindery-recover ${change} failed`, { hint: `what it printed is in /${bootLog}` })
}

const bootLog = `${statePaths.log}/boot` as RelPath
