import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { pkgindex } from '../src/command/pkgindex.ts'
import { openSealedIndex } from '../src/engine/pkg/index/open-index.ts'
import { unsealIndex } from '../src/format/openbsd/bindery-index.ts'
import { decodePublicKey } from '../src/format/signify.ts'
import { serveFolder } from '../src/host/http-server.ts'
import { catalogOf, laterCatalog } from './helpers/openbsd-mirror/catalog.ts'
import { packageKey, writeIndexTxt, writeMirror } from './helpers/openbsd-mirror/mirror.ts'
import { packageFile } from './helpers/openbsd-mirror/package-file.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { referenceIndex } from './helpers/openbsd-mirror/reference-index.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { folderInMemory, inTemporary } from './helpers/temporary.ts'
import type { PackageFacts } from './helpers/openbsd-mirror/package-facts.ts'
import type { Outcome } from './helpers/run-command.ts'

const key = await packageKey()
const large = packageOf({ name: 'large-1.0', pkgpath: 'games/large', ballast: 400_000 })
const catalog = [...catalogOf({ count: 59, seed: 11, medianBytes: 20_000 }), large].toSorted((a, b) => (a.name < b.name ? -1 : 1))
const master = folderInMemory('bindery-mirror-')
after(() => rmSync(master, { recursive: true }))
const files = await writeMirror({ folder: join(master, 'packages'), packages: catalog, key })

/** A copy of the mirror in `packages`, keys, and a place for what comes out. */
async function withMirror(use: (at: (name: string) => string) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const at = (name: string): string => join(folder, name)
    cpSync(join(master, 'packages'), at('packages'), { recursive: true, preserveTimestamps: true })
    mkdirSync(at('out'))
    writeFileSync(at('k.pub'), key.publicKeyFile)
    writeFileSync(at('k.sec'), key.secretKeyFile)
    await use(at)
  })
}

/** Over HTTP, with the lines of the server's log. */
async function served(folder: string, use: (url: string, log: string[]) => Promise<void>): Promise<void> {
  const log: string[] = []
  const server = await serveFolder({ folder, host: '127.0.0.1', port: 0, log: (line) => void log.push(line) })
  try {
    await use(server.url, log)
  } finally {
    await server.close(0)
  }
}

const index = async (...words: readonly string[]): Promise<Outcome> => await runCommand(pkgindex, words)
const textOf = (file: string): string => gunzipSync(readFileSync(file)).toString('latin1')
const packages = files.filter((name) => name.endsWith('.tgz'))

test("the index of a folder is that of genpkgup's rules, byte for byte", needs('gzip'), async () => {
  await withMirror(async (at) => {
    const reference = referenceIndex(at('packages'))
    assert.ok(reference.split('\n').length > 60)
    assert.equal((await index(at('packages'))).stdout, reference)
    assert.equal((await index(at('packages'), '-o', at('out/index.pkgup.gz'))).status, 0)
    execFileSync('gzip', ['-t', at('out/index.pkgup.gz')])
    assert.equal(textOf(at('out/index.pkgup.gz')), reference)
  })
})

test('over HTTP it is the same, and of each package no more than its head is asked for', async () => {
  await withMirror(async (at) => {
    await served(at('packages'), async (url, log) => {
      assert.equal((await index(url)).stdout, referenceIndex(at('packages')))
      const sent = log.filter((line) => line.includes('.tgz'))
      assert.equal(sent.length, packages.length)
      assert.ok(sent.every((line) => Number(line.split(' ')[3]) <= 16_384))
      assert.ok(packages.some((name) => statSync(at(`packages/${name}`)).size > 40_000))
    })
  })
})

test('a mirror without index.txt has a listing, and a server without ranges its whole files', async () => {
  await withMirror(async (at) => {
    const reference = referenceIndex(at('packages'))
    const page = packages.map((name) => `<A HREF="${name.replaceAll('+', '%2B')}">${name}</A>\n`).join('')
    await plainServer(at('packages'), page, async (url) => assert.equal((await index(url)).stdout, reference))
  })
})

