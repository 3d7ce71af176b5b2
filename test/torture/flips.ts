import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { audit } from '../../src/command/audit.ts'
import { fsck } from '../../src/command/fsck.ts'
import { runCommand } from '../helpers/run-command.ts'
import { copyFolder, makeSite, runScript } from './site.ts'
import type { Options, Row } from './machines.ts'
import type { Outcome } from '../helpers/run-command.ts'

/**
 * One bit of one file is another, as a disk loses it: nobody has written, so the time of the file stays. A machine is looked at by
 * `audit` and mended by `audit --repair`, a repository looked at by `fsck`.
 */

/** What came of a flip. `harmless`: nothing was said, and nothing that anybody reads differs. */
export type Verdict = 'repaired' | 'said' | 'harmless' | 'missed'

type Judged = { readonly verdict: Verdict; readonly why: string }

/** `size` is that of the sound file. */
export type Flip = SizedFile & { readonly byte: number; readonly bit: number }

export type Place = {
  readonly what: string
  readonly files: () => readonly string[]
  /** So many files, a bit of each, may be looked at in one go. */
  readonly together: number
  /** Of different files, in their order. */
  readonly judge: (flips: readonly Flip[]) => Promise<readonly Judged[]>
}

export type FlipOptions = Pick<Options, 'work' | 'only' | 'tell'> & { readonly count: number; readonly seed: number }

export async function tortureFlips(options: FlipOptions): Promise<readonly Row[]> {
  // A machine is tortured in the folder itself.
  const work = join(options.work, 'flips')
  mkdirSync(work)
  makeSite(work)
  runScript(work, 'bindery keygen --no-passphrase -p bundles.pub -s bundles.sec; bindery bundle -r repo -s bundles.sec base/amd64')
  const places = (await flipPlaces(work)).filter(({ what }) => options.only?.includes(what) !== false)
  const rows: Row[] = []
  for (const place of places) rows.push(await flipAll(options, place, Math.ceil(options.count / places.length)))
  return rows
}

export async function flipAll({ seed, tell }: Pick<FlipOptions, 'seed' | 'tell'>, place: Place, count: number): Promise<Row> {
  const started = performance.now()
  const seen = new Map<Verdict, number>()
  const files = place.files().map(sizedFile)
  const bits = files.reduce((sum, { size }) => sum + 8 * size, 0)
  const flips = Array.from({ length: count }, (_, nth) => chooseFlip(files, `${seed} ${place.what} ${nth}`))
  for (const some of ofDifferentFiles(flips, place.together)) {
    const judged = await place.judge(some)
    for (const [i, { verdict, why }] of judged.entries()) {
      const { file, byte, bit } = some[i] as Flip
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1)
      if (verdict === 'missed') tell(`${place.what}: seed ${seed}, ${file} byte ${byte} bit ${bit}: ${why}`)
    }
  }
  const minutes = (performance.now() - started) / 60_000
  const counts = (['repaired', 'said', 'harmless'] as const).map((one) => `${seen.get(one) ?? 0} ${one}`).join(', ')
  tell(`${place.what}: ${count} flips: ${counts}, ${seen.get('missed') ?? 0} missed, ${minutes.toFixed(1)} min`)
  return { what: `${place.what}, bits flipped (${counts})`, points: bits, tried: count, bad: seen.get('missed') ?? 0, minutes }
}

/** By turns each file alike, so that small ones have their share, and each byte alike. */
function chooseFlip(files: readonly SizedFile[], seed: string): Flip {
  const digest = createHash('sha256').update(seed).digest()
  const [a, b, c] = [digest.readUInt32BE(0), digest.readUInt32BE(4), digest.readUInt32BE(8)]
  const chosen = (c % 2 === 0 ? files[a % files.length] : byWeight(files, a / 2 ** 32)) as SizedFile
  return { ...chosen, byte: b % chosen.size, bit: (c >>> 1) % 8 }
}

/** All of them, in groups of no more than `most`, in which no file comes twice. */
function ofDifferentFiles(flips: readonly Flip[], most: number): readonly (readonly Flip[])[] {
  const groups: Flip[][] = []
  for (const flip of flips) {
    const group = groups.find((one) => one.length < most && one.every(({ inode }) => inode !== flip.inode))
    if (group === undefined) groups.push([flip])
    else group.push(flip)
  }
  return groups
}

export type SizedFile = {
  readonly file: string
  readonly size: number
  /** Names of one file have one. */
  readonly inode: number
}

export function sizedFile(file: string): SizedFile {
  const { size, ino } = statSync(file)
  return { file, size, inode: ino }
}

function byWeight(files: readonly SizedFile[], part: number): SizedFile | undefined {
  const total = files.reduce((sum, { size }) => sum + size, 0)
  let before = 0
  return files.find(({ size }) => (before += size) > part * total)
}

/** Leaves inode and time as they were. */
export function flip({ file, byte, bit }: Pick<Flip, 'file' | 'byte' | 'bit'>): Buffer {
  const whole = readFileSync(file)
  const broken = Buffer.from(whole)
  broken[byte] = (broken[byte] as number) ^ (1 << bit)
  writeAsBefore(file, broken)
  return whole
}

