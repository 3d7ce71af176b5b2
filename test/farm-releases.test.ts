import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { check } from '../src/command/check.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { farmAccept } from '../src/command/farm-accept.ts'
import { errataRevision, readErrataFolder } from '../src/command/farm-errata.ts'
import { readFarmConfig } from '../src/command/farm-open.ts'
import { buildRelease } from '../src/command/farm-release-build.ts'
import { farmRun } from '../src/command/farm-run.ts'
import { init } from '../src/command/init.ts'
import { publish } from '../src/command/publish.ts'
import { sign } from '../src/command/sign.ts'
import { isBinderyError } from '../src/base/error.ts'
import { hostDisk } from '../src/host/disk.ts'
import { hostSandboxes } from '../src/host/sandbox.ts'
import { errataText, fileDiff, signedApply } from './helpers/errata.ts'
import { farmFolder } from './helpers/farm-database.ts'
import { packageKey } from './helpers/openbsd-mirror/mirror.ts'
import { file, plant } from './helpers/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { contextOf, runCommand } from './helpers/run-command.ts'
import { inTemporaryForOverlays } from './helpers/temporary.ts'
import { isTurn } from './helpers/whole-suite.ts'
import type { TestContext } from 'node:test'
import type { Command } from '../src/command/command.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Build } from '../src/port/farm-build.ts'

/** Errata of a system whose only programs are busybox and a `make` that does what its folder's `make.sh` says, through a farm. */

const asRoot = { ...needs('busybox'), ...needsRoot() }
const lampd = 'usr/src/usr.sbin/lampd/lampd.txt'

async function plantRoot(root: string): Promise<void> {
  for (const folder of ['bin', 'dev', 'proc', 'tmp', 'etc', 'usr/sbin']) mkdirSync(join(root, folder), { recursive: true })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  execFileSync('chroot', [root, '/bin/busybox', '--install', '-s', '/bin'])
  await plant(hostDisk(root), {
    'bin/make': file('#!/bin/sh\nexec sh ./make.sh "$@"\n', { mode: 0o755 }),
    [lampd]: 'lamp 0\n',
    'usr/src/usr.sbin/lampd/make.sh': 'cp lampd.txt /usr/sbin/lampd\n',
    'usr/sbin/lampd': 'lamp 0\n',
  })
}

function patchText(number: number, old: string, now: string): string {
  const name = `00${number}_lampd`
  const steps = { heading: 'And then rebuild and install lampd:', commands: ['cd /usr/src/usr.sbin/lampd', 'make install'] }
  const diff = fileDiff('usr.sbin/lampd/lampd.txt', [old], [now])
  const title = `OpenBSD 7.6 errata 00${number}, May ${number}, 2026:`
  return errataText({ title, description: 'A lamp could be switched on: CVE-2026-0001.', sections: [signedApply(name), steps], diff })
}

type World = {
  readonly farm: string
  at(name: string): string
  /** What is committed to the folder of errata. */
  addErrata(number: number, old: string, now: string): Promise<void>
}

async function inWorld(t: TestContext, use: (world: World) => Promise<void>): Promise<void> {
  await inTemporaryForOverlays(async (folder) => {
    const at = (name: string): string => join(folder, name)
    await plantRoot(at('root'))
    try {
      await (await hostSandboxes.open('overlay', at('root'), {})).close()
    } catch (error) {
      if (!isBinderyError(error, 'not-supported')) throw error
      return t.skip(`no overlay: ${error.message}`)
    }
    // On one file system with the rest: a signed stage is moved to it.
    const farm = at('farm')
    const made = await farmFolder()
    try {
      cpSync(made, farm, { recursive: true })
      const pair = await packageKey('openbsd-76-base', 1)
      writeFileSync(at('base.sec'), pair.secretKeyFile)
      writeFileSync(join(farm, 'base.pub'), pair.publicKeyFile)
      mkdirSync(at('errata'))
      writeFileSync(join(farm, 'farm.toml'), configText(folder))
      await use({ farm, at, addErrata: async (number, old, now) => await addErrata(folder, number, patchText(number, old, now)) })
    } finally {
      rmSync(made, { recursive: true, force: true })
    }
  })
}

function configText(folder: string): string {
  return `[release.errata]
product = "base"
release = "7.6"
errata = "${folder}/errata"
errata-key = "base.pub"
root = "${folder}/root"
base = "${folder}/base-%a.tar.zst"
repository = "${folder}/repo"
capture = ["--sandbox", "overlay"]
archs = ["amd64"]

[builder.here]
arch = "amd64"

[mirrors]
bring = ["${folder}/mirror"]
`
}

