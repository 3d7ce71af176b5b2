import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { writeNewFile } from './new-file.ts'
import { systemError } from './system-error.ts'

/** `NAME.sec` and `NAME.pub` of a folder; either may be missing. */
export type KeyFileBytes = { readonly name: string; readonly secret?: Uint8Array; readonly public?: Uint8Array }

/** No signify file is larger. */
const maxKeyBytes = 4096

export async function readKeyFolder(folder: string): Promise<readonly KeyFileBytes[]> {
  const files = await reading(folder, () => readdir(folder))
  const names = new Set(files.flatMap((file) => /^([^.].*)\.(?:sec|pub)$/.exec(file)?.[1] ?? []))
  return await Promise.all([...names].sort().map(async (name) => await readPair(folder, name, files)))
}

async function readPair(folder: string, name: string, files: readonly string[]): Promise<KeyFileBytes> {
  const half = async (file: string): Promise<Uint8Array | undefined> =>
    files.includes(file) ? await readKeyFile(join(folder, file)) : undefined
  const [secret, publicHalf] = await Promise.all([half(`${name}.sec`), half(`${name}.pub`)])
  return { name, ...(secret === undefined ? {} : { secret }), ...(publicHalf === undefined ? {} : { public: publicHalf }) }
}

/** One pair by its secret half, `NAME.sec`; the public one beside it says which key it is before the passphrase is asked for. */
export async function readKeyFiles(secretFile: string): Promise<KeyFileBytes> {
  const name = basename(secretFile, '.sec')
  const publicFile = join(dirname(secretFile), `${name}.pub`)
  const secret = await readKeyFile(secretFile)
  const isPair = secretFile.endsWith('.sec') && (await isThere(publicFile))
  return { name, secret, ...(isPair ? { public: await readKeyFile(publicFile) } : {}) }
}

async function readKeyFile(file: string): Promise<Uint8Array> {
  return await reading(file, async () => {
    const status = await stat(file)
    if (!status.isFile() || status.size > maxKeyBytes) throw new BinderyError('bad-format', 'is no key file', { subject: file })
    return new Uint8Array(await readFile(file))
  })
}

async function reading<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw systemError(error, file)
  }
}

/** `exists` where one of the files is there already. */
export async function refuseKeys(folder: string, names: readonly string[]): Promise<void> {
  for (const file of names.flatMap((name) => [join(folder, `${name}.sec`), join(folder, `${name}.pub`)])) {
    if (await isThere(file)) throw new BinderyError('exists', 'exists already; a key is never written over', { subject: file })
  }
}

async function isThere(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    (cause: unknown) => {
      const error = systemError(cause, file)
      return isBinderyError(error, 'not-found') ? false : Promise.reject(error)
    },
  )
}

/** Secret halves as 0600 in a folder that is made as 0700; durable when it returns. On failure none of them is left. */
export async function writeKeyFolder(folder: string, keys: readonly Required<KeyFileBytes>[]): Promise<void> {
  await reading(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }))
  const written: string[] = []
  const write = async (file: string, bytes: Uint8Array, mode: number): Promise<void> => {
    await writeNewFile(file, bytes, mode)
    written.push(file)
  }
  try {
    for (const key of keys) {
      await write(join(folder, `${key.name}.sec`), key.secret, 0o600)
      await write(join(folder, `${key.name}.pub`), key.public, 0o644)
    }
  } catch (error) {
    await Promise.all(written.map(async (file) => await unlink(file).catch(() => {})))
    throw error
  }
}

/** Takes back what `writeKeyFolder` wrote. */
export async function removeKeys(folder: string, names: readonly string[]): Promise<void> {
  for (const file of names.flatMap((name) => [join(folder, `${name}.sec`), join(folder, `${name}.pub`)])) await unlink(file).catch(() => {})
}
