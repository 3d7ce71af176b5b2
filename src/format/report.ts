import { fromUtf8, hex, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { channelOf, formatChannel, parseChannel, parseDistName } from '../base/name.ts'
import { isMachineName } from './machine-name.ts'
import { decodePublicKeyLine, decodeSignedMessage, publicKeyLine } from './signify.ts'
import type { SignedMessage, SignifyPublicKey } from './signify.ts'

/** What a machine says that it runs (doc/spec/report.md): lines of text, signed by the machine's own key as `signify -S -e` does. */
export type VersionReport = {
  readonly machine: string
  readonly key: SignifyPublicKey
  /** Seconds since the epoch. */
  readonly time: number
  readonly last: LastRun
  /** What the machine waits for: nothing, a reboot, or one with somebody near. */
  readonly reboot: PendingReboot
  readonly releases: readonly { readonly channel: string; readonly release: string }[]
}

/** The run that the report is of. */
export type LastRun = {
  readonly verb: string
  /** Its exit status. */
  readonly status: number
  /** Of the error that ended it. */
  readonly code: string | undefined
}

type PendingReboot = (typeof pendingReboots)[number]
const pendingReboots = ['none', 'reboot', 'careful'] as const

/** Nothing of it may be believed before its signature is verified. */
export type SignedReport = { readonly report: VersionReport; readonly signed: SignedMessage }

const head = 'bindery-report 1'
export const reportLimits = { bytes: 64 << 10, releases: 256 } as const

/** What its file is called, where reports of many machines lie together: two of one name do not overwrite each other. */
export function reportFile({ machine, key }: Pick<VersionReport, 'machine' | 'key'>): string {
  return `${machine}-${hex(key.keynum)}${reportSuffix}`
}

export const reportSuffix = '.report'

/** The message, to be signed. Releases go by channel. */
export function encodeReport({ machine, key, time, last, reboot, releases }: VersionReport): Uint8Array {
  const facts = [`machine ${machine}`, `key ${publicKeyLine(key)}`, `time ${time}`, `last ${lastText(last)}`, `reboot ${reboot}`]
  const lines = releases.map(({ channel, release }) => `release ${channel} ${release}`).toSorted()
  const message = utf8(`${[head, ...facts, ...lines].join('\n')}\n`)
  decodeMessage(message)
  return message
}

export function decodeReport(file: Uint8Array): SignedReport {
  if (file.length > reportLimits.bytes) throw new BinderyError('over-limit', `is larger than ${reportLimits.bytes} bytes`)
  const signed = decodeSignedMessage(file)
  return { report: decodeMessage(signed.message), signed }
}

function decodeMessage(message: Uint8Array): VersionReport {
  const lines = textOf(message).split('\n')
  if (lines.pop() !== '') throw new BinderyError('bad-format', 'its last line has no end')
  if (lines[0] !== head) throw new BinderyError('bad-format', `does not begin with '${head}'`)
  const machine = valueOf(lines[1], 'machine')
  if (!isMachineName(machine)) throw new BinderyError('bad-format', 'its machine has no name of letters, digits, dots, - and _')
  const time = valueOf(lines[3], 'time')
  if (!/^[1-9][0-9]{0,11}$/.test(time)) throw new BinderyError('bad-format', 'its time is no number of seconds')
  return {
    machine,
    key: decodePublicKeyLine(valueOf(lines[2], 'key')),
    time: Number(time),
    last: lastOf(valueOf(lines[4], 'last')),
    reboot: rebootOf(valueOf(lines[5], 'reboot')),
    releases: releasesOf(lines.slice(6)),
  }
}

/** `install 0`, `install 1 no-space`. */
export function lastText({ verb, status, code }: LastRun): string {
  return [verb, status, ...(code === undefined ? [] : [code])].join(' ')
}

function lastOf(text: string): LastRun {
  const [, verb, status, code] = /^([a-z]{1,16}) (0|[1-9][0-9]{0,2})(?: ([a-z][a-z-]{0,31}))?$/.exec(text) ?? []
  if (verb === undefined || status === undefined) throw new BinderyError('bad-format', 'its last run has no verb and status')
  return { verb, status: Number(status), code }
}

function rebootOf(text: string): PendingReboot {
  const found = pendingReboots.find((one) => one === text)
  if (found === undefined) throw new BinderyError('bad-format', `its reboot is none of ${pendingReboots.join(', ')}`)
  return found
}

function textOf(message: Uint8Array): string {
  try {
    return fromUtf8(message)
  } catch {
    throw new BinderyError('bad-format', 'is no UTF-8 text')
  }
}

function valueOf(line: string | undefined, name: string): string {
  if (line?.startsWith(`${name} `) !== true) throw new BinderyError('bad-format', `has no '${name}' where one must be`)
  return line.slice(name.length + 1)
}

function releasesOf(lines: readonly string[]): VersionReport['releases'] {
  if (lines.length === 0 || lines.length > reportLimits.releases)
    throw new BinderyError('bad-format', `holds ${lines.length} releases, not 1 to ${reportLimits.releases}`)
  const releases = lines.map((line) => {
    const [channel = '', release = '', ...more] = valueOf(line, 'release').split(' ')
    const name = parseDistName(release)
    if (name === undefined || more.length > 0 || formatChannel(channelOf(name)) !== formatChannel(channelFrom(channel)))
      throw new BinderyError('bad-format', 'names a release that is none of its channel')
    return { channel, release }
  })
  if (releases.some(({ channel }, i) => i > 0 && channel <= (releases[i - 1]?.channel ?? '')))
    throw new BinderyError('bad-format', 'its channels are not in order')
  return releases
}

function channelFrom(text: string): ReturnType<typeof parseChannel> {
  try {
    return parseChannel(text)
  } catch (cause) {
    throw new BinderyError('bad-format', 'names no channel', { cause })
  }
}
