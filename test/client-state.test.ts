import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { decodeConf, defaultConfig, matchesAny, pathPattern, repositoryUrl } from '../src/format/conf.ts'
import { decodeEnrolled, encodeEnrolled } from '../src/format/enrolled.ts'
import { decodeLines, encodeLines, escapeValue, unescapeValue } from '../src/format/lines.ts'
import { decodeReleaseState, encodeReleaseState } from '../src/format/release-state.ts'
import {
  makeStateFolders,
  readEnrolled,
  readReleaseState,
  removeStateFolders,
  statePaths,
  writeEnrolled,
  writeStateFile,
} from '../src/engine/client/state.ts'
import { decodeReboot, encodeReboot } from '../src/format/reboot-state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { hostExec } from '../src/host/exec.ts'
import { anyCharacter } from './helpers/any-character.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Enrolled } from '../src/format/enrolled.ts'
import type { Digest, ReleaseState } from '../src/format/release-state.ts'

const channel = { product: 'base', arch: 'amd64' }
const enrolled: readonly Enrolled[] = [
  { channel, repository: '0123456789abcdef', basis: 'tar', urls: ['https://updates.example.org/', 'http://mirror.example.org/bindery/'] },
  {
    channel: { product: 'kernel-GENERIC', arch: 'amd64' },
    repository: '0123456789abcdef',
    basis: 'installed',
    urls: ['file:///srv/updates/'],
  },
]

const digestOf = (text: string): Digest => ({ sha256: sha256(utf8(text)), size: text.length })

const state: ReleaseState = {
  name: { product: 'base', revision: '1.2', date: '20260101', arch: 'amd64' },
  sequence: 3,
  tar: digestOf('tar 3'),
  manifest: digestOf('manifest 3'),
  base: {
    file: digestOf('base'),
    tar: digestOf('tar 1'),
    deltas: [
      { file: digestOf('delta 2'), tar: digestOf('tar 2') },
      { file: digestOf('delta 3'), tar: digestOf('tar 3') },
    ],
  },
}

test('what is enrolled reads back, and is plain text', () => {
  assert.deepEqual(decodeEnrolled(encodeEnrolled(enrolled)), enrolled)
  assert.equal(
    latin1(encodeEnrolled(enrolled.slice(1))),
    'bindery-enrolled 1\nchannel kernel-GENERIC/amd64\nrepository 0123456789abcdef\nbasis installed\nurl file:///srv/updates/\n',
  )
  assert.deepEqual(decodeEnrolled(utf8('bindery-enrolled 1\n')), [])
})

test('sh reads the state with while read', async () => {
  const script = 'read -r format version; while read -r key value; do [ "$key" = url ] && echo "$value"; done'
  const { stdout } = await hostExec.run('sh', ['-c', script], { input: encodeEnrolled(enrolled) })
  assert.equal(latin1(stdout), enrolled.flatMap(({ urls }) => urls).join('\n') + '\n')
})

test('a release state reads back, with and without a base', () => {
  assert.deepEqual(decodeReleaseState(encodeReleaseState(state)), state)
  const { base: _, ...bare } = state
  assert.deepEqual(decodeReleaseState(encodeReleaseState(bare)), bare)
})

test('a release state whose base leads elsewhere is refused', () => {
  const text = latin1(encodeReleaseState(state)).replace(/delta [^\n]*\n$/, '')
  assert.throws(() => decodeReleaseState(fromLatin1(text)), { code: 'bad-format' })
})

test('state of a newer version says so', () => {
  assert.throws(() => decodeEnrolled(utf8('bindery-enrolled 2\n')), { code: 'not-supported' })
  assert.throws(() => decodeReleaseState(utf8('bindery-release 12\nx y\n')), { code: 'not-supported' })
})

const wrongEnrolled: readonly string[] = [
  '',
  'bindery-enrolled 1',
  'bindery-enrolled 01\n',
  'bindery-release 1\n',
  'bindery-enrolled 1\nurl http://x/\n',
  'bindery-enrolled 1\nchannel base/amd64\n',
  'bindery-enrolled 1\nchannel base\nrepository 0123456789abcdef\nbasis tar\nurl http://x/\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository ../../etc/x\nbasis tar\nurl http://x/\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tape\nurl http://x/\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tar\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tar\nurl http://user:pass@x/\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tar\nurl gopher://x/\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tar\nurl http://x\n',
  'bindery-enrolled 1\nchannel base/amd64\nrepository 0123456789abcdef\nbasis tar\nurl http://x/\\1\n',
  'bindery-enrolled 1\nkey\n',
]

test('damaged state is bad-format, each in its way', () => {
  for (const text of wrongEnrolled) assert.throws(() => decodeEnrolled(utf8(text)), { code: 'bad-format' }, text)
  const twice = encodeEnrolled([enrolled[0] as Enrolled, enrolled[0] as Enrolled])
  assert.throws(() => decodeEnrolled(twice), { code: 'bad-format' })
})

