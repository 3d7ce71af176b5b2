import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeNextRoot, encodeNextRoot } from '../src/format/next-root.ts'
import { openFleet } from './helpers/fleet.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { isWholeSuite, testsByDay } from './helpers/whole-suite.ts'
import type { TestContext } from 'node:test'
import type { Fleet } from './helpers/fleet.ts'

/** Roots that are cloned, mounted and started next by commands of bindery.conf: by some that only copy, and by btrfs itself. */

let fleet: Fleet
const work = mkdtempSync(join(tmpdir(), 'bindery-next-root-'))
before(async () => {
  fleet = await openFleet(Date.now())
  for (const revision of ['1', '2']) assert.equal((await fleet.release(revision)).status, 0)
})
after(() => {
  fleet.remove()
  rmSync(work, { recursive: true })
})

type Result = { readonly status: number | null; readonly talk: string }

function run(root: string, ...words: readonly string[]): Result {
  const { status, stderr } = spawnSync(resolve('bin/bindery'), ['-C', root, ...words], { encoding: 'utf8' })
  return { status, talk: stderr }
}

function good(root: string, ...words: readonly string[]): string {
  const { status, talk } = run(root, ...words)
  assert.equal(status, 0, `${words.join(' ')}\n${talk}`)
  return talk
}

const shell = (script: string): void => void execFileSync('sh', ['-ec', script], { stdio: 'ignore' })

/** Some way to have several roots, of which one is started. */
type Roots = {
  readonly commands: string
  /** The root that would be started now. */
  start(): string
  /** Of those beside it. */
  names(): readonly string[]
}

function enrollAt(root: string, commands: string): void {
  mkdirSync(join(root, 'etc'), { recursive: true })
  mkdirSync(join(root, 'var/db'), { recursive: true })
  writeFileSync(join(root, 'version'), '1')
  writeFileSync(join(root, 'etc/bindery.conf'), commands)
  writeFileSync(join(root, 'log'), 'a line\n')
  const words = [`file://${fleet.at('repo')}/`, fleet.at('repo/metadata/1.root.json'), 'base/amd64']
  good(root, '-q', 'enroll', ...words, '--release', 'base-1-20260101-amd64')
}

const version = (root: string): string => readFileSync(join(root, 'version'), 'utf8')

/** There, back, and what is refused on the way. */
function road({ commands, start, names }: Roots): void {
  const first = start()
  enrollAt(first, commands)
  assert.match(good(first, 'install'), /reboot to switch to bindery-/)
  assert.deepEqual([version(first), names().length], ['1', 1])
  const waiting = run(first, 'install')
  assert.deepEqual([waiting.status, /waits for the next start/.test(waiting.talk)], [1, true])
  assert.match(good(first, 'recover'), /waits for the next start/)
  good(first, 'recover', '--undo')
  assert.deepEqual([names(), existsSync(join(first, 'var/db/bindery/next-root'))], [[], false])
  good(first, 'install')
  const second = start()
  assert.equal(version(second), '2')
  assert.equal(good(second, 'install'), '')
  assert.equal(good(second, 'audit'), '')
  appendFileSync(join(second, 'log'), 'since\n')
  good(second, 'rollback')
  assert.equal(version(second), '2')
  const third = start()
  assert.deepEqual([version(third), readFileSync(join(third, 'log'), 'utf8')], ['1', 'a line\nsince\n'])
  assert.deepEqual(readdirSync(join(third, 'var/db/bindery/next')), [])
}

const byDay = testsByDay()

/** What `needs` and `needsRoot` are to `test`. */
function isSkipped(t: TestContext, ...programs: readonly string[]): boolean {
  const { skip } = { ...needs(...programs), ...needsRoot() }
  if (skip !== undefined) t.skip(skip)
  return skip !== undefined
}

function copying(store: string): Roots {
  mkdirSync(join(store, 'first'), { recursive: true })
  writeFileSync(join(store, 'active'), 'first\n')
  const active = (): string => readFileSync(join(store, 'active'), 'utf8').trim()
  return {
    commands: [
      `root-make cp -a "$BINDERY_ROOT" ${store}/"$BINDERY_NAME" && mount --bind ${store}/"$BINDERY_NAME" "$BINDERY_NEXT"`,
      `root-switch umount "$BINDERY_NEXT" && echo "$BINDERY_NAME" > ${store}/active`,
      `root-remove umount "$BINDERY_NEXT" 2>/dev/null; echo first > ${store}/active; rm -rf ${store}/"$BINDERY_NAME"`,
      '',
    ].join('\n'),
    start: () => join(store, active()),
    names: () => readdirSync(store).filter((name) => name.startsWith('bindery-')),
  }
}