test('options of genpkgup: its folders, its plain text, its words, its exit status', async () => {
  await withMirror(async (at) => {
    const reference = referenceIndex(at('packages'))
    mkdirSync(at('pub/snapshots/packages'), { recursive: true })
    renameSync(at('packages'), at('pub/snapshots/packages/amd64'))
    mkdirSync(at('pub/7.8/packages-stable/'), { recursive: true })
    symlinkSync('../../snapshots/packages/amd64', at('pub/7.8/packages-stable/amd64'))
    await served(at('pub'), async (url) => {
      const mirror = url.replace(/\/$/, '')
      assert.deepEqual(await index('-m', mirror, '-v', 'snapshots', '-a', 'amd64'), { status: 0, stdout: reference, stderr: [] })
      assert.equal((await index('-m', mirror, '-v', '7.8', '-a', 'amd64')).stdout, reference)
      const counted = await index('-m', mirror, '-v', '7.8', '-a', 'amd64', '-p')
      assert.equal(counted.stderr[0], `\r0/${files.length + 1}`)
      const words = async (...flags: readonly string[]): Promise<readonly [number, string, string]> => {
        const outcome = await index('-m', mirror, ...flags)
        return [outcome.status, outcome.stderr.join(''), outcome.stdout]
      }
      assert.deepEqual(await words(), [1, 'Error: Must specify version (-v)\n', ''])
      assert.deepEqual(await words('-v', '7.8'), [1, 'Error: Must specify arch (-a)\n', ''])
      const [status, said] = await words('-v', '7.7', '-a', 'amd64')
      assert.equal(status, 1)
      assert.match(said, new RegExp(`^failed to retrieve index.txt at ${mirror}/7.7/packages-stable/amd64/: `))
      const folder = at('pub/snapshots/packages/amd64')
      const [first, second] = packages as [string, string]
      unlinkSync(join(folder, first))
      writeFileSync(join(folder, second), 'garbage')
      const at78 = `${mirror}/7.8/packages-stable/amd64//`
      const [odd, told, text] = await words('-v', '7.8', '-a', 'amd64')
      assert.equal(odd, 0)
      assert.match(told, new RegExp(`^404 while downloading package: ${at78}${first}\nError \\w+ ${at78}${second}: `))
      assert.equal(
        text,
        reference
          .split('\n')
          .filter((line) => !line.startsWith(`${first} `) && !line.startsWith(`${second} `))
          .join('\n'),
      )
      writeIndexTxt(
        folder,
        files.filter((name) => !name.startsWith('quirks-') && name !== first),
      )
      assert.deepEqual(await words('-v', '7.8', '-a', 'amd64'), [1, "couldn't find quirks package in index\n", ''])
    })
  })
})

test('what has not changed is not read again, here by size and time, there by what index.txt says', async () => {
  await withMirror(async (at) => {
    const out = at('out/index.pkgup.gz')
    const later = laterCatalog(catalog, { seed: 2, newer: 2, rebuilt: 2, gone: 1, added: 1 })
    await served(at('packages'), async (url, log) => {
      const requests = (): string[] => log.splice(0).map((line) => line.split(' ')[1] as string)
      assert.equal((await index(url, '-o', out)).status, 0)
      assert.equal(requests().length, packages.length + 1)
      const before = statSync(out)
      assert.equal((await index(url, '-o', out)).status, 0)
      assert.deepEqual(requests(), ['/index.txt'])
      assert.deepEqual([statSync(out).ino, statSync(out).mtimeMs], [before.ino, before.mtimeMs], 'an index that says the same stays')
      rmSync(at('packages'), { recursive: true })
      await writeMirror({ folder: at('packages'), packages: later, key, date: '2026-11-27T00:00:00Z' })
      // Packages that are the same have the same time on a mirror.
      const same = later.map(({ name }) => `${name}.tgz`).filter((name) => files.includes(name))
      const unchanged = same.filter((name) => !rebuiltIn(later).has(name))
      for (const name of unchanged) cpSync(join(master, 'packages', name), at(`packages/${name}`), { preserveTimestamps: true })
      writeIndexTxt(at('packages'), [...later.map(({ name }) => `${name}.tgz`), 'quirks-7.103.tgz'].sort())
      assert.equal((await index(url, '-o', out)).status, 0)
      assert.equal(requests().filter((path) => path.endsWith('.tgz')).length, later.length + 1 - unchanged.length)
      assert.equal(textOf(out), referenceIndex(at('packages')))
    })
  })
})

