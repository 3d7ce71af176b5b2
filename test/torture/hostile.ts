import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describeTree, differences } from '../acceptance/judge.ts'
import { look, startFaults } from './judge.ts'
import { runRecovery } from './kill.ts'
import { tryPoints } from './machines.ts'
import { bindery, runOf } from './scenarios.ts'
import { copyFolder, runScript } from './site.ts'
import { actBefore, callsOf } from './strace.ts'
import type { Facts, Machine } from './judge.ts'
import type { Options, Point, Row } from './machines.ts'
import type { Place, Scenario } from './scenarios.ts'
import type { Call } from './strace.ts'

/**
 * Somebody who owns one folder of the tree exchanges what is in it while a run is held before one of its calls. Nothing may be written outside the root,
 * what belongs to others is old or new, what he has written is not lost, and no file has more rights than its release or he gave it.
 */

const owner = 67

/** In `theirs` all that a release changes: contents, modes, owners, what comes and what goes, at two depths. Outside there is what must stay. */
const trees = `
make_old() {
  mkdir -p bin etc theirs/deep/er var/db; cp /bin/dash bin/sh; echo one >etc/conf; echo su >bin/su
  for file in theirs/f theirs/deep/g theirs/deep/er/h; do echo one >$file; done
  echo page >theirs/deep/mode; echo owned >theirs/deep/owner; echo gone >theirs/deep/gone; ln -s f theirs/link
  for lib in $(ldd /bin/dash | grep -o '/[^ ]*'); do mkdir -p ".\${lib%/*}"; cp -L "$lib" ".$lib"; done
  chown -hR ${owner}:${owner} theirs; chmod 4755 bin/su; chmod 600 theirs/deep/owner; chown 0:0 theirs/deep/owner
}
make_new() {
  for file in theirs/f theirs/deep/g theirs/deep/er/h etc/conf bin/su; do echo two >>$file; done
  chmod 640 theirs/deep/mode; chown ${owner}:${owner} theirs/deep/owner; chmod 644 theirs/deep/owner; rm theirs/deep/gone
  mkdir theirs/deep/come; echo come >theirs/deep/come/file; ln -sfn deep/g theirs/link
  chown -hR ${owner}:${owner} theirs/deep/come theirs/link; echo helper >theirs/deep/er/helper; chmod 4755 theirs/deep/er/helper
}
mkdir OLD outside
(cd OLD && make_old)
find OLD -exec touch -h -d '2026-01-01 UTC' {} +
cp -a OLD NEW
(cd NEW && make_new)
mkdir outside/er outside/come
for file in g mode owner gone er/h come/file f; do echo secret >outside/$file; chmod 600 outside/$file; done
find outside -exec touch -h -d '2026-01-01 UTC' {} +
bindery init -r repo -k keys --no-passphrase
bindery cut OLD -o old.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
bindery cut NEW -o new.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
bindery publish -r repo -k keys old.tar.zst
cp -a OLD enrolled; bindery -q -C enrolled enroll "file://$PWD/repo/" repo/metadata/1.root.json base/amd64
bindery publish -r repo -k keys new.tar.zst
cp -a enrolled fetched; bindery -q -C fetched fetch
cp -a fetched installed; bindery -q -C installed install
`

/** Run by the owner of the folder, in it; `$out` is the folder outside the root. What he writes says `mine`. */
const mischiefs: Readonly<Record<string, string>> = {
  'the folder is a link': 'mv deep away; ln -s "$out" deep',
  'a folder below is a link': 'mv deep/er deep/away; ln -s "$out/er" deep/er',
  'files are links': 'for f in f deep/g deep/mode deep/owner deep/er/h; do rm -f $f; ln -s "$out/${f##*/}" $f; done',
  'files are other files': 'for f in f deep/g deep/mode deep/owner deep/gone deep/er/h; do rm -f $f; echo mine >$f; done',
  'files are written to': 'for f in f deep/g deep/mode deep/gone deep/er/h; do echo mine >>$f; done',
  'the folder is another one':
    'mv deep away; mkdir -p deep/er deep/come; echo mine >deep/g; echo mine >deep/er/h; echo mine >deep/come/file',
  'the folder is gone': 'mv deep ..away 2>/dev/null || rm -rf deep',
  'files are pipes': 'for f in f deep/g deep/er/h; do rm -f $f; mkfifo $f; done',
  'a name that comes is taken by a link': 'mkdir -p deep/come; ln -s "$out/come/file" deep/come/file; ln -s "$out/f" deep/er/helper',
}

const scenarios: readonly Scenario[] = [
  { name: 'install', from: 'fetched', kind: 'machine', command: ({ root }) => bindery('-C', root, 'install') },
  { name: 'rollback', from: 'installed', kind: 'machine', command: ({ root }) => bindery('-C', root, 'rollback') },
]

export type HostileSite = { readonly place: Place; readonly outside: Facts }

export async function makeHostileSite(work: string): Promise<HostileSite> {
  mkdirSync(work, { recursive: true })
  runScript(work, trees)
  return { place: { work, root: join(work, 'root') }, outside: await describeTree(join(work, 'outside')) }
}

