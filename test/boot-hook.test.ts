import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { latin1 } from '../src/base/bytes.ts'
import { parentPath } from '../src/base/path.ts'
import { bootHookOf, checkBootHook, installBootHook, readBootHook, removeBootHook } from '../src/engine/client/boot-hook.ts'
import { bootSystemOf } from '../src/engine/client/boot-system.ts'
import { makeStateFolders, statePaths } from '../src/engine/client/state.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { bootSystems, decodeBootHook } from '../src/format/boot-hook.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { bootHookText } from '../src/host/boot-hook.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { BootHook } from '../src/engine/client/boot-hook.ts'
import type { BootSystem } from '../src/format/boot-hook.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What of a root tells its system, and what else matters to its hook. */
const roots: Readonly<Record<BootSystem, Literal>> = {
  openbsd: { 'usr/libexec/ld.so': 'linker', 'etc/rc': 'rc' },
  freebsd: { 'libexec/ld-elf.so.1': 'linker', 'etc/rc.d/cron': 'cron', 'usr/local': dir() },
  netbsd: { 'libexec/ld.elf_so': 'linker', 'etc/rc.d/cron': 'cron' },
  dragonfly: { 'libexec/ld-elf.so.2': 'linker', 'libexec/ld-elf.so.1': 'of old programs', 'etc/rc.d/cron': 'cron' },
  systemd: { sbin: symlink('usr/sbin'), 'usr/sbin/init': symlink('../lib/systemd/systemd'), 'etc/rcS.d': dir(), 'etc/init.d': dir() },
  sysv: { 'sbin/init': 'init', 'etc/init.d/mountall.sh': 'mount -a', 'etc/rcS.d/S10mountall.sh': symlink('../init.d/mountall.sh') },
}

/** The hook of systemd. */
const unit = 'etc/systemd/system/bindery-recover.service'
const wanted = 'etc/systemd/system/sysinit.target.wants/bindery-recover.service'

async function rootOf(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  await makeStateFolders(disk)
  return disk
}

async function treeOf(disk: Disk): Promise<string> {
  return latin1(encodeManifest(await scanTree(disk)))
}

async function hookFor(disk: Disk, system: BootSystem): Promise<BootHook> {
  return await bootHookOf(disk, system, await bootHookText(system))
}

async function textOf(disk: Disk, path: string): Promise<string> {
  let text = ''
  for await (const chunk of disk.read(relPath(path))) text += latin1(chunk)
  return text
}

for (const system of bootSystems) {
  test(`${system}: the hook is put where the system looks, and is taken away without a trace`, async () => {
    const disk = await rootOf(roots[system])
    assert.equal(await bootSystemOf(disk), system)
    const before = await treeOf(disk)
    const hook = await hookFor(disk, system)
    await installBootHook(disk, hook)
    const installed = await treeOf(disk)
    for (const part of hook.parts) assert.match(installed, new RegExp(`^\\./${part.path.replaceAll('.', '\\.')} `, 'm'))
    await installBootHook(disk, await hookFor(disk, system))
    assert.equal(await treeOf(disk), installed)
    assert.deepEqual(await removeBootHook(disk), [])
    assert.equal(await treeOf(disk), before)
    assert.equal(await readBootHook(disk), undefined)
  })
}

test('what is neither says nothing', async () => {
  assert.equal(await bootSystemOf(await rootOf({ 'bin/sh': 'sh' })), undefined)
})