function rebuiltIn(later: readonly PackageFacts[]): ReadonlySet<string> {
  const former = new Map(catalog.map((facts) => [facts.name, facts]))
  return new Set(later.filter((facts) => former.get(facts.name) !== facts).map(({ name }) => `${name}.tgz`))
}

test('without size and time in the list an entity tag tells whether a package is the same', async () => {
  await withMirror(async (at) => {
    writeFileSync(at('packages/index.txt'), packages.map((name) => `- 1 0 0 - Nov 1 0:0:0 2026 ${name}\n`).join(''))
    await served(at('packages'), async (url, log) => {
      assert.equal((await index(url, '-o', at('out/i.gz'))).status, 0)
      log.splice(0)
      assert.equal((await index(url, '-o', at('out/i.gz'))).status, 0)
      assert.ok(
        log.filter((line) => line.includes('.tgz')).every((line) => line.includes(' 304 ')),
        log[1],
      )
    })
  })
})

test('in a folder a package is known by its size and time', async () => {
  await withMirror(async (at) => {
    const out = at('out/index.pkgup.gz')
    const readNow = async (): Promise<string> => {
      const said: string[] = []
      const outcome = await runCommand(pkgindex, [at('packages'), '-o', out], { explain: (line) => void said.push(line) })
      assert.equal(outcome.status, 0)
      return said[0] as string
    }
    assert.equal(await readNow(), `${packages.length} packages, ${packages.length} of them read now`)
    assert.equal(await readNow(), `${packages.length} packages, 0 of them read now`)
    utimesSync(at(`packages/${packages[0] as string}`), 1_800_000_000, 1_800_000_000)
    unlinkSync(at(`packages/${packages[1] as string}`))
    assert.equal(await readNow(), `${packages.length - 1} packages, 1 of them read now`)
    writeFileSync(at('out/.index.pkgup.gz.state'), 'bindery-pkgindex-state 1\n"x"\n{"file":3}\n')
    assert.match(await readNow(), / 5\d of them read now$|60 of them read now$/)
  })
})

test('packages that cannot be read are told, hide no others, and leave the old index in its place', needs('gzip'), async () => {
  await withMirror(async (at) => {
    const out = at('out/index.pkgup.gz')
    assert.equal((await index(at('packages'), '-o', out)).status, 0)
    const before = textOf(out)
    const victims = packages.filter((name) => !/^(quirks|large)-/.test(name)).slice(0, 6) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    const put = (name: string, bytes: Uint8Array | string): void => writeFileSync(at(`packages/${name}`), bytes)
    const whole = readFileSync(at(`packages/${victims[0]}`))
    put(victims[0], whole.subarray(0, 400))
    put(victims[1], '')
    put(victims[2], '<html>not found</html>')
    put(victims[3], await packageFile(packageOf({ name: 'two words', pkgpath: 'a/b' }), key, '2026-11-20T09:30:15Z'))
    put(victims[4], await packageFile(packageOf({ name: 'x-1', pkgpath: 'a/b', wantlibs: ['c.1 0'] }), key, '2026-11-20T09:30:15Z'))
    put(victims[5], bomb())
    put('large-1.0.tgz', readFileSync(at('packages/large-1.0.tgz')).subarray(0, 100_000))
    const outcome = await index(at('packages'), '-o', out)
    assert.equal(outcome.status, 6)
    // In the order of the list, in which the large one comes later.
    const broken = [...victims, 'large-1.0.tgz']
    for (const [i, name] of broken.entries())
      assert.match(outcome.stderr[i] as string, new RegExp(`/packages/${name.replaceAll('+', '\\+')}: .`))
    assert.match(outcome.stderr[6] as string, /has 100000 bytes, and was signed with more/)
    assert.match(outcome.stderr[7] as string, /stays as it was: 7 packages could not be read/)
    assert.equal(textOf(out), before)
    assert.equal((await index(at('packages'), '-o', out, '--partial')).status, 6)
    const kept = before.split('\n').filter((line) => !broken.some((name) => line.startsWith(`${name} `)))
    assert.equal(textOf(out), kept.join('\n'))
    for (const name of broken) cpSync(join(master, 'packages', name), at(`packages/${name}`), { preserveTimestamps: true })
    assert.equal((await index(at('packages'), '-o', out)).status, 0)
    assert.equal(textOf(out), before)
  })
})

