import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { audit } from '../src/command/audit.ts'
import { check } from '../src/command/check.ts'
import { cut } from '../src/command/cut.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { recover } from '../src/command/recover.ts'
import { rollback } from '../src/command/rollback.ts'
import { decodeStateVersion, encodeStateVersion, isAtLeast } from '../src/format/state-version.ts'
import { fixtures, formatsOfCode, name, unpackFixture } from './helpers/machine-fixture.ts'
import { needsRoot } from './helpers/programs.ts'
import { folderInMemory } from './helpers/temporary.ts'
import type { Fixture } from './helpers/machine-fixture.ts'
import type { Command } from '../src/command/command.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Machines as released versions have left them (tools/fixtures): this one finds its way. */

const work = folderInMemory('bindery-fixtures-')
after(() => rmSync(work, { recursive: true }))

let machines = 0
function unpacked(archive: string): Fixture {
  const folder = join(work, String(++machines))
  mkdirSync(folder)
  return unpackFixture(archive, folder)
}

async function good({ on }: Fixture, command: Command, ...words: readonly string[]): Promise<Outcome> {
  const seen = await on(command, words)
  assert.equal(seen.status, 0, `${command.name}: ${seen.error?.message ?? seen.stderr.join('\n')}`)
  return seen
}

const text = ({ folder }: Fixture, path: string): string => readFileSync(join(folder, 'root', path), 'utf8')
const shells = (fixture: Fixture): string => ['bin/sh', 'bin/ls'].map((path) => text(fixture, path)).join(', ')
const kept = 'welcome to 1\nand mind the step\n'

async function publishNext({ folder, maker }: Fixture): Promise<void> {
  const [tree, dist] = [join(folder, 'base-4'), join(folder, 'base-4.tar')]
  for (const [path, content] of Object.entries({ 'bin/sh': 'shell 4', 'bin/ls': 'ls 4', 'etc/motd': 'welcome to 4\n' })) {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    writeFileSync(join(tree, path), content)
  }
  assert.equal((await maker(cut, tree, '-o', dist, '--product', 'base', '--revision', '4', ...name)).status, 0)
  const repository = ['-r', join(folder, 'repo'), '-k', join(folder, 'keys')]
  const seen = await maker(publish, ...repository, '--system', 'none', dist)
  assert.equal(seen.status, 0, seen.error?.message)
}

for (const archive of fixtures) {
  test(`${archive}: what it has is shown, what was interrupted is finished, and what comes next is installed`, needsRoot(), async () => {
    const fixture = unpacked(archive)
    const shown = (await good(fixture, list)).stdout
    assert.match(shown, /^base\/amd64: base-2-20260101-amd64, basis tar/)
    assert.match(shown, /\nkernel-A\/amd64: of kernel-A-2-20260101-amd64 the phase kernel is in place; 'bindery install' brings the rest\n/)
    assert.match(shown, /base-1-20260101-amd64 -> base-2-20260101-amd64, failed: relay\n/)
    assert.match((await good(fixture, check)).stdout, /^base\/amd64: base-2-20260101-amd64 -> base-3-20260101-amd64/m)

    await publishNext(fixture)
    const done = await fixture.on(install)
    assert.equal(done.status, 6, done.error?.message)
    assert.deepEqual([shells(fixture), text(fixture, 'etc/motd'), text(fixture, 'etc/motd.new')], ['shell 4, ls 4', kept, 'welcome to 4\n'])
    assert.equal(text(fixture, 'usr/sbin/kconf'), '2')
    assert.deepEqual([(await fixture.on(audit)).status, (await fixture.on(audit)).stdout.match(/etc\/motd/g)?.length], [7, 1])
    assert.match((await good(fixture, list)).stdout, /^base\/amd64: base-4-20260101-amd64, basis tar/)

    await good(fixture, rollback, '--to', 'base-1-20260101-amd64')
    assert.deepEqual([shells(fixture), text(fixture, 'etc/motd'), text(fixture, 'etc/relay.conf')], ['shell 1, ls 1', kept, 'port 1\n'])
  })

  test(`${archive}: what was interrupted is taken back, by bindery and by the program beside its journal`, needsRoot(), async () => {
    const fixture = unpacked(archive)
    const undone = await fixture.on(recover, ['--undo'])
    assert.deepEqual([undone.status, undone.stderr], [6, ['/etc/motd was modified here; the other version is /etc/motd.new']])
    assert.equal(shells(fixture), 'shell 2, ls 2')
    const other = unpacked(archive)
    const root = join(other.folder, 'root')
    assert.equal(spawnSync('sh', [join(root, 'var/db/bindery/recover'), '-R', root, '--undo']).status, 6)
    assert.equal(shells(other), 'shell 2, ls 2')
    assert.match((await good(other, list)).stdout, /^base\/amd64: base-2-20260101-amd64/)
  })
}

test('a format that is raised comes with a machine that has it: run make fixtures', needsRoot(), () => {
  const known = new Map<string, number>()
  for (const archive of fixtures) {
    for (const line of readFileSync(join(unpacked(archive).folder, 'formats'), 'utf8')
      .trim()
      .split('\n')) {
      const [format, version] = line.split(' ') as [string, string]
      known.set(format, Math.max(known.get(format) ?? 1, Number(version)))
    }
  }
  const code = formatsOfCode()
  for (const format of ['journal', 'release', 'enrolled', 'phase', 'state'])
    assert.ok(
      code.some((one) => one.startsWith(`${format} `)),
      format,
    )
  assert.deepEqual(
    code.filter((one) => Number(one.split(' ')[1]) > (known.get(one.split(' ')[0] as string) ?? 1)),
    [],
  )
})

test('a root that a newer bindery has changed says which one it needs, and nothing changes', needsRoot(), async () => {
  const fixture = unpacked(fixtures.at(-1) as string)
  const file = join(fixture.folder, 'root/var/db/bindery/version')
  const whole = (): string =>
    execFileSync('sh', ['-c', 'find . -printf "%p %s %T@\\n" | sort'], { cwd: join(fixture.folder, 'root'), encoding: 'utf8' })
  writeFileSync(file, encodeStateVersion('0.30.1'))
  const before = whole()
  for (const command of [list, check, install, recover, rollback, audit]) {
    const { code, status, error } = await fixture.on(command)
    assert.deepEqual([code, status, error?.message], ['not-supported', 1, 'needs bindery 0.30.1 or newer, and this is 0.1.0'])
  }
  assert.equal(whole(), before)
  for (const [content, code] of [
    ['bindery-state 2\n', 'not-supported'],
    ['bindery-state 1\nleast 1\n', 'bad-format'],
  ] as const) {
    writeFileSync(file, content)
    assert.equal((await fixture.on(list)).code, code)
  }
})

test('versions are compared by their numbers', () => {
  const order = ['0.1.0', '0.1.9', '0.1.10', '0.2.0', '1.0.0']
  for (const [i, version] of order.entries())
    assert.deepEqual(
      order.filter((least) => isAtLeast(version, least)),
      order.slice(0, i + 1),
    )
  assert.ok(isAtLeast('0.2.0-rc.1', '0.2.0'))
  assert.equal(decodeStateVersion(utf8('bindery-state 1\nleast 0.2.0\nmore later\n')), '0.2.0')
})
