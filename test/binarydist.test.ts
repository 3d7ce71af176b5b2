import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { needs } from './helpers/programs.ts'

/** share/binarydist/binarydist with builds that write a few files, under every sh that there is. */

const work = mkdtempSync(join(tmpdir(), 'bindery-binarydist-'))
after(() => rmSync(work, { recursive: true }))

const script = resolve('share/binarydist/binarydist')
const at = (...names: readonly string[]): string => join(work, ...names)

const shells: Readonly<Record<string, readonly string[]>> = {
  sh: ['sh'],
  dash: ['dash'],
  busybox: ['busybox', 'ash'],
  bash: ['bash', '--posix'],
  ksh: ['ksh'],
  mksh: ['mksh'],
}

/** What is built is what the variable `content` says. */
const functions = `
build_world() { echo "$content" >"$out/world"; }
install_world() { mkdir -p "$1/bin" "$1/var/db"; cp "$out/world" "$1/bin/sh"; }
build_kernel() { [ "$1" != BROKEN ] || return 3; echo "$1 $content" >"$out/$1"; }
install_kernel() { mkdir -p "$2/boot/kernel" "$2/var/db"; cp "$out/$1" "$2/boot/kernel/kernel"; }
`

type Result = { readonly status: number | null; readonly out: string; readonly talk: string }

function run([program, ...args]: readonly string[], env: Readonly<Record<string, string>> = {}): Result {
  const child = spawnSync(program as string, args, { cwd: work, encoding: 'utf8', env: { ...process.env, ...env } })
  return { status: child.status, out: child.stdout, talk: child.stderr }
}

/** A directory for one test with its configuration, and a bindery that only says what it was asked. */
function setUp(name: string, lines: string): { readonly conf: string; readonly path: (...names: readonly string[]) => string } {
  mkdirSync(at(name, 'out'), { recursive: true })
  writeFileSync(at(name, 'bindery'), '#!/bin/sh\necho "$*"\n')
  chmodSync(at(name, 'bindery'), 0o755)
  const usual = ['revision=1.0', 'date=20260101', 'arch=amd64', `work=${at(name, 'work')}`, 'repo=repo', 'keys=keys', 'content=one']
  writeFileSync(at(name, 'conf'), [...usual, `bindery=${at(name, 'bindery')}`, `out=${at(name, 'out')}`, functions, lines, ''].join('\n'))
  return { conf: `${name}/conf`, path: (...names) => at(name, ...names) }
}