for (const [what, literal, wanted] of [
  ['a link of /sbin/init tells', { 'sbin/init': symlink('../lib/systemd/systemd') }, 'systemd'],
  ['a link of /usr/sbin/init tells', { 'usr/sbin/init': symlink('../lib/systemd/systemd') }, 'systemd'],
  ['systemd that is there and is not what starts does not count', { 'sbin/init': 'init', 'lib/systemd/systemd': 'x' }, undefined],
  ['systemd that is there counts where nothing says what starts', { 'usr/lib/systemd/systemd': 'x' }, 'systemd'],
  ['nor does one in the older place', { 'lib/systemd/systemd': 'x' }, 'systemd'],
  ['another link is another program', { 'sbin/init': symlink('busybox'), 'lib/systemd/systemd': 'x' }, undefined],
  ['both folders are there', { 'sbin/init': 'init', 'etc/rcS.d/README': '', 'etc/init.d/README': '' }, 'sysv'],
  ['scripts without their order', { 'sbin/init': 'init', 'etc/init.d/README': '' }, undefined],
  ['an order without scripts', { 'sbin/init': 'init', 'etc/rcS.d/README': '' }, undefined],
  ['a BSD is one, whatever else is there', { 'libexec/ld-elf.so.1': 'x', 'sbin/init': symlink('systemd') }, 'freebsd'],
] as const)
  test(`what starts a system: ${what}`, async () => assert.equal(await bootSystemOf(await rootOf(literal)), wanted))

for (const [names, wanted] of [
  [[], 'S40bindery-recover'],
  [['S10checkroot.sh', 'S12mountall.sh', 'S20mount-all'], 'S21bindery-recover'],
  [['S99mountall'], 'S99bindery-recover'],
  [['S05mountall', 'S33bindery-recover'], 'S33bindery-recover'],
  [['S05umountall', 'K30mountall', 'K01S77mountall', 'S44bindery-recover.old', 'K-S55bindery-recover'], 'S40bindery-recover'],
  [['S01mountall'], 'S02bindery-recover'],
] as const)
  test(`a start that has ${names.join(' ') || 'nothing'} gets ${wanted}`, async () => {
    const disk = await rootOf(Object.fromEntries(names.map((name) => [`etc/rcS.d/${name}`, 'x'])))
    await plant(disk, { 'etc/rcS.d': dir() })
    const { parts } = await hookFor(disk, 'sysv')
    assert.deepEqual(
      parts.map(({ path }) => path),
      ['etc/init.d/bindery-recover', `etc/rcS.d/${wanted}`],
    )
  })

test('lines in a file of the administrator come first, and leave the rest as it is', async () => {
  const theirs = '#!/bin/sh\nsysctl kern.securelevel=2\n'
  const disk = await rootOf({ ...roots.openbsd, 'etc/rc.securelevel': file(theirs, { mode: 0o750 }) })
  const hook = await hookFor(disk, 'openbsd')
  await installBootHook(disk, hook)
  const lines = await bootHookText('openbsd')
  assert.equal(await textOf(disk, 'etc/rc.securelevel'), `#!/bin/sh\n${lines}sysctl kern.securelevel=2\n`)
  assert.equal((await disk.lstat(relPath('etc/rc.securelevel')))?.mode, 0o750)
  await removeBootHook(disk)
  assert.equal(await textOf(disk, 'etc/rc.securelevel'), theirs)
})

test('what somebody put in the place of a part stays, and is told; the other part comes back', async () => {
  for (const [changed, other] of [
    [unit, wanted],
    [wanted, unit],
  ] as const)
    for (const theirs of [file('# mine\n'), symlink('/dev/null'), dir()]) {
      const disk = await rootOf(roots.systemd)
      await installBootHook(disk, await hookFor(disk, 'systemd'))
      for (const path of [unit, wanted]) await disk.unlink(relPath(path))
      await plant(disk, { [changed]: theirs })
      const before = await disk.lstat(relPath(changed))
      await installBootHook(disk, await hookFor(disk, 'systemd'))
      assert.notEqual(await disk.lstat(relPath(other)), undefined)
      assert.deepEqual(await removeBootHook(disk), [changed])
      assert.deepEqual(await disk.lstat(relPath(changed)), before)
    }
})