async function addErrata(folder: string, number: number, text: string): Promise<void> {
  const patch = join(folder, `00${number}_lampd.patch`)
  writeFileSync(patch, text)
  await done(sign, ['-e', '-s', join(folder, 'base.sec'), '-m', patch, '-x', join(folder, 'errata', `00${number}_lampd.patch.sig`)])
}

async function done(command: Command, words: readonly string[], root = '/'): Promise<string> {
  const { error, stdout, stderr } = await runCommand(command, words, { root })
  assert.equal(error, undefined, `${command.name}: ${error?.subject ?? ''}: ${error?.message ?? ''}`)
  return [...stderr, stdout].join('\n')
}

if (isTurn(1))
  test('an erratum is captured, cut, signed on another machine and published, and a client sees it', asRoot, async (t) => {
    await inWorld(t, async ({ farm, at, addErrata: add }) => {
      await done(cut, [
        at('root'),
        '--product',
        'base',
        '--revision',
        '7.6',
        '--arch',
        'amd64',
        '--date',
        '20260101',
        '-o',
        at('base-amd64.tar.zst'),
      ])
      await done(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])
      await done(publish, ['-r', at('repo'), '-k', at('keys'), at('base-amd64.tar.zst')])
      cpSync(at('root'), at('machine'), { recursive: true, verbatimSymlinks: true })
      await done(enroll, [`file://${at('repo')}`, at('repo/metadata/1.root.json'), 'base/amd64'], at('machine'))
      assert.equal((await runCommand(check, [], { root: at('machine') })).status, 0)

      await add(1, 'lamp 0', 'lamp 1')
      const first = await done(farmRun, ['--once', farm])
      assert.match(first, /errata: 1 updates, 1 builds to do/)
      assert.match(first, /base errata\/amd64: build 1 waits \(security\)/)
      assert.match(first, /base errata\/amd64: build 1: built, 1 packages/)
      assert.match(first, /mirror: errata\/amd64: current/)
      assert.match(first, /errata\/amd64: handover 1: base-7\.6p1-\d{8}-amd64 to sign/)
      assert.equal(readFileSync(join(at('root'), 'usr/sbin/lampd'), 'utf8'), 'lamp 0\n')

      const [request] = readdirSync(join(farm, 'request')) as [string]
      cpSync(join(farm, 'request', request), at('stick'), { recursive: true })
      const unsigned = await runCommand(farmAccept, [farm, at('stick')])
      assert.deepEqual([unsigned.code, unsigned.error?.subject], ['bad-signature', at('stick')])
      await done(sign, ['-k', at('keys'), at('stick')])
      renameSync(at('stick'), join(farm, 'signed', 'brought'))
      // What a run before was killed in.
      mkdirSync(join(farm, 'signed', '.accept-0123456789abcdef.part', 'metadata'), { recursive: true })
      await add(2, 'another lamp', 'lamp 2')
      const second = await done(farmRun, ['--once', farm])
      assert.match(second, /base errata\/amd64: build 2: failed: 002_lampd.*: does not fit the sources in \/usr\/src/)
      assert.match(second, /errata\/amd64: handover 1 is signed/)
      assert.match(second, /errata\/amd64: handover 1 is published/)
      assert.deepEqual(readdirSync(join(farm, 'request')), [])
      assert.ok(!existsSync(join(farm, 'signed/accepted/1/blobs')))
      assert.deepEqual(readdirSync(join(farm, 'signed')), ['accepted'])

      const seen = await runCommand(check, ['-e'], { root: at('machine') })
      assert.equal(seen.status, 10, seen.error?.message)
      assert.match(seen.stdout, /7\.6p1/)
      execFileSync('diff', ['-r', '-x', '.lock', at('repo'), at('mirror/repo')])

      // Somebody publishes by hand while a request is out: what the signer brings does not fit any more, and is asked for anew.
      rmSync(at('errata/002_lampd.patch.sig'))
      await add(2, 'lamp 1', 'lamp 2')
      const third = await done(farmRun, ['--once', farm])
      assert.match(third, /errata\/amd64: handover 2: base-7\.6p2-\d{8}-amd64 to sign/)
      const other = ['--product', 'comp', '--revision', '7.6', '--arch', 'amd64', '--date', '20260102', '-o', at('comp-amd64.tar.zst')]
      await done(cut, [at('errata'), ...other])
      await done(publish, ['-r', at('repo'), '-k', at('keys'), at('comp-amd64.tar.zst')])
      await signAndReturn({ farm, at })
      const fourth = await done(farmRun, ['--once', farm])
      assert.match(fourth, /handover 2 is stale: role snapshot: needs the signatures of 1/)
      assert.match(fourth, /errata\/amd64: handover 3: base-7\.6p2-\d{8}-amd64 to sign/)
      await signAndReturn({ farm, at })
      assert.match(await done(farmRun, ['--once', farm]), /errata\/amd64: handover 3 is published/)
      assert.match((await runCommand(check, ['-e'], { root: at('machine') })).stdout, /7\.6p2/)
      execFileSync('diff', ['-r', '-x', '.lock', at('repo'), at('mirror/repo')])
    })
  })

