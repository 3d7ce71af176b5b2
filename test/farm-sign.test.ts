import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { test } from 'node:test'
import { farmAccept } from '../src/command/farm-accept.ts'
import { farmHandover } from '../src/command/farm-handover.ts'
import { farmPublish } from '../src/command/farm-publish.ts'
import { sign } from '../src/command/sign.ts'
import { generateKey } from '../src/engine/repo/keys.ts'
import { decodePkgupIndex } from '../src/format/openbsd/pkgup-index.ts'
import { writeBuiltFolder } from './helpers/built-folder.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { packageKey } from './helpers/openbsd-mirror/mirror.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { PackageFacts } from './helpers/openbsd-mirror/package-facts.ts'
import type { Outcome } from './helpers/run-command.ts'

const curl = packageOf({ name: 'curl-8.5.0', pkgpath: 'net/curl', ballast: 200_000 })
const newCurl = packageOf({ name: 'curl-8.5.0p0', pkgpath: 'net/curl', ballast: 200_000 })
const vim = packageOf({ name: 'vim-9.1.139-gtk2', pkgpath: 'editors/vim,gtk2,-main', files: [{ path: 'bin/vim', content: 'x' }] })
const quirks = packageOf({ name: 'quirks-7.50', pkgpath: 'devel/quirks' })

/** A farm and a signer's machine, as folders. */
type World = { readonly folder: string; readonly at: (name: string) => string }

async function inFarm(use: (world: World) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const at = (name: string): string => join(folder, name)
    for (const [name, seed] of [
      ['openbsd-76-pkg', 1],
      ['other', 2],
    ] as const) {
      const pair = await packageKey(name, seed)
      writeFileSync(at(`${name}.sec`), pair.secretKeyFile)
      writeFileSync(at(`${name}.pub`), pair.publicKeyFile)
    }
    await use({ folder, at })
  })
}

function build({ at }: World, packages: readonly PackageFacts[], arch = 'amd64'): string {
  rmSync(at(`built-${arch}`), { recursive: true, force: true })
  writeBuiltFolder(at(`built-${arch}`), packages, arch)
  return at(`built-${arch}`)
}

async function handOver({ at }: World, built: readonly string[], more: readonly string[] = [], name = 'request'): Promise<Outcome> {
  return await runCommand(farmHandover, [...built, '--last', at('pub'), '-o', at(`${name}.tar`), ...more])
}

async function signIt({ at }: World, key = 'openbsd-76-pkg', name = 'request', out = 'signed'): Promise<Outcome> {
  return await runCommand(sign, ['-s', at(`${key}.sec`), '-o', at(`${out}.tar`), at(`${name}.tar`)])
}

async function accept({ at }: World, name = 'request', signed = 'signed'): Promise<Outcome> {
  rmSync(at('accepted'), { recursive: true, force: true })
  const words = [at(`${name}.tar`), at(`${signed}.tar`), '-p', at('openbsd-76-pkg.pub'), '-o', at('accepted'), '--last', at('pub')]
  return await runCommand(farmAccept, words)
}

async function publish({ at }: World, more: readonly string[] = []): Promise<Outcome> {
  return await runCommand(farmPublish, [at('accepted'), '-p', at('openbsd-76-pkg.pub'), '-o', at('pub'), ...more])
}

function done(outcome: Outcome): Outcome {
  assert.equal(outcome.error, undefined)
  assert.equal(outcome.status, 0)
  return outcome
}

async function round(world: World, built: readonly string[]): Promise<void> {
  done(await handOver(world, built))
  done(await signIt(world))
  done(await accept(world))
  done(await publish(world))
}

/** signify and gzip say what the published folder is worth. */
function judge({ at }: World, arch: string, files: readonly string[]): void {
  const folder = at(`pub/7.6/packages-stable/${arch}`)
  const check = spawnSync('signify-openbsd', ['-C', '-p', at('openbsd-76-pkg.pub'), '-x', 'SHA256.sig'], { cwd: folder, encoding: 'utf8' })
  assert.equal(check.stdout, `Signature Verified\n${files.map((file) => `${file}: OK\n`).join('')}`, check.stderr)
  for (const file of files) {
    const passed = execFileSync('signify-openbsd', ['-zV', '-p', at('openbsd-76-pkg.pub'), '-x', file], { cwd: folder })
    execFileSync('gzip', ['-t'], { input: passed })
    assert.match(execFileSync('tar', ['tzf', '-'], { input: passed, encoding: 'utf8' }), /^\+CONTENTS\n/)
  }
}