test('a newer hook takes the place of an older one, of a whole file and of lines', async () => {
  for (const system of ['netbsd', 'openbsd', 'systemd'] as const) {
    const disk = await rootOf({ ...roots[system], 'etc/rc.securelevel': 'theirs\n' })
    const hook = await hookFor(disk, system)
    const path = hook.parts[0]?.path ?? ''
    const older = hook.parts.map((part) => (part.kind === 'link' ? part : { ...part, text: part.text.replace('recover --boot', 'older') }))
    await installBootHook(disk, { ...hook, parts: older })
    assert.match(await textOf(disk, path), /older/)
    await installBootHook(disk, hook)
    assert.doesNotMatch(await textOf(disk, path), /older/)
    const installed = await disk.lstat(relPath(path))
    await installBootHook(disk, hook)
    assert.deepEqual(await disk.lstat(relPath(path)), installed)
    assert.deepEqual(await removeBootHook(disk), [])
  }
})

test('noted are the folders that were not there, outermost first, and a file that is there for the lines alone', async () => {
  for (const [system, literal, made] of [
    ['systemd', roots.systemd, ['etc/systemd', 'etc/systemd/system', 'etc/systemd/system/sysinit.target.wants']],
    ['openbsd', roots.openbsd, ['etc/rc.securelevel']],
    ['openbsd', { ...roots.openbsd, 'etc/rc.securelevel': '' }, []],
    ['netbsd', roots.netbsd, []],
  ] as const) {
    const disk = await rootOf(literal)
    await installBootHook(disk, await hookFor(disk, system))
    assert.deepEqual((await readBootHook(disk))?.made, made)
  }
})

test('a damaged record is named, with the way out', async () => {
  const disk = await rootOf({ ...roots.netbsd, [statePaths.bootHook]: 'nonsense\n' })
  await assert.rejects(readBootHook(disk), { code: 'bad-format', subject: '/var/db/bindery/boot-hook', hint: /remove it/ })
})

test('a stranger at the place of the hook is not replaced, whatever it is', async () => {
  const place = 'etc/rc.d/bindery_recover'
  for (const stranger of [file('theirs', { mode: 0o555 }), symlink('cron'), dir()]) {
    const disk = await rootOf({ ...roots.netbsd, [place]: stranger })
    await assert.rejects(checkBootHook(disk, await hookFor(disk, 'netbsd')), {
      code: 'exists',
      subject: `/${place}`,
      hint: /--no-boot-hook/,
    })
  }
})

test('what the hook of another system has put elsewhere makes no stranger ours', async () => {
  const disk = await rootOf({ ...roots.systemd, ...roots.netbsd, 'etc/rc.d/bindery_recover': 'theirs' })
  await installBootHook(disk, await hookFor(disk, 'systemd'))
  await assert.rejects(checkBootHook(disk, await hookFor(disk, 'netbsd')), { code: 'exists', subject: '/etc/rc.d/bindery_recover' })
})

test('nothing is in the way where the place is free, or holds the very hook, or what we have put there', async () => {
  const disk = await rootOf(roots.netbsd)
  const hook = await hookFor(disk, 'netbsd')
  await checkBootHook(disk, hook)
  await installBootHook(disk, hook)
  await checkBootHook(disk, hook)
  await checkBootHook(disk, { ...hook, parts: hook.parts.map((part) => ({ ...part, text: 'of a newer bindery' })) })
  await disk.unlink(statePaths.bootHook)
  await checkBootHook(disk, hook)
  await disk.chmod(relPath('etc/rc.d/bindery_recover'), 0o500)
  await assert.rejects(checkBootHook(disk, hook), { code: 'exists' })
})

test('lines in a file of the administrator are in nobody’s way; a link that leads elsewhere is', async () => {
  const openbsd = await rootOf({ ...roots.openbsd, 'etc/rc.securelevel': 'sysctl\n' })
  await checkBootHook(openbsd, await hookFor(openbsd, 'openbsd'))
  for (const [target, isFree] of [
    ['../bindery-recover.service', true],
    ['/dev/null', false],
  ] as const) {
    const disk = await rootOf({ ...roots.systemd, [wanted]: symlink(target) })
    const check = checkBootHook(disk, await hookFor(disk, 'systemd'))
    await (isFree ? check : assert.rejects(check, { code: 'exists', subject: `/${wanted}` }))
  }
})

