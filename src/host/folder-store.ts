import { mkdir, open, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isBinderyError } from '../base/error.ts'
import { entriesOf } from './folder-entries.ts'
import { removeIfThere } from './remove-file.ts'
import { openInput, writeFileAtomically } from './source.ts'
import { checkKey } from './store-key.ts'
import { syncFolder } from './sync-folder.ts'
import { absolutePath, systemError } from './system-error.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Store } from '../port/store.ts'

/** A repository in a local folder. Names that begin with a dot are ours (lock, files being written) and no keys. */
export function folderStore(folder: string): Store {
  const fileOf = (key: string): string => join(folder, checkKey(key))
  return {
    get: async (key) => await readIfThere(fileOf(key)),
    stream: (key) => streamFile(fileOf(key)),
    size: async (key) => await sizeIfThere(fileOf(key)),
    put: async (key, content) => {
      await makeFolder(dirname(fileOf(key)))
      await writeFileAtomically(fileOf(key), content)
    },
    delete: async (key) => await removeIfThere(fileOf(key)),
    list: async (prefix) => (await walk(folder, '')).filter((key) => key.startsWith(prefix)).sort(),
  }
}

/** Removes what a killed writer left behind. Only whoever holds the repository's lock may call it. */
export async function sweepFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
    if (/(^|\/)\.[^/]+\.part$/.test(name)) await removeIfThere(join(folder, name))
  }
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  if ((await sizeIfThere(file)) === undefined) return undefined
  const handle = await open(file, 'r').catch((cause: unknown) => Promise.reject(systemError(cause, file)))
  try {
    return new Uint8Array(await handle.readFile())
  } catch (cause) {
    throw systemError(cause, file)
  } finally {
    await handle.close()
  }
}

async function* streamFile(file: string): ByteStream {
  yield* await openInput(file, noInput())
}

async function* noInput(): ByteStream {}

async function sizeIfThere(file: string): Promise<number | undefined> {
  try {
    const status = await stat(file)
    return status.isFile() ? status.size : undefined
  } catch (cause) {
    const error = systemError(cause, file)
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

/** A new name is durable only when the directory that holds it is synced. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    const first = await mkdir(folder, { recursive: true })
    if (first === undefined) return
    for (let at = absolutePath(folder); at !== dirname(at); at = dirname(at)) {
      await syncFolder(dirname(at))
      if (at === absolutePath(first)) return
    }
  } catch (cause) {
    throw systemError(cause, folder)
  }
}

async function walk(folder: string, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for (const entry of await entriesOf(join(folder, prefix))) {
    if (entry.name.startsWith('.')) continue
    if (entry.isDirectory()) keys.push(...(await walk(folder, `${prefix}${entry.name}/`)))
    else if (entry.isFile()) keys.push(`${prefix}${entry.name}`)
  }
  return keys
}