/** 100 MB of nothing in a hundred kilobytes. */
function bomb(): Uint8Array {
  return execFileSync('bash', ['-c', 'head -c 100000000 /dev/zero | tr "\\0" "x" | gzip -9n'], { maxBuffer: 1 << 24 })
}

test('links to files are packages; what is no file, or hidden, is not looked at', needs('mkfifo'), async () => {
  await withMirror(async (at) => {
    const reference = referenceIndex(at('packages'))
    const [first, second] = packages as [string, string]
    renameSync(at(`packages/${first}`), at('elsewhere'))
    symlinkSync(at('elsewhere'), at(`packages/${first}`))
    symlinkSync('/nowhere', at('packages/dangling-1.tgz'))
    mkdirSync(at('packages/folder-1.tgz'))
    execFileSync('mkfifo', [at('packages/fifo-1.tgz')])
    writeFileSync(at(`packages/.${second}.Xa81Qc`), 'on its way')
    assert.deepEqual(await index(at('packages')), { status: 0, stdout: reference, stderr: [] })
  })
})

test('the signed index: signify and zstd take it, and it stays while it says the same', needs('signify-openbsd', 'zstd'), async () => {
  await withMirror(async (at) => {
    const [out, sealed] = [at('out/index.pkgup.gz'), at('out/index.bindery.zst')]
    const day = 86_400_000
    const now = Date.parse('2026-11-28T00:00:00Z')
    const run = async (time: number): Promise<number> =>
      (await runCommand(pkgindex, [at('packages'), '-o', out, '-s', at('k.sec'), '--expires', '10'], { clock: { now: () => time } })).status
    assert.equal(await run(now), 0)
    const file = new Uint8Array(readFileSync(sealed))
    const { signature, compressed } = unsealIndex(file) as { signature: Uint8Array; compressed: Uint8Array }
    writeFileSync(at('message'), compressed)
    writeFileSync(at('message.sig'), signature)
    assert.equal(spawnSync('signify-openbsd', ['-V', '-p', at('k.pub'), '-m', at('message')]).status, 0)
    const lines = execFileSync('zstd', ['-dc', sealed], { encoding: 'utf8', maxBuffer: 1 << 26 })
      .trimEnd()
      .split('\n')
    assert.equal(lines.length, packages.length + 1)
    const opened = await openSealedIndex(file, decodePublicKey(key.publicKeyFile))
    assert.equal(opened.quirksDate, '2026-11-20T09:30:15Z')
    assert.equal(opened.expires - opened.made, 10 * 86_400)
    assert.deepEqual(
      opened.packages.map((one) => one.file),
      packages,
    )
    for (const { file: name, size, sha256 } of opened.packages.slice(0, 5)) {
      const bytes = readFileSync(at(`packages/${name}`))
      assert.deepEqual([size, sha256], [bytes.length, execFileSync('sha256sum', { input: bytes, encoding: 'utf8' }).slice(0, 64)])
    }
    assert.equal(await run(now + 4 * day), 0)
    assert.deepEqual(new Uint8Array(readFileSync(sealed)), file)
    assert.equal(await run(now + 6 * day), 0)
    assert.notDeepEqual(new Uint8Array(readFileSync(sealed)), file)
    file[file.length - 10] = (file[file.length - 10] as number) ^ 1
    await assert.rejects(openSealedIndex(file, decodePublicKey(key.publicKeyFile)), { code: 'bad-signature' })
    const other = await packageKey('other', 2)
    await assert.rejects(openSealedIndex(readFileSync(sealed), decodePublicKey(other.publicKeyFile)), { code: 'wrong-key' })
    await assert.rejects(openSealedIndex(compressed, decodePublicKey(other.publicKeyFile)), { code: 'not-supported' })
  })
})