test('packages of two architectures: handed over, signed offline, accepted, published', needs('signify-openbsd', 'tar'), async () => {
  await inFarm(async (world) => {
    const { at } = world
    const built = [build(world, [curl, vim, quirks]), build(world, [curl, quirks], 'arm64')]
    const handed = done(await handOver(world, built))
    assert.match(
      handed.stdout,
      /^7\.6 amd64: 3 packages to sign \(3 new\)\n {2}the first of its kind\n {2}new {5}curl-8\.5\.0\.tgz {2}net\/curl {2}\d+ kB\n/,
    )
    const listed = execFileSync('tar', ['tf', at('request.tar')], { encoding: 'utf8' })
      .trim()
      .split('\n')
    assert.deepEqual(listed.slice(0, 3), ['README', 'request.json', '7.6/amd64/curl-8.5.0.tgz'])
    assert.equal(execFileSync('tar', ['xOf', at('request.tar'), 'README'], { encoding: 'utf8' }), handed.stdout)
    // The same again is the same to the byte.
    const first = readFileSync(at('request.tar'))
    done(await handOver(world, built.toReversed()))
    assert.ok(first.equals(readFileSync(at('request.tar'))))
    const signed = done(await signIt(world))
    const sum = execFileSync('sha256sum', [at('request.tar')], { encoding: 'utf8' }).slice(0, 64)
    assert.equal(signed.stdout, `sha256 of the request: ${sum}\n${handed.stdout}`)
    done(await accept(world))
    assert.equal(
      done(await publish(world)).stdout,
      '7.6/amd64: 3 new, 0 waiting to go, 0 gone\n7.6/arm64: 2 new, 0 waiting to go, 0 gone\n',
    )
    judge(world, 'amd64', ['curl-8.5.0.tgz', 'quirks-7.50.tgz', 'vim-9.1.139-gtk2.tgz'])
    judge(world, 'arm64', ['curl-8.5.0.tgz', 'quirks-7.50.tgz'])
    const folder = at('pub/7.6/packages-stable/amd64')
    const index = decodePkgupIndex(new Uint8Array(gunzipSync(readFileSync(join(folder, 'index.pkgup.gz')))))
    assert.deepEqual(index.kind === 'index' ? index.packages.map(({ file }) => file) : index, [
      'curl-8.5.0.tgz',
      'quirks-7.50.tgz',
      'vim-9.1.139-gtk2.tgz',
    ])
    const text = readFileSync(join(folder, 'index.txt'), 'latin1')
    assert.match(
      text,
      new RegExp(
        `^-rw-r--r-- {2}1 0 {2}0 +${statSync(join(folder, 'curl-8.5.0.tgz')).size} [A-Z][a-z]{2} [ 1-3]\\d \\d\\d:\\d\\d:\\d\\d \\d{4} SHA256$`.replace(
          ' SHA256$',
          ' curl-8\\.5\\.0\\.tgz$',
        ),
        'm',
      ),
    )
  })
})