test('any bytes decode or are refused, and what decodes is written the same', () => {
  const cases = [
    { good: encodeEnrolled(enrolled), reread: (bytes: Uint8Array) => encodeEnrolled(decodeEnrolled(bytes)) },
    { good: encodeReleaseState(state), reread: (bytes: Uint8Array) => encodeReleaseState(decodeReleaseState(bytes)) },
  ]
  for (const { good, reread } of cases) {
    const edit = fc.record({ at: fc.nat(good.length - 1), bytes: fc.uint8Array({ maxLength: 3 }), cut: fc.nat(3) })
    fc.assert(
      fc.property(edit, ({ at, bytes, cut }) => {
        const changed = new Uint8Array([...good.subarray(0, at), ...bytes, ...good.subarray(at + cut)])
        try {
          assert.deepEqual(reread(changed), changed)
        } catch (error) {
          if (!(error instanceof BinderyError)) throw error
          assert.ok(['bad-format', 'not-supported'].includes(error.code), error.code)
        }
      }),
      { numRuns: 2000 },
    )
  }
})

test('values hold any bytes', () => {
  const anyValue = fc.uint8Array({ maxLength: 40 }).map(latin1)
  fc.assert(fc.property(anyValue, (value) => unescapeValue(escapeValue(value)) === value))
  const format = { firstLine: 'x 1', maxBytes: 1000, maxLines: 3 }
  fc.assert(
    fc.property(fc.array(anyValue, { maxLength: 3 }), (values) => {
      const lines = values.map((value) => ({ key: 'k', value }))
      assert.deepEqual(decodeLines(format, encodeLines(format, lines)), lines)
    }),
  )
  assert.throws(() => decodeLines(format, utf8('x 1\nk\nk\nk\nk\n')), { code: 'over-limit' })
  assert.throws(() => decodeLines(format, utf8(`x 1\nk ${'v'.repeat(1000)}\n`)), { code: 'over-limit' })
})

test('the state folder is made for root alone, but for what check reads', async () => {
  const disk = memoryDisk()
  const made = await makeStateFolders(disk)
  const modes = await Promise.all(made.map(async (path) => [path, (await disk.lstat(path))?.mode.toString(8)] as const))
  assert.deepEqual(Object.fromEntries(modes), {
    var: '755',
    'var/db': '755',
    'var/db/bindery': '711',
    'var/db/bindery/trust': '755',
    'var/db/bindery/channel': '755',
    'var/db/bindery/lock': '700',
    'var/db/bindery/cache': '700',
    'var/db/bindery/stage': '700',
    'var/db/bindery/store': '700',
    'var/db/bindery/receipt': '700',
    'var/db/bindery/steps': '700',
    'var/db/bindery/log': '700',
  })
  assert.deepEqual(await makeStateFolders(disk), [])
  await removeStateFolders(disk, made)
  assert.deepEqual(await disk.readdir('.' as RelPath), [])
})

test('the folder around the state keeps its time', async () => {
  const disk = memoryDisk()
  await disk.mkdir('var' as RelPath, 0o755)
  const before = await disk.lstat('var' as RelPath)
  const made = await makeStateFolders(disk)
  assert.deepEqual((await disk.lstat('var' as RelPath))?.mtime, before?.mtime)
  await removeStateFolders(disk, made)
  assert.deepEqual(await disk.lstat('var' as RelPath), before)
})

test('state is written aside and renamed, also over what a crash left', async () => {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  await disk.create(`${statePaths.enrolled}.new` as RelPath, (async function* () {})())
  await writeEnrolled(disk, enrolled)
  await writeEnrolled(disk, enrolled)
  assert.deepEqual(await readEnrolled(disk), enrolled)
  assert.equal((await disk.lstat(statePaths.enrolled))?.mode, 0o644)
  assert.equal(await disk.lstat(`${statePaths.enrolled}.new` as RelPath), undefined)
})

test('damaged state names its file and the way out', async () => {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  await writeStateFile(disk, statePaths.enrolled, utf8('nonsense\n'))
  await assert.rejects(readEnrolled(disk), { code: 'bad-format', subject: 'var/db/bindery/enrolled', hint: /--force/ })
  await assert.rejects(readReleaseState(disk, channel), { code: 'not-enrolled', subject: 'base/amd64' })
})