function writeAsBefore(file: string, bytes: Uint8Array): void {
  const { mtimeNs } = statSync(file, { bigint: true })
  writeFileSync(file, bytes, { flag: 'r+' })
  execFileSync('touch', ['-d', `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`, file])
}

/** Of a folder that holds a repository `repo`, the key `bundles.pub` of its bundles, and a machine `installed`. */
export async function flipPlaces(work: string): Promise<readonly Place[]> {
  copyFolder(work, 'installed', 'sound')
  await auditOf(join(work, 'sound'), '--repair')
  return [await machinePlace(work, 'tree'), await machinePlace(work, 'state'), repositoryPlace(work)]
}

const stateFolder = 'var/db/bindery'

async function machinePlace(work: string, what: 'tree' | 'state'): Promise<Place> {
  const root = join(work, `flipped-${what}`)
  await fresh(work, root)
  const isIn = (file: string): boolean => isOfState(root, file) === (what === 'state')
  // A damaged file of the state may hide another one; that of a program hides none.
  const together = what === 'tree' ? 16 : 1
  return { what, files: () => filesBelow(root).filter(isIn), together, judge: async (flips) => await judgeMachine(work, root, flips) }
}

/** A copy has other inodes, of which nothing is noted before a verb has ended in it. */
async function fresh(work: string, root: string): Promise<void> {
  copyFolder(work, 'sound', root)
  const { status, stdout } = await auditOf(root)
  if (status !== 0) throw new Error(`a machine that nobody has hurt is found damaged:\n${stdout}`)
}

async function auditOf(root: string, ...words: readonly string[]): Promise<Outcome> {
  return await runCommand(audit, words, { root })
}

async function judgeMachine(work: string, root: string, flips: readonly Flip[]): Promise<readonly Judged[]> {
  // What is mended may have become another one: a base that is made anew has no deltas.
  if (flips.some(({ file, size }) => statSync(file, { throwIfNoEntry: false })?.size !== size)) await fresh(work, root)
  const hurt = flips.map((one) => ({ file: one.file, whole: flip(one) }))
  const judged = await judgeFlipped(root, hurt)
  for (const [i, { file, whole }] of hurt.entries()) if (judged[i]?.verdict === 'said') writeAsBefore(file, whole)
  // A repair of the tree leaves a receipt, and whatever was missed may be anything.
  if (judged.some(({ verdict }) => verdict === 'missed') || hurt.some(({ file }) => !isOfState(root, file))) await fresh(work, root)
  return judged
}

type Hurt = { readonly file: string; readonly whole: Buffer }

async function judgeFlipped(root: string, hurt: readonly Hurt[]): Promise<readonly Judged[]> {
  const seen = await auditOf(root)
  const mended = await auditOf(root, '--repair')
  const after = await auditOf(root)
  return hurt.map(({ file, whole }) => {
    const name = relative(root, file)
    const missed = (why: string): Judged => ({ verdict: 'missed', why })
    if (seen.status === 0) return missed('nothing was found')
    if (!isNamed(name, seen)) return missed(`not named, but: ${told(seen)}`)
    if (after.status !== 0) return isNamed(name, mended) ? { verdict: 'said', why: '' } : missed(`neither mended nor said: ${told(mended)}`)
    const isBack = isOfState(root, file) || readFileSync(file).equals(whole)
    return isBack ? { verdict: 'repaired', why: '' } : missed('it was mended into something else')
  })
}

function isOfState(root: string, file: string): boolean {
  return relative(root, file).startsWith(stateFolder)
}

/** As a whole word: of several that are looked at together, one may be the beginning of another. */
function isNamed(name: string, outcome: Outcome): boolean {
  const words = told(outcome).split(/[\s:;,]+/)
  return words.some((word) => word === name || word.endsWith(`/${name}`))
}

function told({ stdout, stderr, error }: Outcome): string {
  return [stdout, ...stderr, error?.subject ?? '', error?.message ?? '', error?.hint ?? ''].join('\n')
}

function repositoryPlace(work: string): Place {
  const repo = join(work, 'repo')
  const judge: Place['judge'] = async (flips) => [await judgeRepository(work, repo, flips[0] as Flip)]
  return { what: 'repository', files: () => filesBelow(repo), together: 1, judge }
}

async function judgeRepository(work: string, repo: string, one: Flip): Promise<Judged> {
  const name = relative(repo, one.file)
  const whole = flip(one)
  const { status, stdout, error } = await runCommand(fsck, ['-r', repo, '-p', join(work, 'bundles.pub')])
  writeAsBefore(one.file, whole)
  const found = `${stdout}${error?.subject ?? ''}`
  if (found.includes(`: ${name}: `) || found.includes(name)) return { verdict: 'said', why: '' }
  // A comment that nobody has signed, and that no reader goes by.
  if (name === 'SHA256.sig' && one.byte <= whole.indexOf('\n')) return { verdict: 'harmless', why: '' }
  return { verdict: 'missed', why: `status ${status}: ${found}` }
}

/** Empty ones have no bits. */
function filesBelow(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).size > 0)
    .sort()
}