test('lines are renewed where they stand, whatever is around them, and owner and mode of the file stay', async () => {
  const path = relPath('etc/rc.securelevel')
  const lines = await bootHookText('openbsd')
  for (const [before, after] of [
    ['', lines],
    ['a\n', `${lines}a\n`],
    ['#!/bin/sh\n', `#!/bin/sh\n${lines}`],
    ['a\n#!/bin/sh\n', `${lines}a\n#!/bin/sh\n`],
    ['#!/bin/sh\n# bindery-recover: begin\nolder\n# bindery-recover: end\nb\n', `#!/bin/sh\n${lines}b\n`],
    ['# bindery-recover: begin\nolder\n# bindery-recover: end\nb\n', `${lines}b\n`],
    ['# bindery-recover: begin\nno end\n', `${lines}# bindery-recover: begin\nno end\n`],
    ['a # bindery-recover: begin\n# bindery-recover: end\n', `${lines}a # bindery-recover: begin\n# bindery-recover: end\n`],
  ] as const) {
    const disk = await rootOf({ ...roots.openbsd, [path]: file(before, { mode: 0o640, uid: 7, gid: 8 }) })
    await plant(disk, { 'etc/.bindery-recover.new': 'left by a crash' })
    await installBootHook(disk, await hookFor(disk, 'openbsd'))
    assert.equal(await textOf(disk, path), after)
    const { mode, uid, gid } = (await disk.lstat(path)) ?? {}
    assert.deepEqual([mode, uid, gid], [0o640, 7, 8])
    assert.equal(await disk.lstat(relPath('etc/.bindery-recover.new')), undefined)
  }
})

test('a file that was made for the lines goes with them, unless something else has come into it', async () => {
  const path = relPath('etc/rc.securelevel')
  const disk = await rootOf(roots.openbsd)
  await installBootHook(disk, await hookFor(disk, 'openbsd'))
  assert.equal((await disk.lstat(path))?.mode, 0o644)
  assert.deepEqual(await removeBootHook(disk), [])
  assert.equal(await disk.lstat(path), undefined)
  await installBootHook(disk, await hookFor(disk, 'openbsd'))
  const installed = await textOf(disk, path)
  await disk.unlink(path)
  await plant(disk, { [path]: file(`${installed}more\n`, { mode: 0o600 }) })
  assert.deepEqual(await removeBootHook(disk), [])
  assert.equal(await textOf(disk, path), 'more\n')
  assert.equal((await disk.lstat(path))?.mode, 0o600)
  const empty = await rootOf({ ...roots.openbsd, [path]: '' })
  await installBootHook(empty, await hookFor(empty, 'openbsd'))
  await removeBootHook(empty)
  assert.equal(await textOf(empty, path), '')
})

test('lines that somebody changed stay, and are told; those that are gone are gone', async () => {
  const path = relPath('etc/rc.securelevel')
  for (const [content, left] of [
    ['# bindery-recover: begin\nmine\n# bindery-recover: end\n', [path]],
    ['nothing of it\n', []],
    [undefined, []],
  ] as const) {
    const disk = await rootOf(roots.openbsd)
    await installBootHook(disk, await hookFor(disk, 'openbsd'))
    await disk.unlink(path)
    if (content !== undefined) await plant(disk, { [path]: content })
    assert.deepEqual(await removeBootHook(disk), left)
    assert.equal((await disk.lstat(path)) === undefined ? undefined : await textOf(disk, path), content)
    assert.equal(await readBootHook(disk), undefined)
  }
})

test('of a hook that was taken apart, the rest goes without a word', async () => {
  for (const gone of [[unit], [wanted], [wanted, parentPath(relPath(wanted))]]) {
    const disk = await rootOf(roots.systemd)
    await installBootHook(disk, await hookFor(disk, 'systemd'))
    for (const path of gone) await (path.endsWith('.service') ? disk.unlink(relPath(path)) : disk.rmdir(relPath(path)))
    assert.deepEqual(await removeBootHook(disk), [])
    assert.ok(!(await treeOf(disk)).includes('bindery-recover'))
  }
  assert.deepEqual(await removeBootHook(await rootOf(roots.systemd)), [])
})