test('bindery.conf: keys, comments, defaults', () => {
  assert.deepEqual(decodeConf(utf8('')), defaultConfig)
  const config = decodeConf(
    utf8(`# a comment
mirror http://lan.example.org/updates
  mirror   https://second.example.org/   150
basis installed
hold kernel-GENERIC/amd64 comp/amd64
hold all
ignore /etc/motd
protect /etc/ssh/*.conf
keep-releases 2
answer-timeout 5
idle-timeout 6
minimum-rate 1000
rate-window 10
download-deadline 60
`),
  )
  assert.deepEqual(config.mirrors, [
    { url: 'http://lan.example.org/updates/', priority: 50 },
    { url: 'https://second.example.org/', priority: 150 },
  ])
  assert.deepEqual([config.basis, config.hold, config.keepReleases], ['installed', ['kernel-GENERIC/amd64', 'comp/amd64', 'all'], 2])
  assert.deepEqual(config.network, {
    answerMs: 5000,
    idleMs: 6000,
    minimumRate: 1000,
    rateLimit: 0,
    rateWindowMs: 10_000,
    deadlineMs: 60_000,
  })
  assert.ok(matchesAny(config.ignore, 'etc/motd' as RelPath))
})

test('bindery.conf: mistakes are told with their line', () => {
  const wrong = (text: string): unknown => {
    try {
      return decodeConf(utf8(text))
    } catch (error) {
      assert.ok(error instanceof BinderyError)
      return [error.code, error.message, error.hint]
    }
  }
  assert.deepEqual(wrong('\nmirrors http://x/\n'), ['usage', "line 2: no key 'mirrors'", "did you mean 'mirror'?"])
  assert.deepEqual(wrong('frobnicate 1'), ['usage', "line 1: no key 'frobnicate'", 'bindery.conf(5) lists the keys'])
  assert.deepEqual(wrong('basis'), ['usage', "line 1: 'basis' has no value", undefined])
  for (const line of [
    'basis tape',
    'basis tar\nbasis tar',
    'hold base',
    'ignore etc/motd',
    'ignore /a/../b',
    'keep-releases -1',
    'keep-releases 1e3',
    'idle-timeout 0',
    'mirror ftp://x/',
    'mirror http://u:p@x/',
    'mirror http://x/?q',
    'mirror http://x/ first',
    'proxy socks5://x:1080',
    'without gamez',
    'constructor 1',
    '__proto__ 1',
  ]) {
    assert.equal((wrong(line) as readonly string[])[0], 'usage', line)
  }
  assert.throws(() => decodeConf(fromLatin1('ignore /\xff\n')), { code: 'usage' })
})

test('any text is a configuration or a usage error', () => {
  const key = fc.constantFrom(
    'mirror',
    'basis',
    'hold',
    'ignore',
    'protect',
    'keep-old',
    'keep-releases',
    'idle-timeout',
    'minimum-rate',
    'x',
    '#',
    '',
  )
  const line = fc.tuple(key, fc.string({ unit: anyCharacter, maxLength: 12 })).map(([name, value]) => `${name} ${value}`)
  fc.assert(
    fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
      try {
        decodeConf(utf8(lines.join('\n')))
      } catch (error) {
        if (!isBinderyError(error, 'usage')) throw error
      }
    }),
    { numRuns: 1000 },
  )
})

test('path patterns match within names, and everything below', () => {
  const matches = (pattern: string, path: string): boolean => pathPattern(pattern).regex.test(path)
  for (const path of ['etc/ssh', 'etc/ssh/sshd_config']) assert.ok(matches('/etc/ssh', path), path)
  for (const path of ['etc/sshd', 'usr/etc/ssh', 'etc']) assert.ok(!matches('/etc/ssh/', path), path)
  assert.ok(matches('/etc/*.db', 'etc/pwd.db'))
  assert.ok(!matches('/etc/*.db', 'etc/a/pwd.db'))
  assert.ok(matches('/etc/pwd?db', 'etc/pwd.db'))
  assert.ok(!matches('/etc/pwd.db', 'etc/pwdxdb'))
  assert.ok(matches('/a+(b)[c]', 'a+(b)[c]'))
  assert.ok(matches('/ä', latin1(utf8('ä'))))
})

test('a repository URL ends with a slash and holds nothing secret', () => {
  assert.equal(repositoryUrl('http://x'), 'http://x/')
  assert.equal(repositoryUrl('http://x/y'), 'http://x/y/')
  assert.equal(repositoryUrl('http://[::1]:8080/y/'), 'http://[::1]:8080/y/')
  assert.throws(() => repositoryUrl('/srv/updates'), { code: 'usage' })
})

test('a need of a reboot survives the round trip, and anything else is refused', () => {
  const need = { role: 'base-amd64', old: '-', new: 'base-1.1-20260201-amd64', class: 'careful', boot: 'Fri_Nov_28_03:22:03_2025' } as const
  assert.deepEqual(decodeReboot(encodeReboot([need])), [need])
  assert.deepEqual(decodeReboot(encodeReboot([])), [])
  for (const line of ['need a b c reboot', 'need a b c restart d', 'need a b c reboot d e', 'want a b c reboot d', 'need a b  reboot d'])
    assert.throws(
      () => decodeReboot(utf8(`bindery-reboot 1\n${line}\n`)),
      (error) => isBinderyError(error, 'bad-format'),
    )
})
