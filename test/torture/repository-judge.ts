import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** A repository as its readers find it: each thing named by the one before, from timestamp.json down, by size and sha256. */

type Named = { readonly length?: number; readonly hashes?: { readonly sha256?: string } }
type Meta = Named & { readonly version: number }
type Signed<T> = { readonly signed: T & { readonly version: number } }
type Targets = {
  readonly targets: Readonly<Record<string, Named>>
  readonly delegations?: { readonly roles?: readonly { readonly name: string }[] }
}

/** Which version its readers see, and what of it is not there or is something else. */
export function readRepository(folder: string): { readonly version: number; readonly faults: readonly string[] } {
  const faults: string[] = []
  const get = (file: string, named: Named): Buffer | undefined => {
    const path = join(folder, file)
    if (!existsSync(path)) return void faults.push(`${file}: missing`)
    const bytes = readFileSync(path)
    if (named.length !== undefined && bytes.length !== named.length)
      faults.push(`${file}: ${bytes.length} bytes instead of ${named.length}`)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    if (named.hashes?.sha256 !== undefined && sha256 !== named.hashes.sha256) faults.push(`${file}: is another`)
    return bytes
  }
  const metadata = <T>(file: string, named: Named): Signed<T> | undefined => {
    const bytes = get(`metadata/${file}`, named)
    return bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as Signed<T>)
  }
  const timestamp = metadata<{ meta: Record<string, Meta> }>('timestamp.json', {})
  const latest = timestamp?.signed.meta['snapshot.json']
  const snapshot = latest === undefined ? undefined : metadata<{ meta: Record<string, Meta> }>(`${latest.version}.snapshot.json`, latest)
  for (const [name, meta] of Object.entries(snapshot?.signed.meta ?? {})) {
    const role = metadata<Targets>(`${meta.version}.${name}`, meta)
    for (const [path, target] of Object.entries(role?.signed.targets ?? {})) get(blobFile(path, target), target)
  }
  return { version: timestamp?.signed.version ?? 0, faults }
}

/** Consistent snapshots: the digest stands before the last part of the name. */
function blobFile(path: string, target: Named): string {
  const slash = path.lastIndexOf('/') + 1
  return `blobs/${path.slice(0, slash)}${target.hashes?.sha256 ?? ''}.${path.slice(slash)}`
}

/** How many files it has, by folder: what a repeated run has left over shows. */
export function countFiles(folder: string): string {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const folders = Map.groupBy(names, ({ parentPath }) => parentPath.slice(folder.length + 1))
  return [...folders]
    .map(([name, files]) => `${name} ${files.length}`)
    .sort()
    .join(', ')
}