for (const [name, shell] of Object.entries(shells)) {
  describe(`under ${shell.join(' ')}`, () => {
    const installed = needs(shell[0] as string)

    test('the system and each kernel are built, installed, cut, and then published', installed, () => {
      const { conf, path } = setUp(`${name}-all`, "kernels='GENERIC ROUTER'")
      const { status, out, talk } = run([...shell, script, conf])
      assert.deepEqual({ status, talk }, { status: 0, talk: '' })
      const dist = (product: string): string => path('work/dists', `${product}-1.0-20260101-amd64.tar.zst`)
      const cutting = (product: string): readonly string[] => [
        `binarydist: building ${product}`,
        `binarydist: installing ${product}`,
        `binarydist: cutting ${product}`,
        `cut ${path('work/dest', product)} -o ${dist(product)} --product ${product} --revision 1.0 --date 20260101 --arch amd64`,
      ]
      const publishing = (product: string, reboot: string): readonly string[] => [
        `binarydist: publishing ${product}`,
        `publish -r repo -k keys --reboot ${reboot} ${dist(product)}`,
      ]
      assert.deepEqual(out.trimEnd().split('\n'), [
        ...['base', 'kernel-GENERIC', 'kernel-ROUTER'].flatMap(cutting),
        ...publishing('base', 'restart'),
        ...publishing('kernel-GENERIC', 'reboot'),
        ...publishing('kernel-ROUTER', 'reboot'),
      ])
      assert.equal(readFileSync(path('work/dest/kernel-ROUTER/boot/kernel/kernel'), 'utf8'), 'ROUTER one\n')
    })

    test('one product alone, and nothing left in its directory of an earlier run', installed, () => {
      const { conf, path } = setUp(`${name}-one`, "kernels='GENERIC ROUTER'")
      mkdirSync(path('work/dest/kernel-ROUTER/old'), { recursive: true })
      const { status, out } = run([...shell, script, conf, 'kernel-ROUTER'])
      assert.equal(status, 0)
      assert.doesNotMatch(out, /base|GENERIC/)
      assert.equal(existsSync(path('work/dest/kernel-ROUTER/old')), false)
    })

    test('a build that fails ends the run before anything is published', installed, () => {
      const { conf } = setUp(`${name}-broken`, "kernels='GENERIC BROKEN'")
      const { status, out, talk } = run([...shell, script, conf])
      assert.deepEqual([status, talk], [3, 'binarydist: failed while building kernel-BROKEN; what is published is complete\n'])
      assert.doesNotMatch(out, /publish/)
    })

    test('a command in the middle of a function that fails ends the run', installed, () => {
      const { conf } = setUp(`${name}-middle`, 'install_world() {\n  false\n  true\n}')
      const { status, out } = run([...shell, script, conf])
      assert.equal(status, 1)
      assert.doesNotMatch(out, /cutting/)
    })

    test('what is missing or unknown is told, and nothing is done', installed, () => {
      const refused = (lines: string, said: string, ...products: readonly string[]): void => {
        const { conf, path } = setUp(`${name}-refused`, lines)
        assert.deepEqual(run([...shell, script, conf, ...products]), {
          status: 1,
          out: '',
          talk: `binarydist: ${said.replace('CONF', conf)}\n`,
        })
        assert.equal(existsSync(path('work')), false)
      }
      refused('revision=', 'CONF: revision is not set')
      refused('work=', 'CONF: work must be an absolute path')
      refused('work=/', 'CONF: work must be an absolute path')
      refused('work=here', 'CONF: work must be an absolute path')
      refused('kernels=GENERIC', 'kernel-X: no such product; there are base kernel-GENERIC', 'base', 'kernel-X')
      assert.deepEqual(run([...shell, script, 'nothing']), { status: 1, out: '', talk: 'binarydist: nothing: cannot be read\n' })
      assert.deepEqual(run([...shell, script]), { status: 2, out: '', talk: 'usage: binarydist CONF [PRODUCT ...]\n' })
    })
  })
}

test('two releases with two kernels reach a machine that follows one of them', () => {
  const { path } = setUp('road', '')
  const bindery = resolve('bin/bindery')
  const good = (...words: readonly string[]): string => {
    const { status, out, talk } = run(words)
    assert.equal(status, 0, `${words.join(' ')}\n${talk}`)
    return out
  }
  const release = (revision: string): void => {
    const more = [`bindery=${bindery}`, `revision=${revision}`, `content='the ${revision}'`, `repo=${path('repo')}`, `keys=${path('keys')}`]
    setUp('road', [...more, "kernels='GENERIC ROUTER'"].join('\n'))
    good(script, 'road/conf')
  }
  good(bindery, 'init', '-r', path('repo'), '-k', path('keys'), '--no-passphrase')
  release('1.0')
  good('cp', '-a', path('work/dest/base'), path('machine'))
  good('cp', '-a', path('work/dest/kernel-ROUTER/boot'), path('machine/boot'))
  const client = [bindery, '-q', '-C', path('machine')]
  const channels = ['base/amd64', 'kernel-ROUTER/amd64']
  good(...client, 'enroll', `file://${path('repo')}/`, path('repo/metadata/1.root.json'), ...channels)
  release('1.1')
  good(...client, 'install')
  const read = (file: string): string => readFileSync(path('machine', file), 'utf8')
  assert.equal(read('bin/sh'), 'the 1.1\n')
  assert.equal(read('boot/kernel/kernel'), 'ROUTER the 1.1\n')
  assert.equal(read('boot/kernel.old/kernel'), 'ROUTER the 1.0\n')
  good(...client, 'audit', '--extra')
  good(...client, 'rollback', '--steps', '2')
  assert.equal(read('boot/kernel/kernel'), 'ROUTER the 1.0\n')
  assert.equal(existsSync(path('machine/boot/kernel.old')), false)
})

test('shellcheck has nothing to say', needs('shellcheck'), () => {
  assert.deepEqual(run(['shellcheck', script]), { status: 0, out: '', talk: '' })
  assert.deepEqual(run(['shellcheck', '-s', 'sh', '-e', 'SC2034', resolve('share/binarydist/binarydist.conf')]), {
    status: 0,
    out: '',
    talk: '',
  })
})
