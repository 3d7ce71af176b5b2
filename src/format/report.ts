import { fromUtf8, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { channelOf, formatChannel, parseChannel, parseDistName } from '../base/name.ts'
import { decodePublicKeyLine, decodeSignedMessage, publicKeyLine } from './signify.ts'
import type { SignedMessage, SignifyPublicKey } from './signify.ts'

/** What a machine says that it runs (doc/spec/report.md): lines of text, signed by the machine's own key as `signify -S -e` does. */
export type VersionReport = {
  readonly machine: string
  readonly key: SignifyPublicKey
  /** Seconds since the epoch. */
  readonly time: number
  readonly releases: readonly { readonly channel: string; readonly release: string }[]
}

/** Nothing of it may be believed before its signature is verified. */
export type SignedReport = { readonly report: VersionReport; readonly signed: SignedMessage }

const head = 'bindery-report 1'
export const reportLimits = { bytes: 64 << 10, releases: 256 } as const
const machinePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$/

/** The message, to be signed. Releases go by channel. */
export function encodeReport({ machine, key, time, releases }: VersionReport): Uint8Array {
  const lines = releases.map(({ channel, release }) => `release ${channel} ${release}`).toSorted()
  const message = utf8(`${[head, `machine ${machine}`, `key ${publicKeyLine(key)}`, `time ${time}`, ...lines].join('\n')}\n`)
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
  if (!machinePattern.test(machine)) throw new BinderyError('bad-format', 'its machine has no name of letters, digits, dots, - and _')
  const time = valueOf(lines[3], 'time')
  if (!/^[1-9][0-9]{0,11}$/.test(time)) throw new BinderyError('bad-format', 'its time is no number of seconds')
  return { machine, key: decodePublicKeyLine(valueOf(lines[2], 'key')), time: Number(time), releases: releasesOf(lines.slice(4)) }
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