/** The one request that is out goes to the signer's machine and comes back. */
async function signAndReturn({ farm, at }: Pick<World, 'farm' | 'at'>): Promise<void> {
  const requests = readdirSync(join(farm, 'request'))
  assert.equal(requests.length, 1)
  cpSync(join(farm, 'request', requests[0] as string), at('stick'), { recursive: true })
  await done(sign, ['-k', at('keys'), at('stick')])
  renameSync(at('stick'), join(farm, 'signed', 'brought'))
}

test('what a release cannot be made of is told in one line', asRoot, async (t) => {
  await inWorld(t, async ({ farm, at, addErrata: add }) => {
    const config = await readFarmConfig(farm)
    const [release] = config.releases
    assert.ok(release)
    const key = join(farm, 'base.pub')
    const context = contextOf()
    const refused = async (code: ErrorCode, about: RegExp): Promise<void> => {
      const revision = errataRevision(await readErrataFolder(context, at('errata'), key))
      const claim = { build: buildOf('base-7.6p1-20260101-amd64'), revision }
      await assert.rejects(buildRelease(context, { farm, release, claim, work: at('work') }), (error) => {
        assert.ok(isBinderyError(error, code), String(error))
        assert.match(error.subject ?? '', about)
        return true
      })
    }
    await add(1, 'lamp 0', 'lamp 1')
    await refused('not-found', /base-amd64\.tar\.zst$/)
    const before = errataRevision(await readErrataFolder(context, at('errata'), key))
    await add(2, 'another lamp', 'lamp 2')
    await refused('wrong-base', /^002_lampd/)
    const late = { build: buildOf('base-7.6p1-20260101-amd64'), revision: before }
    await assert.rejects(buildRelease(context, { farm, release, claim: late, work: at('work') }), (error) =>
      isBinderyError(error, 'conflict'),
    )
    writeFileSync(at('errata/003_x.patch.sig'), 'untrusted comment: x\nnothing\n')
    await assert.rejects(
      readErrataFolder(context, at('errata'), key),
      (error) => isBinderyError(error) && error.subject?.endsWith('003_x.patch.sig') === true,
    )
    mkdirSync(at('empty'))
    assert.equal((await runCommand(farmAccept, [farm, at('empty')])).code, 'not-found')
  })
})

test('a release by a command: over a root that is prepared first, with what it is of in the environment', asRoot, async (t) => {
  await inWorld(t, async ({ farm, at }) => {
    const [release] = (await readFarmConfig(farm)).releases
    assert.ok(release)
    const line = {
      ...release,
      base: at('root'),
      prepare: 'cp "$ROOT/usr/sbin/lampd" "$ROOT/usr/sbin/lampd.orig" && echo ready >&2',
      work: { kind: 'command', command: 'echo "$BRANCH $REVISION" >/usr/sbin/lampd' },
    } as const
    const claim = { build: buildOf('base-7.6p4-20260101-amd64'), revision: { name: 'abc', seconds: undefined } }
    const said: string[] = []
    const context = { ...contextOf(), passOn: (bytes: Uint8Array) => void said.push(Buffer.from(bytes).toString()) }
    const made = await buildRelease(context, { farm, release: line, claim, work: at('work') })
    assert.equal(made.file, 'base-7.6p4-20260101-amd64.tar.zst')
    assert.match(said.join(''), /ready/)
    const dist = join(farm, 'built/errata/amd64', made.file)
    const inside = execFileSync('sh', ['-c', 'zstd -dc "$0" | tar -xOf - --wildcards "*usr/sbin/lampd*"', dist], { encoding: 'utf8' })
    assert.deepEqual(inside.split('\n').toSorted(), ['', 'errata abc', 'lamp 0'])
    const failing = { ...line, prepare: 'echo it is away >&2; exit 3' }
    await assert.rejects(buildRelease(context, { farm, release: failing, claim, work: at('work') }), (error) => {
      assert.ok(isBinderyError(error, 'command-failed'), String(error))
      assert.equal(error.message, 'ended with status 3: it is away')
      return true
    })
  })
})

function buildOf(name: string): Build {
  const rest = { priority: 0, isSecurity: false, failures: 0, notBefore: undefined, since: 0 }
  return { id: 1, branch: 'errata', pkgpath: 'base', arch: 'amd64', packages: [name], state: 'building', ...rest }
}