test('a hook for another system takes the place of the first, and a mode that somebody set is mended', async () => {
  const disk = await rootOf({ ...roots.openbsd, ...roots.systemd, ...roots.netbsd, 'etc/rc.securelevel': 'theirs\n' })
  await installBootHook(disk, await hookFor(disk, 'systemd'))
  await installBootHook(disk, await hookFor(disk, 'openbsd'))
  assert.match(await textOf(disk, 'etc/rc.securelevel'), /recover --boot/)
  await installBootHook(disk, await hookFor(disk, 'netbsd'))
  assert.equal(await disk.lstat(relPath(unit)), undefined)
  assert.equal(await textOf(disk, 'etc/rc.securelevel'), 'theirs\n')
  const script = relPath('etc/rc.d/bindery_recover')
  await disk.chmod(script, 0o600)
  await installBootHook(disk, await hookFor(disk, 'netbsd'))
  assert.equal((await disk.lstat(script))?.mode, 0o555)
  assert.deepEqual(await removeBootHook(disk), [])
  assert.equal(await disk.lstat(script), undefined)
})

test('other things beside a link of the hook stay, and folders that came with it and are used', async () => {
  const disk = await rootOf(roots.systemd)
  await installBootHook(disk, await hookFor(disk, 'systemd'))
  const wants = 'etc/systemd/system/sysinit.target.wants'
  await plant(disk, { [`${wants}/other.service`]: symlink('../other.service'), [`${wants}/file`]: 'x' })
  await removeBootHook(disk)
  assert.deepEqual((await disk.readdir(relPath(wants))).toSorted(), ['file', 'other.service'])
})

test('a link that insserv has renumbered is taken away as well', async () => {
  const disk = await rootOf(roots.sysv)
  const before = await treeOf(disk)
  await installBootHook(disk, await hookFor(disk, 'sysv'))
  assert.equal(await disk.readlink(relPath('etc/rcS.d/S11bindery-recover')), '../init.d/bindery-recover')
  await disk.rename(relPath('etc/rcS.d/S11bindery-recover'), relPath('etc/rcS.d/S13bindery-recover'))
  await installBootHook(disk, await hookFor(disk, 'sysv'))
  assert.equal(await disk.lstat(relPath('etc/rcS.d/S11bindery-recover')), undefined)
  await removeBootHook(disk)
  assert.equal((await treeOf(disk)).includes('bindery'), before.includes('bindery'))
})

test('a record that leads out of the root, or says what no record says, is refused', () => {
  const record = (...lines: readonly string[]): Uint8Array => new TextEncoder().encode(`${['bindery-boot-hook 1', ...lines].join('\n')}\n`)
  const digest = 'a'.repeat(64)
  assert.equal(decodeBootHook(record('system netbsd', 'made etc', `file ${digest} etc/x`)).parts.length, 1)
  for (const lines of [
    [],
    ['system plan9'],
    ['system netbsd', `file ${digest} ../x`],
    ['system netbsd', 'made /etc'],
    ['system netbsd', `file ${digest.slice(1)} etc/x`],
    ['system netbsd', 'link etc/x'],
    ['system netbsd', `file ${digest} etc/x`, 'made etc'],
  ])
    assert.throws(() => decodeBootHook(record(...lines)), { code: 'bad-format' }, lines.join())
})

