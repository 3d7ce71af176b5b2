import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeTree, differences } from '../acceptance/judge.ts'
import { fingerprintOf } from './fingerprint.ts'

/** What is found of a machine that was hurt, as mtree(1), getfattr(1) and find(1) see it. */

export type Facts = ReadonlyMap<string, string>

/** The two trees that a run leads from and to, and the names that the client's state has then. */
export type Sides = { readonly before: Machine; readonly after: Machine }

export type Machine = { readonly tree: Facts; readonly state: readonly string[] }

export async function look(root: string): Promise<Machine> {
  const tree = new Map(await describe(root))
  for (const path of undated) tree.set(path, (tree.get(path) ?? '').replace(/ time=\S+/, ''))
  // What has another name in the store alone.
  const groups = (tree.get('hard links') ?? '').split('; ').filter((names) => names.includes(' = '))
  tree.set('hard links', groups.join('; '))
  return { tree, state: stateNames(root) }
}

const described = new Map<string, Promise<Facts>>()

/** The programs of the judge look once at each of many trees that are the same. */
async function describe(root: string): Promise<Facts> {
  const key = fingerprintOf(root).tree
  const known = described.get(key) ?? describeTree(root)
  described.set(key, known)
  return await known
}

/** The folder around the state, and what was merged when the run was. */
const undated = ['./var/db', './etc/conf']

/** What may be there or not: folders of the state, downloads, logs, locks of the dead, the recovery program, the version, what was learnt of the repository,
 * what is noted at the end of a run. */
const mayBe =
  /^(?:cache(?:\/.*)?|log(?:\/.*)?|trust(?:\/.*)?|lock(?:\/.*)?|channel|receipt|stage|steps|store|recover|reboot|told|version|checksums(?:\.new)?)$/

function stateNames(root: string): readonly string[] {
  const state = join(root, 'var/db/bindery')
  if (!existsSync(state)) return []
  const names = readdirSync(state, { recursive: true, encoding: 'utf8' }).filter((name) => !mayBe.test(name))
  return names
    .map((name) => name.replace(/^store\/\d+\/.*/, 'store/N/slot'))
    .filter((name, i, all) => all.indexOf(name) === i)
    .sort()
}

/** One that is a receipt too tells of what was done: a power cut may bring the name back. */
export function journalOf(root: string): { readonly isBackward: boolean } | undefined {
  const file = join(root, 'var/db/bindery/journal')
  return existsSync(file) && statSync(file).nlink === 1
    ? { isBackward: /^direction backward$/m.test(readFileSync(file, 'latin1')) }
    : undefined
}

/** In the middle every path is exactly its old or its new version; the first few that are not. */
export function mixtureFaults({ tree }: Machine, { before, after }: Sides): readonly string[] {
  const paths = [...new Set([...tree.keys(), ...before.tree.keys(), ...after.tree.keys()])].filter((path) => path.startsWith('.'))
  return paths
    .filter((path) => !isOldOrNew(tree.get(path), before.tree.get(path), after.tree.get(path)))
    .map((path) => `${path}: neither old nor new: ${String(tree.get(path))}`)
}

/** Where only attributes change, they change one after the other; the time of a folder is that of the newest name in it, until the end. */
function isOldOrNew(now: string | undefined, old: string | undefined, next: string | undefined): boolean {
  if (now === old || now === next) return true
  if (now === undefined) return false
  const [words, olds, nexts] = [wordsOf(now), wordsOf(old ?? next ?? ''), wordsOf(next ?? old ?? '')]
  const kept = ['type', 'size', 'sha256', 'link', 'device']
  if (kept.some((key) => olds.get(key) !== nexts.get(key))) return false
  const isFolder = words.get('type') === 'dir'
  // A folder that comes is made before it has its mode, one with another owner closed to him meanwhile.
  const free = isFolder ? ['time', 'mode'] : old === undefined ? [] : ['mode']
  return [...words].every(([key, value]) => free.includes(key) || isEither(key, value, olds.get(key), nexts.get(key)))
}

/** Node sets times to a quarter of a microsecond; touch(1) sets the rest behind it. */
function isEither(key: string, value: string, old: string | undefined, next: string | undefined): boolean {
  if (value === old || value === next) return true
  return key === 'time' && [old, next].some((time) => time !== undefined && Math.abs(nanosOf(time) - nanosOf(value)) < 1000)
}

/** As mtree(1) writes it: seconds, and behind a dot nanoseconds without leading zeros. Differences of a few of them are exact. */
function nanosOf(time: string): number {
  const [sec = '0', nsec = '0'] = time.split('.')
  return (Number(sec) - 1_767_225_600) * 1e9 + Number(nsec)
}

function wordsOf(line: string): ReadonlyMap<string, string> {
  return new Map(
    line
      .trim()
      .split(' ')
      .map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  )
}

/** A whole tree, and nothing but what belongs to it in the state: the first few things that are otherwise. */
export function wholeFaults(seen: Machine, wanted: Machine): readonly string[] {
  const extra = seen.state.filter((name) => !wanted.state.includes(name)).map((name) => `left in the state: ${name}`)
  const missing = wanted.state.filter((name) => !seen.state.includes(name)).map((name) => `missing in the state: ${name}`)
  return [...differences(seen.tree, wanted.tree), ...extra, ...missing]
}

/** The shell of the tree, by the linker and the libc of the tree. */
export function startFaults(root: string): readonly string[] {
  const { status, stderr } = spawnSync('chroot', [root, '/bin/sh', '-c', ':'], { encoding: 'utf8' })
  return status === 0 ? [] : [`its shell does not start: ${stderr.trim()}`]
}
