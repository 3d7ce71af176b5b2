import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { bindery } from '../harness.ts'
import { moveCode } from './move-code.ts'

/**
 * Three pairs made from what npm ci pins, the same on every machine: that deltas work, and have not grown. Exit status 1
 * where one is larger than its bound. When the engine gets better, lower the bounds to what this prints.
 */
const bounds = {
  /** A Rust library in which code has moved. */
  elf: 1269,
  /** A tar with another one and compressed texts, of which some have changed. */
  tree: 3606,
  /** The texts in a tar, in xz, in ar. */
  package: 2523,
}

const parser = 'node_modules/@oxc-parser/binding-linux-x64-gnu/parser.linux-x64-gnu.node'
const resolver = 'node_modules/@oxc-resolver/binding-linux-x64-gnu/resolver.linux-x64-gnu.node'

function main(): number {
  if (!existsSync('bin/bindery')) throw new Error('run it from the top of the project')
  if (!existsSync(parser) || !existsSync(resolver)) {
    process.stdout.write('SKIPPED: npm brings the two libraries on Linux with glibc and amd64 alone\n')
    return 0
  }
  const work = resolve('.cache/bench-delta-smoke')
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  makeElf(work)
  makeTree(work)
  makePackage(work)
  const grown = Object.entries(bounds).filter(([name, bound]) => !isWithin(name, deltaSize(work, name), bound))
  rmSync(work, { recursive: true })
  return grown.length > 0 ? 1 : 0
}

function makeElf(work: string): void {
  copyFileSync(parser, join(work, 'elf.old'))
  writeFileSync(join(work, 'elf.new'), moveCode(readFileSync(parser)))
}

/** Whoever makes it, and whenever. */
const canonical = '--sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@1700000000 --format=ustar'

function makeTree(work: string): void {
  const library = readFileSync(resolver)
  put(join(work, 'old/usr/lib/libresolver.so.1.0'), library)
  put(join(work, 'new/usr/lib/libresolver.so.1.1'), moveCode(library))
  const texts = globSync('node_modules/typescript/lib/lib.es20*.d.ts').toSorted()
  for (const [index, path] of texts.entries()) {
    const text = readFileSync(path, 'utf8')
    const name = `usr/share/doc/${basename(path)}.gz`
    put(join(work, 'old', name), zip(text))
    put(join(work, 'new', name), zip(index % 3 === 0 ? text : `${text.replaceAll('interface', 'class')}// ${index}\n`))
  }
  for (const side of ['old', 'new']) run(work, `tar ${canonical} -cf tree.${side} -C ${side} .`)
}

/** As Debian's packages are built, but for their control files. */
function makePackage(work: string): void {
  for (const side of ['old', 'new']) {
    run(
      work,
      `tar ${canonical} -C ${side} -cf - usr/share/doc | xz -6 -T2 >data.tar.xz && rm -f package.${side} && ar rcD package.${side} data.tar.xz`,
    )
  }
}

function put(path: string, content: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

/** As distributions compress their manual pages. */
function zip(text: string): Uint8Array {
  return execFileSync('gzip', ['-9n'], { input: text })
}

/** Makes it, applies it, compares. */
function deltaSize(work: string, name: string): number {
  run(work, `${bindery} delta ${name}.old ${name}.new -o ${name}.delta && ${bindery} patch ${name}.delta ${name}.old | cmp - ${name}.new`)
  return statSync(join(work, `${name}.delta`)).size
}

function run(work: string, command: string): void {
  execFileSync('bash', ['-o', 'pipefail', '-c', command], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] })
}

function isWithin(name: string, size: number, bound: number): boolean {
  const verdict = size > bound ? 'GROWN' : size < bound ? 'smaller: lower the bound' : 'as it was'
  process.stdout.write(`${name}: a delta of ${size} bytes, bound ${bound}: ${verdict}\n`)
  return size <= bound
}

process.exitCode = main()
