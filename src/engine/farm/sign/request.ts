import { about } from '../../../base/about.ts'
import { equalBytes, utf8 } from '../../../base/bytes.ts'
import { digestStream, sha256 } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { decodeHandover, encodeHandover, folderOf } from '../../../format/handover.ts'
import { handoverText } from './summary.ts'
import { bytesOfSource, carriedBytes, carriedSource, openTransport, wholeOf } from './transport.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { HandedPackage, HandedSet, Handover } from '../../../format/handover.ts'
import type { Carried } from './transport.ts'

/** A request that travels to the signer: first what a person reads, then what a program does, then the files that it speaks of. */

export const requestName = 'request.json'
const readmeName = 'README'
export const maxRecord: number = 256 << 20
export const maxList: number = 64 << 20

export function listName(set: HandedSet): string {
  return `${folderOf(set)}/SHA256.sig`
}

export function packageName(set: HandedSet, { file }: Pick<HandedPackage, 'file'>): string {
  return `${folderOf(set)}/${file}`
}

/** `fileOf` finds the package, `lastListOf` the SHA256.sig that the set follows. */
export async function* requestFiles(
  handover: Handover,
  sources: {
    readonly fileOf: (set: HandedSet, one: HandedPackage) => Promise<ByteSource>
    readonly lastListOf: (set: HandedSet) => Uint8Array
  },
): AsyncGenerator<Carried> {
  yield carriedBytes(readmeName, utf8(handoverText(handover)))
  yield carriedBytes(requestName, encodeHandover(handover))
  for (const set of handover.sets) {
    if (set.basis !== undefined) yield carriedBytes(listName(set), sources.lastListOf(set))
    for (const one of set.packages) yield carriedSource(packageName(set, one), await sources.fileOf(set, one))
  }
}

export type Request = {
  readonly handover: Handover
  /** As it stands in the file. */
  readonly record: Uint8Array
  /** The SHA256.sig that a set follows. */
  readonly lastListOf: (set: HandedSet) => Promise<Uint8Array | undefined>
  readonly fileOf: (set: HandedSet, one: HandedPackage) => ByteSource
}

/** What a person reads before signing. The packages are not looked at. */
export async function requestText(source: ByteSource): Promise<string> {
  const { handover } = await recordOf(await openTransport(source))
  return handoverText(handover)
}

/** Holds exactly what its record says, and every package and list with its digest. Throws `bad-format`, `bad-digest`. */
export async function openRequest(source: ByteSource): Promise<Request> {
  const files = await openTransport(source)
  const { record, handover } = await recordOf(files)
  const readme = await wholeOf(member(files, readmeName), maxRecord)
  if (!equalBytes(readme, utf8(handoverText(handover))))
    throw new BinderyError('bad-format', 'tells something else than is to be signed', { subject: readmeName })
  requireExactly(files, [readmeName, requestName, ...handover.sets.flatMap(namesOf)])
  const request: Request = {
    handover,
    record,
    lastListOf: async (set) => (set.basis === undefined ? undefined : await wholeOf(member(files, listName(set)), maxList)),
    fileOf: (set, one) => member(files, packageName(set, one)),
  }
  for (const set of handover.sets) await checkSet(request, set)
  return request
}

async function recordOf(files: Awaited<ReturnType<typeof openTransport>>): Promise<Pick<Request, 'record' | 'handover'>> {
  const record = await wholeOf(member(files, requestName), maxRecord)
  return { record, handover: await about(requestName, () => decodeHandover(record)) }
}

function namesOf(set: HandedSet): readonly string[] {
  return [...(set.basis === undefined ? [] : [listName(set)]), ...set.packages.map((one) => packageName(set, one))]
}

async function checkSet(request: Request, set: HandedSet): Promise<void> {
  const list = await request.lastListOf(set)
  if (list !== undefined && sha256(list) !== set.basis)
    throw new BinderyError('bad-digest', 'is not the list that the request follows', { subject: listName(set) })
  for (const one of set.packages) {
    const { size, sha256: digest } = await digestStream(bytesOfSource(request.fileOf(set, one)))
    if (size !== one.size || digest !== one.sha256)
      throw new BinderyError('bad-digest', 'is not the package that the request names', { subject: packageName(set, one) })
  }
}

export function member(files: ReadonlyMap<string, ByteSource>, name: string): ByteSource {
  const found = files.get(name)
  if (found === undefined) throw new BinderyError('bad-format', `does not hold '${showPath(name)}'`)
  return found
}

/** Nothing less, nothing more. */
export function requireExactly(files: ReadonlyMap<string, ByteSource>, names: readonly string[]): void {
  for (const name of names) member(files, name)
  const wanted = new Set(names)
  const extra = [...files.keys()].find((name) => !wanted.has(name))
  if (extra !== undefined) throw new BinderyError('hostile', `holds '${showPath(extra)}', which nobody asked for`)
}