test('with a key every package is verified as far as it is read, and a changed byte anywhere before is told', async () => {
  await withMirror(async (at) => {
    const out = at('out/index.pkgup.gz')
    assert.equal((await index(at('packages'), '-o', out, '--pubkey', at('k.pub'))).status, 0)
    assert.equal(textOf(out), referenceIndex(at('packages')))
    const name = packages.find((file) => statSync(at(`packages/${file}`)).size > 10_000 && !file.startsWith('quirks')) as string
    const good = readFileSync(at(`packages/${name}`))
    const end = good.indexOf(0, 10)
    for (const place of [0, 3, 20, 100, 200, end - 3, end + 1, end + 30, end + 2000, end + 7000]) {
      const damaged = new Uint8Array(good)
      damaged[place] = (damaged[place] as number) ^ 4
      writeFileSync(at(`packages/${name}`), damaged)
      const outcome = await index(at('packages'), '-o', out, '--pubkey', at('k.pub'))
      assert.equal(outcome.status, 6, `byte ${place}`)
      assert.equal(outcome.stderr.length, 2, `byte ${place}`)
    }
    const other = await packageKey('other', 2)
    writeFileSync(
      at(`packages/${name}`),
      await packageFile(
        catalog.find((facts) => `${facts.name}.tgz` === name) ?? packageOf({ name: 'x-1', pkgpath: 'a/b' }),
        other,
        '2026-11-20T09:30:15Z',
      ),
    )
    assert.match((await index(at('packages'), '-o', out, '--pubkey', at('k.pub'))).stderr[0] as string, /was signed with key/)
  })
})

test('--watch indexes what is there, and again what has changed, until it is stopped', async () => {
  await withMirror(async (at) => {
    const out = at('out/index.pkgup.gz')
    const stop = new AbortController()
    const watching = runCommand(pkgindex, [at('packages'), '-o', out, '--watch', '--interval', '0.05'], { signal: stop.signal })
    const until = async (expected: string): Promise<void> => {
      for (;;) {
        try {
          if (textOf(out) === expected) return
        } catch {
          // Not there yet.
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await until(referenceIndex(at('packages')))
    unlinkSync(at(`packages/${packages[3] as string}`))
    writeIndexTxt(
      at('packages'),
      files.filter((name) => name !== packages[3]),
    )
    await until(referenceIndex(at('packages')))
    stop.abort()
    assert.equal((await watching).status, 0)
  })
})

test('--watch renews a signed index while nothing changes', async () => {
  await withMirror(async (at) => {
    let now = Date.parse('2026-11-28T00:00:00Z')
    const stop = new AbortController()
    const words = [
      at('packages'),
      '-o',
      at('packages/index.pkgup.gz'),
      '-s',
      at('k.sec'),
      '--expires',
      '1',
      '--watch',
      '--interval',
      '0.05',
    ]
    const watching = runCommand(pkgindex, words, { signal: stop.signal, clock: { now: () => now } })
    const sealedAt = async (): Promise<number> => {
      const file = existsSync(at('packages/index.bindery.zst')) ? readFileSync(at('packages/index.bindery.zst')) : undefined
      return file === undefined ? 0 : (await openSealedIndex(file, decodePublicKey(key.publicKeyFile))).made * 1000
    }
    while ((await sealedAt()) !== now) await new Promise((resolve) => setTimeout(resolve, 20))
    now += 13 * 3_600_000
    while ((await sealedAt()) !== now) await new Promise((resolve) => setTimeout(resolve, 20))
    stop.abort()
    assert.equal((await watching).status, 0)
  })
})

test('words of the command line that do not go together', async () => {
  for (const words of [
    ['dir', '-m', 'http://x'],
    ['dir', '-s', 'k.sec'],
    ['dir', '-s', 'k.sec', '-o', '-'],
    ['dir', '--watch'],
    ['http://127.0.0.1/x/', '--watch', '-o', 'x'],
    ['dir', '-o', 'x', '--json'],
    ['dir', '-o', 'x', '--expires', '3'],
    ['dir', '-o', 'x', '--watch', '--interval', 'often'],
  ])
    assert.equal((await index(...words)).code, 'usage', words.join(' '))
  assert.equal((await index('/nowhere/at/all')).code, 'not-found')
})

test('--json: an object for each package', async () => {
  await withMirror(async (at) => {
    const { stdout } = await index(at('packages'), '--json')
    const records = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      records.map((record) => record['file']),
      packages,
    )
    assert.match(String(records[0]?.['sha256']), /^[0-9a-f]{64}$/)
  })
})

/** Knows neither ranges nor conditions, and has a page for the folder. */
async function plainServer(folder: string, page: string, use: (url: string) => Promise<void>): Promise<void> {
  const { createServer } = await import('node:http')
  const server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '/').slice(1))
    if (name === '') return void response.end(page)
    if (!packages.includes(name)) return void response.writeHead(404).end()
    response.end(readFileSync(join(folder, name)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  try {
    await use(`http://127.0.0.1:${port}/`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}
