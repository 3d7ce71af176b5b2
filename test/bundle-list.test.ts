import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs } from './helpers/programs.ts'
import { folderInMemory } from './helpers/temporary.ts'

/** The signed list of bundles: renewed by `refresh`, and what leads to dropped releases goes with `prune`. */
const work = folderInMemory('bindery-list-')
after(() => rmSync(work, { recursive: true }))

function sh(script: string, wanted = 0): void {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  const { status, stderr } = spawnSync('bash', ['-euc', script], { cwd: work, env })
  assert.equal(status, wanted, `${script}\n${stderr.toString()}`)
}

const index = (): string => readFileSync(globSync(join(work, 'repo/bundles/index.*')).sort().at(-1) as string, 'utf8')
const numberOf = (key: string): number => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(index())?.[1])

describe('the list of bundles', needs('signify-openbsd'), () => {
  before(() => {
    sh(`bindery init -r repo -k keys --no-passphrase && bindery keygen --no-passphrase -p bundles.pub -s bundles.sec && bindery keygen --no-passphrase -p other.pub -s other.sec
      for n in 1 2 3; do
        mkdir R$n && echo $n >R$n/file && bindery cut R$n -o r.tar.zst --product base --revision 1.$n --date 20260101 --arch amd64 && bindery publish -r repo -k keys r.tar.zst
        [ $n = 1 ] || bindery bundle -r repo -s bundles.sec --expires 30 base/amd64
      done
      bindery bundle -r repo -s bundles.sec --expires 30 --from base-1.1-20260101-amd64 --format bsdiff base/amd64`)
  })
  const verify = 'cd repo/bundles && signify-openbsd -C -q -p ../../bundles.pub -x ../SHA256.sig *.sh'

  test('is renewed by refresh, for as long as it was good before', () => {
    const before = numberOf('serial')
    sh('bindery refresh -r repo -k keys && bindery refresh -r repo -k keys -s bundles.sec')
    assert.ok(numberOf('serial') > before)
    assert.ok(Math.abs(numberOf('expires') - Date.now() / 1000 - 30 * 86_400) < 3600)
    sh(verify)
    sh('bindery refresh -r repo -k keys -s other.sec', 3)
  })

  test('loses what leads to a dropped release', () => {
    const names = (): readonly string[] => globSync('*.sh', { cwd: join(work, 'repo/bundles') }).sort()
    const [first, second, third] = ['1.1', '1.2', '1.3'].map((revision) => `base-${revision}-20260101-amd64`)
    assert.deepEqual(names(), [
      `${first}_to_${second}.sh`,
      `${first}_to_${third}.bsdiff.sh`,
      `${first}_to_${third}.sh`,
      `${second}_to_${third}.sh`,
    ])
    sh('bindery prune -r repo -k keys --keep 1')
    assert.equal(names().length, 4)
    sh('bindery prune -r repo -k keys -s bundles.sec --keep 1')
    assert.deepEqual(names(), [`${first}_to_${third}.bsdiff.sh`, `${first}_to_${third}.sh`, `${second}_to_${third}.sh`])
    sh(verify)
    assert.equal(
      index()
        .split('\n')
        .filter((line) => /^(bundle|bsdiff) /.test(line)).length,
      3,
    )
    sh('bindery fsck -r repo')
  })
})