export async function tortureHostile(options: Options): Promise<readonly Row[]> {
  const site = await makeHostileSite(join(options.work, 'hostile'))
  const rows: Row[] = []
  for (const scenario of scenarios) {
    if (options.only?.includes(scenario.name) === false) continue
    rows.push(await tryPoints(options, `${scenario.name}, a hostile owner`, await hostilePoints(site, scenario.name)))
  }
  return rows
}

/** Each mischief before each call; one call after the other meets another one, so that a slice has all of them. */
export async function hostilePoints(site: HostileSite, name: string): Promise<readonly Point[]> {
  const scenario = scenarios.find((one) => one.name === name) as Scenario
  const { work, root } = site.place
  copyFolder(work, scenario.from, root)
  const calls = (await callsOf(runOf(scenario, site.place), join(work, 'trace'))).filter(
    ({ text }) => !/bindery\/(?:log|lock|trust)\//.test(text),
  )
  const sides = { before: await look(join(work, scenario.from)), after: await look(root) }
  const names = Object.keys(mischiefs)
  return names.flatMap((_, turn) =>
    calls.map((call, i) => {
      const mischief = names[(i + turn) % names.length] as string
      return {
        name: `${mischief}, before ${call.kind} ${call.nth} (${call.text.slice(0, 120)}`,
        faults: async () => await hostileFaults(site, scenario, { call, mischief, sides }),
      }
    }),
  )
}

type Attack = { readonly call: Call; readonly mischief: string; readonly sides: { readonly before: Machine; readonly after: Machine } }

async function hostileFaults(
  { place, outside }: HostileSite,
  scenario: Scenario,
  { call, mischief, sides }: Attack,
): Promise<readonly string[] | undefined> {
  const { work, root } = place
  copyFolder(work, scenario.from, root)
  let written = 0
  const { status, text, isMet } = await actBefore(runOf(scenario, place), call, join(work, 'trace'), () => {
    written = strike(place, mischief)
  })
  if (!isMet) return undefined
  const faults =
    [0, 1, 3, 4, 6].includes(status ?? -1) && !text.includes('internal error') ? [] : [`exit status ${String(status)}: ${text.trim()}`]
  const recovered = runRecovery(bindery('-C', root, 'recover'), place)
  if (recovered.status !== 0 && recovered.status !== 6) faults.push(`recover: exit status ${String(recovered.status)}: ${recovered.text}`)
  return [
    ...faults,
    ...differences(await describeTree(join(work, 'outside')), outside).map((fault) => `outside: ${fault}`),
    ...treeFaults(await look(root), sides),
    ...lostFaults(place, written),
    ...startFaults(root),
  ]
}

/** Answers how many lines he has written. */
function strike({ work, root }: Place, mischief: string): number {
  const script = `set +e; cd theirs || exit; ${mischiefs[mischief] ?? ''}`
  spawnSync('sh', ['-c', script], { cwd: root, uid: owner, gid: owner, env: { PATH: '/usr/bin:/bin', out: join(work, 'outside') } })
  return countMine(root)
}

function countMine(folder: string): number {
  const { stdout } = spawnSync('grep', ['-rch', '--devices=skip', '^mine$', folder], { encoding: 'utf8' })
  return stdout.split('\n').reduce((sum, count) => sum + Number(count), 0)
}

function lostFaults({ root }: Place, written: number): readonly string[] {
  const left = countMine(root)
  return left < written ? [`of ${written} lines that he wrote ${left} are left`] : []
}

/** What is not his is old or new; what is below his folder is that, or his own without any right that he could not give it. */
function treeFaults({ tree }: Machine, { before, after }: Attack['sides']): readonly string[] {
  const isKnown = (path: string, line: string): boolean => [before, after].some((side) => side.tree.get(path) === line)
  const isHis = (path: string, line: string): boolean => /^\.\/theirs(?:\/|$)/.test(path) && !isSetuid(line) && isOf(line, owner)
  const versions = new Set([...before.tree.values(), ...after.tree.values()].map(contentOf))
  return [...tree]
    .filter(([path, line]) => path.startsWith('.') && !isKnown(path, line) && !isHis(path, line))
    .filter(([path, line]) => !(path.startsWith('./theirs/') && !isSetuid(line) && versions.has(contentOf(line))))
    .map(([path, line]) => `${path}: neither old nor new nor his: ${line}`)
}

const isOf = (line: string, uid: number): boolean => new RegExp(`(?:^| )uid=${uid}(?: |$)`).test(line)

const isSetuid = (line: string): boolean => /(?:^| )type=file(?: |$)/.test(line) && /(?:^| )mode=0?[4-7][0-7]{3}(?: |$)/.test(line)

/** Who owns it, and what is in it: whatever its time. */
function contentOf(line: string): string {
  return line
    .split(' ')
    .filter((word) => /^(?:type|uid|sha256|link)=/.test(word))
    .join(' ')
}