describe('judged by the systems’ own rules', () => {
  test('systemd takes the unit as it is', needs('systemd-analyze'), async () => {
    await inTemporary(async (folder) => {
      const unit = join(folder, 'bindery-recover.service')
      copyFileSync('share/boot/systemd', unit)
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
      assert.deepEqual([status, stderr], [0, ''])
    })
  })

  test('sh reads the scripts, and shellcheck finds nothing', needs('dash', 'mksh', 'shellcheck'), () => {
    for (const system of bootSystems.filter((one) => one !== 'systemd')) {
      for (const shell of ['dash', 'mksh']) assert.equal(spawnSync(shell, ['-n', `share/boot/${system}`]).status, 0)
      // What rc.subr reads of a script, it does not read itself; its own place is no file here.
      const { stdout } = spawnSync('shellcheck', ['-s', 'sh', '-e', 'SC1091,SC2034', `share/boot/${system}`], { encoding: 'utf8' })
      assert.equal(stdout, '')
    }
  })

  test('the headers that rcorder and insserv read are theirs', () => {
    const headers = (system: BootSystem, pattern: RegExp): Readonly<Record<string, string>> =>
      Object.fromEntries(
        [...readFileSync(`share/boot/${system}`, 'utf8').matchAll(pattern)].map(([, key = '', value = '']) => [key, value.trim()]),
      )
    const rcorder = /^# (PROVIDE|REQUIRE|BEFORE|KEYWORD): (.*)$/gm
    assert.deepEqual(headers('freebsd', rcorder), { PROVIDE: 'bindery_recover', REQUIRE: 'FILESYSTEMS', BEFORE: 'ldconfig NETWORKING' })
    assert.deepEqual(headers('dragonfly', rcorder), {
      PROVIDE: 'bindery_recover',
      REQUIRE: 'FILESYSTEMS mountcritlocal',
      BEFORE: 'NETWORKING',
    })
    assert.deepEqual(headers('netbsd', rcorder), { PROVIDE: 'bindery_recover', REQUIRE: 'mountcritremote', BEFORE: 'sysdb SERVERS' })
    const lsb = headers('sysv', /^# ([A-Z][A-Za-z-]+):(.*)$/gm)
    assert.deepEqual(
      [lsb['Provides'], lsb['Required-Start'], lsb['Default-Start'], lsb['Default-Stop']],
      ['bindery-recover', '$local_fs', 'S', ''],
    )
  })
})

describe('at a start', { ...needs('busybox', 'chroot'), ...needsRoot() }, () => {
  /** As rc.subr(8) documents it, for a script that has a start_cmd. */
  const rcSubr = 'load_rc_config() { :; }\nrun_rc_command() { [ "$1" = faststart ] && $start_cmd; }\n'
  const calls: Readonly<Record<Exclude<BootSystem, 'systemd'>, string>> = {
    openbsd: 'sh /etc/rc.securelevel',
    freebsd: '(set faststart; . /usr/local/etc/rc.d/bindery_recover)',
    netbsd: '(set faststart; . /etc/rc.d/bindery_recover)',
    dragonfly: '(set faststart; . /etc/rc.d/bindery_recover)',
    sysv: '/etc/rcS.d/S11bindery-recover start',
  }

  for (const [system, call] of Object.entries(calls) as [Exclude<BootSystem, 'systemd'>, string][]) {
    test(`${system} runs the program once it is there`, async () => {
      await inTemporary(async (folder) => {
        const put = (path: string, text: string, mode = 0o644): void => {
          mkdirSync(dirname(join(folder, path)), { recursive: true })
          writeFileSync(join(folder, path), text)
          chmodSync(join(folder, path), mode)
        }
        put('etc/rc.subr', rcSubr)
        mkdirSync(join(folder, 'bin'))
        copyFileSync(resolve('/bin/busybox'), join(folder, 'bin/sh'))
        for (const part of (await hookFor(await rootOf(roots[system]), system)).parts) {
          if (part.kind !== 'link') put(part.path, part.text, part.mode)
          else {
            mkdirSync(dirname(join(folder, part.path)))
            symlinkSync(part.target, join(folder, part.path))
          }
        }
        const start = (): string => spawnSync('chroot', [folder, '/bin/sh', '-c', call], { encoding: 'utf8' }).stdout
        assert.equal(start(), '')
        put('var/db/bindery/recover', 'echo "called with $*"\n', 0o700)
        assert.equal(start(), 'called with --boot\n')
      })
    })
  }
})
