import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { audit } from '../src/command/audit.ts'
import { enroll } from '../src/command/enroll.ts'
import { install } from '../src/command/install.ts'
import { rollback } from '../src/command/rollback.ts'
import { openFleet } from './helpers/fleet.ts'
import { needsRoot } from './helpers/programs.ts'
import type { Fleet, Machine } from './helpers/fleet.ts'

/** A machine whose /usr, /var and /home are file systems of their own, as most BSDs have them. */

const folders = ['usr', 'var', 'home'] as const

let fleet: Fleet
before(async () => {
  fleet = await openFleet()
  for (const revision of ['1', '2', '3']) {
    const files = {
      'usr/lib/libc.so.1': 'c',
      'var/www/index': 'w',
      'home/skel': 's',
      'home/big': 'x'.repeat(revision === '3' ? 2_000_000 : 1),
    }
    for (const [path, text] of Object.entries(files)) put(fleet.at(`tree-${revision}`, path), `${text} ${revision}`)
  }
  assert.equal((await fleet.release('1')).status, 0)
})
after(() => fleet.remove())

function put(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

const read = (machine: Machine, path: string): string => readFileSync(join(machine.root, path), 'utf8').slice(-1)
const versions = (machine: Machine): readonly string[] =>
  ['version', 'usr/lib/libc.so.1', 'var/www/index', 'home/skel'].map((path) => read(machine, path))

test('each is staged on itself, keeps what it had, and refuses what has no room there', needsRoot(), async (t) => {
  const machine = await fleet.machine()
  const { root } = machine
  renameSync(join(root, 'var'), join(root, 'var.first'))
  for (const folder of folders) {
    mkdirSync(join(root, folder))
    const options = folder === 'home' ? 'noatime,mode=755,nosuid,noexec,size=1m' : 'noatime,mode=755'
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', join(root, folder)]).status !== 0) return t.skip('cannot mount here')
    t.after(() => void spawnSync('umount', ['-l', join(root, folder)]))
    spawnSync('cp', ['-a', `${fleet.at('tree-1', folder)}/.`, join(root, folder)])
  }
  const words = [`file://${fleet.at('repo')}/`, fleet.at('repo/metadata/1.root.json'), 'base/amd64']
  assert.equal((await machine.run(enroll, words)).error?.message, undefined)
  assert.equal((await fleet.release('2')).status, 0)
  assert.equal((await machine.run(install)).error?.message, undefined)
  assert.deepEqual(versions(machine), ['2', '2', '2', '2'])
  // The root itself is another file system than /var, which has the state.
  for (const area of ['.bindery', 'usr/.bindery', 'home/.bindery', 'var/db/bindery']) {
    const store = join(root, area, 'store/1')
    assert.ok(readdirSync(store).length > 0)
    assert.equal(statSync(store).dev, statSync(join(root, dirname(area) === 'var/db' ? 'var' : dirname(area))).dev)
  }
  const found = await machine.run(audit)
  assert.deepEqual([found.status, found.stdout], [0, ''])
  assert.equal((await fleet.release('3')).status, 0)
  const full = await machine.run(install)
  assert.equal(full.code, 'no-space')
  assert.match(full.error?.message ?? '', /^no space on \/home, need 3 MB, /)
  assert.deepEqual(versions(machine), ['2', '2', '2', '2'])
  assert.equal((await machine.run(rollback)).error?.message, undefined)
  assert.deepEqual(versions(machine), ['1', '1', '1', '1'])
  for (const area of ['.bindery', 'usr/.bindery', 'home/.bindery']) assert.ok(!existsSync(join(root, area)), area)
})
