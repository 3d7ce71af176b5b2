import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { judgeNoise } from '../src/engine/capture/noise/judge.ts'
import { hostDisk } from '../src/host/disk.ts'
import { relPath } from './helpers/plant.ts'
import { needs } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Verdict } from '../src/engine/capture/noise/judge.ts'

const program = `
#include <stdio.h>
static const char stamp[] = "release 7, built " __DATE__ " at " __TIME__;
static char buffer[64] = "on " __DATE__;
int answer(int x) { return 6 * x; }
int main(void) { puts(stamp); puts(buffer); return answer(7); }
`

const dates = { shipped: '2025-05-07 01:02:03', first: '2026-11-28 14:06:37', second: '2028-01-03 03:17:50' } as const
type Built = keyof typeof dates
const all = Object.keys(dates) as readonly Built[]

/** Runs `script` in a folder for each build, with `$date` and the sources in it; then what it made is judged. */
async function judgedBuilds(
  script: string,
  sources: (built: Built) => Readonly<Record<string, string>>,
  paths: readonly string[],
): Promise<readonly (readonly [string, Verdict])[]> {
  return await inTemporary(async (folder) => {
    for (const built of all) {
      const cwd = join(folder, built)
      mkdirSync(cwd)
      for (const [name, text] of Object.entries(sources(built))) writeFileSync(join(cwd, name), text)
      const date = dates[built]
      const env = { ...process.env, date, SOURCE_DATE_EPOCH: String(Date.parse(`${date}Z`) / 1000), TZ: 'UTC', LC_ALL: 'C' }
      execFileSync('sh', ['-ec', script], { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] })
    }
    const [shipped, first, second] = all.map((built) => hostDisk(join(folder, built))) as [never, never, never]
    const verdicts = paths.map(async (path) => [path, await judgeNoise(relPath(path), { shipped, first, second })] as const)
    return await Promise.all(verdicts)
  })
}

function kinds(verdicts: readonly (readonly [string, Verdict])[]): readonly string[] {
  return verdicts.map(([path, verdict]) => {
    if (verdict.kind === 'real') return `${path}: ${verdict.because}`
    return `${path}: ${[...verdict.noise.formats, ...(verdict.noise.kind === 'stamps' ? ['stamps'] : [])].join()}`
  })
}

const compile = 'gcc -O1 -g -fdebug-prefix-map=$PWD=/usr/src -o prog prog.c; gcc -O1 -o stripped -s prog.c; gcc -O1 -c prog.c'
const compiled = ['prog', 'stripped', 'prog.o']

test('programs that hold their date, with a build id and without', needs('gcc'), async () => {
  const verdicts = await judgedBuilds(compile, () => ({ 'prog.c': program }), compiled)
  assert.deepEqual(kinds(verdicts), ['prog: stamps', 'stripped: stamps', 'prog.o: stamps'])
})

test('one constant, one word beside the date: a real change', needs('gcc'), async () => {
  for (const change of [(text: string) => text.replace('6 * x', '5 * x'), (text: string) => text.replace('release 7', 'release 8')]) {
    const source = (built: Built): string => (built === 'shipped' ? program : change(program))
    const verdicts = await judgedBuilds(compile, (built) => ({ 'prog.c': source(built) }), compiled)
    assert.deepEqual(kinds(verdicts), ['prog: beside stamps', 'stripped: beside stamps', 'prog.o: beside stamps'])
  }
})

test('a program whose symbols are in a file of their own', needs('gcc', 'objcopy'), async () => {
  const script = `${compile}; objcopy --only-keep-debug prog prog.debug; objcopy -S --add-gnu-debuglink=prog.debug prog`
  assert.deepEqual(kinds(await judgedBuilds(script, () => ({ 'prog.c': program }), ['prog'])), ['prog: stamps'])
})

test('archives of ar, of members that hold their date and others', needs('gcc', 'ar', 'ranlib'), async () => {
  const script = `gcc -c prog.c plain.c; touch -d "$date" *.o; ar rcU plain.a plain.o; ar rcU both.a prog.o plain.o; ranlib -U both.a`
  const plain = 'int plain(void) { return 1; }\n'
  const paths = ['plain.a', 'both.a']
  assert.deepEqual(kinds(await judgedBuilds(script, () => ({ 'prog.c': program, 'plain.c': plain }), paths)), [
    'plain.a: ar',
    'both.a: ar,stamps',
  ])
  const changed = (built: Built): string => (built === 'shipped' ? plain : plain.replace('1', '2'))
  assert.deepEqual(kinds(await judgedBuilds(script, (built) => ({ 'prog.c': program, 'plain.c': changed(built) }), paths)), [
    'plain.a: built alike',
    'both.a: beside stamps',
  ])
})

test('gzip files, and manual pages within', needs('gzip', 'pod2man'), async () => {
  const script = `
    touch -d "$date" text page.pod
    gzip -k text
    echo "generated on $date" >stamped; gzip stamped
    mkdir -p man/man1
    pod2man page.pod >man/man1/page.1; cp man/man1/page.1 man/man1/packed.1; gzip man/man1/packed.1`
  const page = '=head1 NAME\n\npage - a page\n'
  const paths = ['text.gz', 'stamped.gz', 'man/man1/page.1', 'man/man1/packed.1.gz']
  assert.deepEqual(kinds(await judgedBuilds(script, () => ({ text: 'text\n', 'page.pod': page }), paths)), [
    'text.gz: gzip',
    'stamped.gz: gzip,stamps',
    'man/man1/page.1: man',
    'man/man1/packed.1.gz: gzip,man',
  ])
  const changed = (built: Built): string => (built === 'shipped' ? page : page.replace('a page', 'another'))
  const verdicts = await judgedBuilds(script, (built) => ({ text: changed(built), 'page.pod': changed(built) }), paths)
  assert.deepEqual(kinds(verdicts), [
    'text.gz: built alike',
    'stamped.gz: gzip,stamps',
    'man/man1/page.1: built alike',
    'man/man1/packed.1.gz: built alike',
  ])
})