test('the next round signs what is new alone, and what it replaces goes after a grace', needs('signify-openbsd'), async () => {
  await inFarm(async (world) => {
    const { at } = world
    await round(world, [build(world, [curl, vim, quirks])])
    assert.deepEqual((await handOver(world, [build(world, [curl, vim, quirks])])).stderr, ['there is nothing to sign'])
    writeFileSync(
      at('ports.json'),
      `${JSON.stringify({ pkgpath: 'net/curl', security: { cves: ['CVE-2026-1'], because: ['fix a hole'] } })}\n`,
    )
    writeFileSync(at('latin'), Buffer.from('{"pkgpath":"net/\xfc"}\n', 'latin1'))
    const latin = await handOver(world, [build(world, [newCurl])], ['--selected', at('latin')])
    assert.deepEqual([latin.status, latin.error?.code, latin.error?.subject], [3, 'bad-format', at('latin')])
    const changedVim = { ...vim, files: [{ path: 'bin/vim', content: 'y' }] }
    const handed = done(await handOver(world, [build(world, [newCurl, changedVim, quirks])], ['--selected', at('ports.json')]))
    assert.match(
      handed.stdout,
      /^7\.6 amd64: 2 packages to sign \(1 update, 1 changed, 1 for security\)\n {2}follows SHA256\.sig [0-9a-f]{64}\n {2}update {2}curl-8\.5\.0p0/,
    )
    assert.match(handed.stdout, / {10}instead of curl-8\.5\.0\.tgz\n {10}security: CVE-2026-1\n {10}security: fix a hole\n/)
    done(await signIt(world))
    done(await accept(world))
    const hour = 3_600_000
    const clock = { now: () => 1_800_000_000_000 }
    const words = [at('accepted'), '-p', at('openbsd-76-pkg.pub'), '-o', at('pub')]
    assert.equal((await runCommand(farmPublish, words, { clock })).stdout, '7.6/amd64: 2 new, 1 waiting to go, 0 gone\n')
    const folder = at('pub/7.6/packages-stable/amd64')
    assert.ok(existsSync(join(folder, 'curl-8.5.0.tgz')))
    assert.doesNotMatch(readFileSync(join(folder, 'index.txt'), 'latin1'), /curl-8\.5\.0\.tgz/)
    judge(world, 'amd64', ['curl-8.5.0p0.tgz', 'quirks-7.50.tgz', 'vim-9.1.139-gtk2.tgz'])
    const later = { now: () => clock.now() + 25 * hour }
    assert.equal((await runCommand(farmPublish, words, { clock: later })).stdout, '7.6/amd64: 0 new, 0 waiting to go, 1 gone\n')
    assert.equal(existsSync(join(folder, 'curl-8.5.0.tgz')), false)
  })
})

test('a publication that was cut off anywhere is finished by running it again', async () => {
  await inFarm(async (world) => {
    const { at } = world
    await round(world, [build(world, [curl, quirks])])
    done(await handOver(world, [build(world, [newCurl, quirks, vim])]))
    done(await signIt(world))
    done(await accept(world))
    cpSync(at('pub'), at('before'), { recursive: true, preserveTimestamps: true })
    done(await publish(world))
    const folder = 'pub/7.6/packages-stable/amd64'
    const whole = readFileSync(at(`${folder}/SHA256.sig`))
    const files = readdirSync(at(folder)).filter((name) => !name.startsWith('.'))
    // What a kill leaves: some files of the new state over the old one, in the order of the writing.
    for (const upTo of [['vim-9.1.139-gtk2.tgz'], ['vim-9.1.139-gtk2.tgz', 'curl-8.5.0p0.tgz', 'index.pkgup.gz', 'SHA256'], files]) {
      cpSync(at(folder), at('after'), { recursive: true, preserveTimestamps: true })
      rmSync(at('pub'), { recursive: true })
      cpSync(at('before'), at('pub'), { recursive: true, preserveTimestamps: true })
      for (const name of upTo) cpSync(join(at('after'), name), join(at(folder), name))
      done(await publish(world))
      assert.ok(whole.equals(readFileSync(at(`${folder}/SHA256.sig`))))
      judge(world, 'amd64', ['curl-8.5.0p0.tgz', 'quirks-7.50.tgz', 'vim-9.1.139-gtk2.tgz'])
    }
  })
})

