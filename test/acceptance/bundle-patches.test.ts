import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe } from 'node:test'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { isTurn, testsByDay } from '../helpers/whole-suite.ts'
import { assertSameTree } from './judge.ts'

/** A bundle of patches for bspatch(1), whose fall-back is the bundle of whole files beside it. */
const work = folderInMemory('bindery-patches-')
after(() => rmSync(work, { recursive: true }))

const whole = 'base-1.0-20260101-amd64_to_base-1.1-20260201-amd64.sh'
const patches = whole.replace('.sh', '.bsdiff.sh')

function run(script: string, wanted = 0, path = process.env['PATH'] ?? ''): string {
  const env = { ...process.env, PATH: `${resolve('bin')}:${path}` }
  const done = spawnSync('/bin/bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] })
  assert.equal(done.status, wanted, `${script}\n${done.stdout.toString()}${done.stderr.toString()}`)
  return done.stderr.toString()
}

function makeSite(): void {
  run(`mkdir -p OLD/bin OLD/etc OLD/lib OLD/var/db whole
    head -c 300000 /dev/urandom >OLD/bin/tool; head -c 200000 /dev/urandom >OLD/lib/part; seq 20000 >OLD/etc/numbers; echo a >OLD/etc/small
    : >OLD/etc/empty; head -c 50000 /dev/urandom >OLD/bin/filled; chmod 4755 OLD/bin/tool; ln OLD/lib/part OLD/lib/other
    find OLD -exec touch -h -d '2026-01-01 UTC' {} +
    cp -a OLD NEW
    { head -c 1000 OLD/bin/tool; echo inserted; tail -c +2000 OLD/bin/tool; } >NEW/bin/tool
    { cat OLD/lib/part; echo more; } >NEW/lib/part
    sed -i s/77/seventy-seven/ NEW/etc/numbers; echo b >NEW/etc/small; echo full >NEW/etc/empty; : >NEW/bin/filled; head -c 90000 /dev/urandom >NEW/bin/added
    bindery init -r repo -k keys --no-passphrase && bindery keygen --no-passphrase -p bundles.pub -s bundles.sec
    bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
    bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
    bindery publish -r repo -k keys a.tar.zst && bindery publish -r repo -k keys b.tar.zst
    bindery bundle -r repo --format bsdiff -s bundles.sec base/amd64
    cp repo/bundles/${patches} . && cp repo/bundles/${whole} whole && cp ${patches} whole`)
}

/** Another program in the place of bspatch, or none. */
function pathWith(bspatch: string | undefined): string {
  const folder = baseTools(join(work, 'tools'), 'dash', [])
  if (bspatch !== undefined) writeFileSync(join(folder, 'bspatch'), `#!/bin/sh\n${bspatch}\n`, { mode: 0o755 })
  return folder
}

if (isTurn(0))
  describe(
    'a bundle of patches',
    { ...needs('mtree', 'getfattr', 'setfattr', 'dash', 'busybox', 'bspatch', 'signify-openbsd'), ...needsRoot() },
    () => {
      before(makeSite)
      const road = testsByDay()

      road('is much smaller, and brings the same tree', async () => {
        assert.ok(statSync(join(work, patches)).size < statSync(join(work, 'whole', whole)).size / 2)
        for (const path of [
          baseTools(join(work, 'tools-dash'), 'dash', ['bspatch']),
          busyboxTools(join(work, 'tools-busybox'), ['bspatch']),
        ]) {
          run(`rm -rf root && cp -a OLD root && sh ${patches} -R root`, 0, path)
          await assertSameTree(join(work, 'root'), join(work, 'NEW'), path.endsWith('busybox') ? ['time'] : [])
          run(`sh ${patches} -R root rollback`, 0, path)
          await assertSameTree(join(work, 'root'), join(work, 'OLD'), path.endsWith('busybox') ? ['time'] : [])
          run('rm -r root')
        }
        run(
          `cmp <(bindery bundle -r repo --format bsdiff -o - base/amd64) ${patches} && cmp <(bindery bundle -r repo -o - base/amd64) whole/${whole}`,
        )
      })

      const bad: readonly (readonly [string, string | undefined])[] = [
        ['is missing', undefined],
        ['fails', 'exit 1'],
        ['makes nothing', 'exit 0'],
        ['makes something else', 'echo other >"$2"'],
        ['makes too much', 'cat /dev/zero >"$2"'],
        ['takes the old file', 'ln -f "$1" "$2"'],
        ['makes a link', 'ln -sf /etc/passwd "$2"'],
      ]
      road('where bspatch does not do its work nothing happens, or what the whole files make', async () => {
        run('rm -rf root && cp -a OLD root')
        for (const [name, script] of bad) {
          const told = run(`sh ${patches} -R root`, 1, pathWith(script))
          assert.match(told, new RegExp(`^bindery: install: .*\\nbindery: hint: ${whole}.*nothing was changed\\n$`), name)
          await assertSameTree(join(work, 'root'), join(work, 'OLD'))
          assert.ok(!existsSync(join(work, 'root/var/db/bindery')), name)
        }
        run(`sh whole/${patches} -R root`, 0, pathWith('echo other >"$2"'))
        await assertSameTree(join(work, 'root'), join(work, 'NEW'))
      })

      road('what was changed here comes whole beside, as bindery has it', async () => {
        run(`cp -a OLD mine && bindery -C mine enroll file://$PWD/repo/ repo/metadata/1.root.json base/amd64
      (cd mine && echo mine >>bin/tool && rm lib/other && echo mine >lib/other) && cp -a mine theirs`)
        run(`sh ${patches} -R mine`, 1)
        run(`sh whole/${patches} -R mine`, 6)
        run('bindery -C theirs install', 6)
        run('for root in mine theirs; do mv $root/var/db/bindery $root.state; touch -r OLD/var/db $root/var/db; done')
        await assertSameTree(join(work, 'mine'), join(work, 'theirs'))
      })

      road('a fall-back that is another file is none', async () => {
        mkdirSync(join(work, 'other'))
        run(
          `rm -rf root && cp -a OLD root && cp ${patches} other && { cat whole/${whole}; echo; } >other/${whole} && echo mine >root/bin/tool`,
        )
        run(`sh other/${patches} -R root`, 1)
        run(`test "$(cat root/bin/tool)" = mine && test ! -e root/var/db/bindery && rm -r root`)
      })

      road('bindery-sh takes it where there is bspatch, and the whole files where it does not do', async () => {
        mkdirSync(join(work, 'conf'))
        writeFileSync(
          join(work, 'conf/bindery-sh.conf'),
          `url file://${work}/repo\nkey /../bundles.pub\nchannel base/amd64 base-1.0-20260101-amd64\n`,
        )
        const client = `sh ${resolve('dist/bindery-sh')} -v -R root -f conf/bindery-sh.conf install`
        const without = baseTools(join(work, 'tools'), 'dash', ['signify-openbsd'])
        const having = baseTools(join(work, 'tools-patching'), 'dash', ['signify-openbsd', 'bspatch'])
        for (const [path, spoil, expected] of [
          [without, ':', /^(?!.*bsdiff)/s],
          [having, ':', /installing [^ ]*\.bsdiff\.sh\n(?!.*trying)/s],
          [having, 'echo mine >>root/bin/tool', /trying base-1\.0.*amd64\.sh/],
        ] as const) {
          run(`rm -rf root && cp -a OLD root && ${spoil}`)
          assert.match(run(client, spoil === ':' ? 0 : 6, path), expected)
          run(`rm -r root`)
        }
      })
    },
  )
