import { readFile } from 'node:fs/promises'
import { BinderyError, toldOf } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { describeEnrollment, enrollChannels } from '../engine/client/fetch/enroll.ts'
import { makeStateFolders, removeStateFolders, stateFolder } from '../engine/client/state.ts'
import { checkFirstRoot } from '../engine/repo/update-root.ts'
import { basisOf, repositoryUrl } from '../format/conf.ts'
import { systemError } from '../host/system-error.ts'
import { agreedBootHook, bootHookOptions, layBootHook } from './boot-hook.ts'
import { changing, changingRoot, openSession, stagingOf, withLock } from './client-session.ts'
import { parseChannelOrKernel } from './kernel-channel.ts'
import { needsAttention } from './outcome.ts'
import type { BootHook } from '../engine/client/boot-hook.ts'
import type { EnrollInput } from '../engine/client/fetch/enroll.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { ClientConfig } from '../format/conf.ts'
import type { Command, Context, Input } from './command.ts'

const maxRootBytes = 1 << 20

export const enroll: Command = {
  name: 'enroll',
  summary: 'tie a root to channels of a repository',
  operands: '[URL ROOT.json CHANNEL ...]',
  operandCount: { min: 0, max: 66 },
  options: {
    mirror: { kind: 'list', value: 'URL', help: 'another address of the repository, asked when the first fails' },
    basis: { kind: 'value', value: 'BASIS', help: "where the old bytes of updates come from: 'tar' (kept, default) or 'installed'" },
    release: { kind: 'value', value: 'NAME', help: 'the installed release, instead of finding it out' },
    force: { kind: 'flag', help: 'enroll anew what is enrolled or damaged' },
    mode: {
      kind: 'value',
      value: 'MODE',
      help: "how the root is updated: 'live' (in place, default) or 'staged' (a new tree is switched to)",
    },
    ...bootHookOptions,
  },
  examples: [
    'bindery enroll https://updates.example.org/ root.json base/amd64',
    'bindery enroll https://updates.example.org/ root.json base/amd64 kernel/amd64',
    'bindery -C /mnt enroll https://updates.example.org/ root.json base/amd64 comp/amd64 --basis installed --boot-hook',
    'bindery -C /jails/www enroll --mode staged',
  ],
  run: async (context, input) => {
    const mode = input.value('mode')
    const setMode = mode === undefined ? undefined : await modeSetter(context, mode)
    const status = await enrollAsked(context, input)
    await setMode?.()
    return status
  },
}

/** Whoever asks for a mode alone names nothing else. */
async function enrollAsked(context: Context, input: Input): Promise<number> {
  const count = input.operands.length
  if (count === 0 && input.value('mode') !== undefined) return 0
  if (count < 3) throw new BinderyError('usage', 'name the repository, its root of trust, and the channels', { hint: 'or --mode alone' })
  const session = await openSession(context, 'fetching')
  const request = await requestOf(context, input, session.config)
  const hook = await agreedBootHook(context, input, session.disk)
  // A boot hook is laid into the tree, all else into the state.
  if (hook !== undefined && context.staged !== undefined)
    return await changingRoot(context, 'enroll', async (here, opened) => await enrollHere(here, opened, request, hook))
  return await changing(context, session, async (opened) => await enrollHere(context, opened, request, hook))
}

/** Throws `usage` before anything is done. */
async function modeSetter(context: Context, mode: string): Promise<() => Promise<void>> {
  if (mode !== 'live' && mode !== 'staged')
    throw new BinderyError('usage', `'${mode}' is no mode`, { hint: "there is 'live' and 'staged'" })
  const { setMode } = await stagingOf(context)
  return async () => await setMode(context, mode)
}

async function enrollHere(context: Context, session: Session, request: EnrollInput, hook: BootHook | undefined): Promise<number> {
  const { disk, beforeCommit } = session
  const isFirst = (await disk.lstat(stateFolder)) === undefined
  if (isFirst) await beforeCommit()
  const made = await makeStateFolders(disk)
  try {
    return await withLock(context, 'enroll', async () => {
      if (isFirst || hook !== undefined) await beforeCommit()
      await enrolling(context, session, request)
      return hook === undefined || (await layBootHook(context, disk, hook)) ? 0 : needsAttention
    })
  } catch (error) {
    await removeStateFolders(disk, made)
    throw error
  }
}

async function requestOf(context: Context, input: Input, config: ClientConfig): Promise<EnrollInput> {
  const [url, rootFile, ...channels] = input.operands as [string, string, ...string[]]
  const release = input.value('release')
  if (release !== undefined && channels.length > 1) throw new BinderyError('usage', '--release goes with one channel')
  return {
    urls: [url, ...input.list('mirror')].map(repositoryUrl),
    channels: await Promise.all(channels.map(async (text) => await parseChannelOrKernel(context, text))),
    root: await readRoot(rootFile),
    basis: basisOf(input.value('basis') ?? config.basis),
    ...(release === undefined ? {} : { release }),
    force: input.flag('force'),
  }
}

async function readRoot(file: string): Promise<Uint8Array> {
  const bytes = await readFile(file).catch((cause: unknown) => Promise.reject(systemError(cause, file)))
  if (bytes.length > maxRootBytes) throw new BinderyError('over-limit', `is larger than ${maxRootBytes} bytes`, { subject: file })
  checkRoot(bytes, file)
  return bytes
}

/** Named as it was typed: in the state it would be a `root.json` among others. */
function checkRoot(bytes: Uint8Array, file: string): void {
  try {
    checkFirstRoot(bytes)
  } catch (error) {
    throw toldOf(error, file)
  }
}

async function enrolling(context: Context, session: Session, request: EnrollInput): Promise<void> {
  for (const enrollment of await enrollChannels({ ...session, access: 'write' }, request)) {
    context.say(describeEnrollment(enrollment))
    for (const path of enrollment.differing) context.explain(`differs: /${showPath(path)}`)
  }
}
