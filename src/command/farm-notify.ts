import { latin1, utf8 } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { hostHook } from '../host/hook.ts'
import type { Controller } from './farm-controller.ts'

/** A signature is due. */
export type SignatureDue = {
  readonly branch: string
  readonly arch: string
  readonly file: string
  /** What a person reads before signing. */
  readonly text: string
}

/** Whoever signs is told by a command, by mail, by a call of a URL: whatever farm.toml names. Answers those ways that failed; the others went. */
export async function notifySigners({ context, config: { notify } }: Controller, due: SignatureDue): Promise<readonly BinderyError[]> {
  const { command, mail, hook } = notify
  const { environment, signal } = context
  return [
    ...(command === undefined ? [] : await failureOf(async () => await runCommand(context, command, due))),
    ...(mail.length === 0 ? [] : await failureOf(async () => await sendMail(context, mail, due))),
    ...(hook === undefined
      ? []
      : await failureOf(async () => await hostHook(hook, { event: 'signature-due', ...due }, { environment, signal }))),
  ]
}

async function failureOf(tell: () => Promise<void>): Promise<readonly BinderyError[]> {
  try {
    await tell()
    return []
  } catch (error) {
    if (!isBinderyError(error)) throw error
    return [error]
  }
}

type World = Controller['context']

async function runCommand({ exec }: World, command: string, { branch, arch, file, text }: SignatureDue): Promise<void> {
  const env = { FARM_BRANCH: branch, FARM_ARCH: arch, FARM_REQUEST: file }
  await must(await exec.run('sh', ['-c', command], { input: utf8(text), env, apart: true }), 'notify command')
}

/** By sendmail, as every system has it; the addresses are in the mail, not in words of a command. */
async function sendMail({ exec }: World, addresses: readonly string[], { branch, arch, file, text }: SignatureDue): Promise<void> {
  const head = [`To: ${addresses.map(oneLine).join(', ')}`, `Subject: ${oneLine(`to sign: packages of ${branch} for ${arch}`)}`]
  const type = ['MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit']
  const body = `${[...head, ...type].join('\n')}\n\n${file}\n\n${text}`
  const sendmail = (await exec.has('sendmail')) ? 'sendmail' : '/usr/sbin/sendmail'
  await must(await exec.run(sendmail, ['-t', '-oi'], { input: utf8(body), apart: true }), 'sendmail')
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}

async function must({ status, stderr }: { readonly status: number; readonly stderr: Uint8Array }, subject: string): Promise<void> {
  if (status === 0) return await Promise.resolve()
  const reason = latin1(stderr).trim().split('\n').at(-1) ?? ''
  throw new BinderyError('command-failed', `ended with status ${status}${reason === '' ? '' : `: ${reason}`}`, { subject })
}