function canMount(t: TestContext): boolean {
  try {
    shell(`mkdir -p ${work}/probe && mount --bind ${work}/probe ${work}/probe && umount ${work}/probe`)
    return true
  } catch {
    t.skip('nothing can be mounted here')
    return false
  }
}

byDay('a root that commands copy and mount is changed there, and started next', (t) => {
  if (isSkipped(t, 'mount') || !canMount(t)) return
  road(copying(join(work, 'copies')))
})

/** Loop devices are not to be had everywhere: this one is only on the long road. */
const onLoops = isWholeSuite ? test : (): void => {}

onLoops('a btrfs snapshot is changed, and started next', (t) => {
  if (isSkipped(t, 'mount', 'btrfs', 'mkfs.btrfs')) return
  const top = join(work, 'btrfs')
  try {
    shell(
      `truncate -s 200M ${top}.img && mkfs.btrfs -q ${top}.img && mkdir ${top} ${top}.root && mount -o loop,subvolid=5 ${top}.img ${top}`,
    )
  } catch {
    return t.skip('btrfs cannot be mounted here')
  }
  try {
    shell(`btrfs subvolume create ${top}/first && btrfs subvolume set-default ${top}/first`)
    road({
      commands: [
        `root-make btrfs subvolume snapshot "$BINDERY_ROOT" ${top}/"$BINDERY_NAME" && mount -o subvol="$BINDERY_NAME" "$(findmnt -no SOURCE ${top})" "$BINDERY_NEXT"`,
        `root-switch umount "$BINDERY_NEXT" && btrfs subvolume set-default ${top}/"$BINDERY_NAME"`,
        `root-remove umount "$BINDERY_NEXT" 2>/dev/null; btrfs subvolume set-default "$BINDERY_ROOT" && btrfs subvolume delete ${top}/"$BINDERY_NAME"`,
        '',
      ].join('\n'),
      // The machine starts again.
      start: () => {
        shell(`umount ${top}.root 2>/dev/null || true; mount "$(findmnt -no SOURCE ${top})" ${top}.root`)
        return `${top}.root`
      },
      names: () => readdirSync(top).filter((name) => name.startsWith('bindery-')),
    })
  } finally {
    shell(`umount ${top}.root || true; umount ${top}`)
  }
})

byDay('a command that fails, or is killed, leaves the root as it was', (t) => {
  if (isSkipped(t, 'mount') || !canMount(t)) return
  const store = join(work, 'failing')
  const { commands, start, names } = copying(store)
  const root = start()
  enrollAt(root, commands)
  const withConf = (conf: string): void => writeFileSync(join(root, 'etc/bindery.conf'), conf)
  for (const name of ['root-make', 'root-switch']) {
    withConf(commands.replace(new RegExp(`^${name} .*$`, 'm'), `${name} printf 'full of s\\344nd\\n' >&2; exit 3`))
    const { status, talk } = run(root, 'install')
    assert.deepEqual([status, talk.includes(`${name} of bindery.conf failed with status 3: full of s\ufffdnd`)], [1, true], talk)
    assert.deepEqual([version(root), names(), existsSync(join(root, 'var/db/bindery/next-root'))], ['1', [], false])
  }
  withConf(commands.replace(/^root-switch .*$/m, 'root-switch kill -9 $PPID'))
  run(root, 'install')
  assert.equal(names().length, 1)
  withConf(commands)
  assert.equal(run(root, 'install').status, 1)
  good(root, 'recover', '--undo')
  withConf(commands.replace(/^root-make .*$/m, 'root-make kill -9 $PPID'))
  run(root, 'install')
  withConf(commands)
  good(root, 'install')
  assert.equal(version(start()), '2')
  withConf('root-make true\n')
  assert.deepEqual([run(root, 'install').status, names().length], [2, 1])
})

test('the record of the next root is one text in both directions', () => {
  for (const state of ['making', 'waiting'] as const) {
    const next = { name: 'bindery-20260101T000000Z', state }
    assert.deepEqual(decodeNextRoot(encodeNextRoot(next)), next)
  }
  for (const body of ['', 'name x\nstate making\n', 'name bindery-1\nstate gone\n', 'name bindery-$(rm)\nstate making\n'])
    assert.throws(
      () => decodeNextRoot(utf8(`bindery-next-root 1\n${body}`)),
      (error) => isBinderyError(error, 'bad-format'),
      body,
    )
})