test('what comes back is taken only if it is what was asked for', async () => {
  await inFarm(async (world) => {
    const { at } = world
    done(await handOver(world, [build(world, [curl, quirks])]))
    done(await signIt(world))
    const request = readFileSync(at('request.tar'))
    const signed = readFileSync(at('signed.tar'))
    const refused = async (name: string, bytes: Buffer, code: string): Promise<void> => {
      writeFileSync(at('bad.tar'), bytes)
      const outcome = await accept(world, 'request', 'bad')
      assert.equal(outcome.code, code, `${name}: ${outcome.error?.message ?? 'accepted'}`)
      assert.equal(existsSync(at('accepted')), false)
    }
    await refused('torn', signed.subarray(0, Math.floor(signed.length * 0.7)), 'bad-format')
    await refused('torn at a border', signed.subarray(0, 1024), 'bad-format')
    await refused('the request itself', request, 'bad-format')
    const flipped = Buffer.from(signed)
    const at1 = flipped.indexOf('curl-8.5.0.tgz') + 50_000
    flipped[at1] = (flipped[at1] as number) ^ 1
    await refused('a flipped byte', flipped, 'bad-digest')
    done(await signIt(world, 'other', 'request', 'by-other'))
    await refused('a wrong key', readFileSync(at('by-other.tar')), 'wrong-key')
    done(await handOver(world, [build(world, [curl, vim, quirks])], [], 'wider'))
    done(await signIt(world, 'openbsd-76-pkg', 'wider', 'wider-signed'))
    await refused('another request', readFileSync(at('wider-signed.tar')), 'mix-and-match')
    for (const [name, change] of [
      ['less', 'tar --delete -f "$1" 7.6/amd64/quirks-7.50.tgz'],
      ['more', 'printf x >more && tar -rf "$1" more'],
    ] as const) {
      writeFileSync(at('edit.tar'), signed)
      execFileSync('sh', ['-c', change, 'sh', 'edit.tar'], { cwd: world.folder })
      await refused(name, readFileSync(at('edit.tar')), name === 'less' ? 'bad-format' : 'hostile')
    }
    // A package with a good signature over something else.
    const swapped = at('swap')
    execFileSync(
      'sh',
      ['-c', `mkdir "$1" && tar xf wider-signed.tar -C "$1" && rm -r "$1/7.6" && tar xf signed.tar -C "$1"`, 'sh', swapped],
      { cwd: world.folder },
    )
    build(world, [{ ...curl, files: [{ path: 'bin/evil', content: 'e' }] }, quirks])
    done(await handOver(world, [at('built-amd64')], [], 'evil'))
    done(await signIt(world, 'openbsd-76-pkg', 'evil', 'evil-signed'))
    execFileSync(
      'sh',
      ['-c', 'tar xf evil-signed.tar -C swap 7.6/amd64/curl-8.5.0.tgz && cd swap && tar cf ../swap.tar request.json 7.6/amd64/*'],
      { cwd: world.folder },
    )
    await refused('signed, and something else', readFileSync(at('swap.tar')), 'bad-digest')
    done(await accept(world))
  })
})

test('a handover that was overtaken is refused, when it comes back and when it is published', async () => {
  await inFarm(async (world) => {
    await round(world, [build(world, [curl, quirks])])
    done(await handOver(world, [build(world, [newCurl, quirks])], [], 'late'))
    done(await signIt(world, 'openbsd-76-pkg', 'late', 'late-signed'))
    done(await accept(world, 'late', 'late-signed'))
    cpSync(world.at('accepted'), world.at('late-accepted'), { recursive: true })
    await round(world, [build(world, [curl, vim, quirks])])
    assert.equal((await accept(world, 'late', 'late-signed')).code, 'downgrade')
    cpSync(world.at('late-accepted'), world.at('accepted'), { recursive: true })
    const late = await runCommand(farmPublish, [world.at('late-accepted'), '-p', world.at('openbsd-76-pkg.pub'), '-o', world.at('pub')])
    assert.equal(late.code, 'downgrade')
    judge(world, 'amd64', ['curl-8.5.0.tgz', 'quirks-7.50.tgz', 'vim-9.1.139-gtk2.tgz'])
  })
})

test('the signer is shown what is signed, and asked once', async () => {
  await inFarm(async (world) => {
    const { at } = world
    const pair = await generateKey({ bytes: (count) => new Uint8Array(count).fill(7) }, { comment: 'locked', passphrase: 'sesame' })
    writeFileSync(at('locked.sec'), pair.secretKeyFile)
    done(await handOver(world, [build(world, [curl, quirks])]))
    let asked = 0
    const askPassphrase = async (): Promise<string> => (asked++, 'sesame')
    const words = ['-s', at('locked.sec'), '-o', at('signed.tar'), at('request.tar')]
    done(await runCommand(sign, words, { askPassphrase }))
    assert.equal(asked, 1)
    // What a person reads says something else than what would be signed.
    execFileSync(
      'sh',
      [
        '-c',
        'mkdir x && tar xf request.tar -C x && cd x && sed s/8.5.0/8.6.0/ README >R && mv R README && tar cf ../lie.tar README request.json 7.6/amd64/*',
      ],
      {
        cwd: world.folder,
      },
    )
    assert.equal((await signIt(world, 'openbsd-76-pkg', 'lie')).code, 'bad-format')
    // A package under another's name.
    writeFileSync(at('built-amd64/packages/curl-8.5.0.tgz'), readFileSync(at('built-amd64/packages/quirks-7.50.tgz')))
    assert.equal((await handOver(world, [at('built-amd64')])).code, 'bad-digest')
  })
})
