import { fromUtf8 } from '../base/bytes.ts'
import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import type { Sha256 } from '../base/digest.ts'

/**
 * What PC-BSD called `.upd` (doc/spec/upd.md): up to 9.0 a file of `Key: value` lines for each update, from 9.1 on one list
 * of all. Read for what they say; nothing in them is trusted by bindery.
 */
export type UpdList = { readonly updates: readonly ListedUpdate[]; readonly branches: readonly string[] }

export type ListedUpdate =
  | { readonly kind: 'major'; readonly from: string; readonly to: string }
  | {
      readonly kind: 'patch'
      readonly release: string
      /** Or `noarch`. */
      readonly arch: string
      readonly flavour: string
      readonly ident: string
      readonly description: string
      /** Behind the address of a mirror. */
      readonly path: string
      readonly megabytes: number
      readonly sha256: Sha256
      /** Behind the address of the project's site. */
      readonly details: string
      readonly date: string
    }

/** Keys that are attested; `name` in neither of the old tools' files. */
export type UpdFile = {
  readonly name?: string
  readonly details?: string
  /** Of the tarball; it establishes no trust. */
  readonly md5: string
  readonly megabytes: number
  readonly mirror?: string
  readonly file: string
  readonly standAlone: boolean
  readonly requiresReboot: boolean
}

export const updLimits = { bytes: 1 << 20, line: 4096 } as const

/** Whether it looks like a list: each of its lines has a kind and a colon without a blank behind it. */
export function isUpdList(bytes: Uint8Array): boolean {
  return /^(?:MU|SA|BRANCHES):\S/m.test(textOf(bytes))
}

/** Lines of other kinds are passed over. `bad-format` with the number of the line; `over-limit`. */
export function decodeUpdList(bytes: Uint8Array): UpdList {
  const updates: ListedUpdate[] = []
  const branches: string[] = []
  for (const [number, line] of linesOf(bytes)) {
    const [kind, ...fields] = line.split(':')
    if (kind === 'MU') updates.push(majorOf(fields, number))
    if (kind === 'SA') updates.push(patchOf(fields, number))
    if (kind === 'BRANCHES') branches.push(...(fields[0] ?? '').split(',').filter((name) => name !== ''))
  }
  return { updates, branches }
}

function majorOf(fields: readonly string[], line: number): ListedUpdate {
  const [from, to, more] = fields
  if (!isWord(from) || !isWord(to) || more !== undefined) throw wrong(line, 'is not MU:OLD:NEW')
  return { kind: 'major', from, to }
}

function patchOf(fields: readonly string[], line: number): ListedUpdate {
  const [release, arch, flavour, ident, description = '', path, size = '', digest = '', details = '', date = '', more] = fields
  const sha256 = parseSha256(digest)
  if (![release, arch, flavour, ident].every(isWord) || path === undefined || more !== undefined)
    throw wrong(line, 'is not SA: and ten fields')
  if (sha256 === undefined) throw wrong(line, 'has no sha256')
  if (!/^[0-9]{1,9}$/.test(size)) throw wrong(line, 'has no size')
  if (path.split('/').includes('..')) throw new BinderyError('hostile', `line ${line}: the path leads outside`)
  const words = { release, arch, flavour, ident } as Record<'release' | 'arch' | 'flavour' | 'ident', string>
  return { kind: 'patch', ...words, description, path, megabytes: Number(size), sha256, details, date }
}

/** It becomes part of names of files. */
function isWord(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(text)
}

/** Throws `usage` for what a list has no room for: it has no escapes. */
export function encodeListedUpdate(update: ListedUpdate): string {
  const fields =
    update.kind === 'major'
      ? ['MU', update.from, update.to]
      : [
          'SA',
          update.release,
          update.arch,
          update.flavour,
          update.ident,
          update.description,
          update.path,
          String(update.megabytes),
          update.sha256,
          update.details,
          update.date,
        ]
  for (const field of fields)
    if (/[:\u0000-\u001f\u007f]/.test(field))
      throw new BinderyError('usage', `'${field}' holds a colon, which a list of updates has no room for`)
  const line = fields.join(':')
  decodeUpdList(Buffer.from(`${line}\n`))
  return line
}

/** Unknown keys are passed over, as by the program that read them. */
export function decodeUpdFile(bytes: Uint8Array): UpdFile {
  const values = new Map<string, string>()
  for (const [number, line] of linesOf(bytes)) {
    const match = /^([A-Za-z][A-Za-z0-9 ]*):([^\r]*)$/.exec(line)
    if (match === null) throw wrong(number, "is not 'Key: value'")
    const key = (match[1] as string).replaceAll(' ', '')
    if (values.has(key)) throw wrong(number, `'${key}' is there twice`)
    values.set(key, (match[2] as string).trim())
  }
  return updFileOf((key) => values.get(key))
}

function updFileOf(value: (key: string) => string | undefined): UpdFile {
  const needed = (key: string, pattern: RegExp): string => {
    const text = value(key)
    if (text === undefined) throw new BinderyError('bad-format', `has no line '${key}'`)
    if (!pattern.test(text)) throw new BinderyError('bad-format', `'${key}' makes no sense`)
    return text
  }
  const flag = (key: string): boolean => value(key)?.toUpperCase() === 'YES'
  const [name, details, mirror] = [value('Name'), value('DetailsURL'), value('Mirror')]
  const file = needed('FileURL', /./)
  if (file.split('/').includes('..')) throw new BinderyError('hostile', "'FileURL' leads outside")
  return {
    ...(name === undefined ? {} : { name }),
    ...(details === undefined ? {} : { details }),
    md5: needed('MD5', /^[0-9a-fA-F]{32}$/).toLowerCase(),
    megabytes: Number(needed('Size', /^[0-9]{1,9}$/)),
    ...(mirror === undefined ? {} : { mirror }),
    file,
    standAlone: flag('StandAlone'),
    requiresReboot: flag('RequiresReboot'),
  }
}

export function encodeUpdFile(update: UpdFile): string {
  const { name, details, md5, megabytes, mirror, file, standAlone, requiresReboot } = update
  const text = [
    ...(name === undefined ? [] : [`Name: ${name}`]),
    `MD5: ${md5}`,
    `Size: ${megabytes}`,
    ...(mirror === undefined ? [] : [`Mirror: ${mirror}`]),
    `FileURL: ${file}`,
    `StandAlone: ${standAlone ? 'YES' : 'NO'}`,
    `RequiresReboot: ${requiresReboot ? 'YES' : 'NO'}`,
    ...(details === undefined ? [] : [`DetailsURL: ${details}`]),
    '',
  ].join('\n')
  decodeUpdFile(Buffer.from(text))
  return text
}

/** With their numbers; without empty lines and comments. */
function linesOf(bytes: Uint8Array): readonly (readonly [number, string])[] {
  return textOf(bytes)
    .split('\n')
    .flatMap((line, i): (readonly [number, string])[] => {
      if (line.length > updLimits.line) throw new BinderyError('over-limit', `line ${i + 1} is longer than ${updLimits.line} characters`)
      if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line)) throw wrong(i + 1, 'has a control character')
      return line.trim() === '' || line.startsWith('#') ? [] : [[i + 1, line]]
    })
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length > updLimits.bytes) throw new BinderyError('over-limit', `is larger than ${updLimits.bytes} bytes`)
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new BinderyError('bad-format', 'is not UTF-8', { cause })
  }
}

function wrong(line: number, message: string): BinderyError {
  return new BinderyError('bad-format', `line ${line}: ${message}`)
}
