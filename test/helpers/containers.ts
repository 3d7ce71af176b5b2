import { execFileSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { concatBytes } from '../../src/base/bytes.ts'
import { applyContainerDelta } from '../../src/engine/delta/container/apply.ts'
import { makeOpened, openSides } from '../../src/engine/delta/container/make.ts'
import { digestStream } from '../../src/base/digest.ts'
import { loadLiblzma } from '../../src/host/liblzma.ts'
import { sourceOf, whole } from './delta.ts'
import { inTemporary } from './temporary.ts'
import type { Verified } from '../../src/base/verified.ts'
import type { DeltaSide } from '../../src/format/delta.ts'

const usual = { memory: 768 << 20, loadXz: loadLiblzma }

/** Opened whether that is smaller or not; undefined where nothing is opened. */
export async function containerDelta(old: Uint8Array, next: Uint8Array): Promise<Uint8Array | undefined> {
  const sides = await openSides(old, next, loadLiblzma, undefined)
  const made = sides && (await makeOpened(sides, { old, new: next, effort: 2, explains: false }))
  return made && concatBytes(made.parts)
}

export async function patchedContainer(delta: Uint8Array, old: Uint8Array, options = usual): Promise<Uint8Array> {
  const checked = { value: await digestStream(sourceStream(old)) } as Verified<DeltaSide>
  return await whole(applyContainerDelta(sourceOf(delta), { source: sourceOf(old), checked }, options))
}

async function* sourceStream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

export type Sample = { readonly name: string; readonly old: Uint8Array; readonly next: Uint8Array }

const texts = globSync('node_modules/typescript/lib/lib.es2015*.d.ts').toSorted()

const ways: readonly (readonly [name: string, command: string])[] = [
  ['tgz', 'tar --mtime=@0 -cf - -C SIDE . | gzip -9n'],
  ['zip', 'cd SIDE && touch -d @0 * && zip -qX - *'],
  ['xz', 'cat SIDE/* | xz -0'],
  ['xz in blocks', 'cat SIDE/* | xz -0 -T2 --block-size=20000'],
  ['bzip2', 'cat SIDE/* | bzip2 -1'],
  ['zip in ar', '(cd SIDE && touch -d @0 * && zip -qX - *) >SIDE.zip && rm -f x.a && ar rcD x.a SIDE.zip && cat x.a'],
]

/** Small containers of two versions of some texts. */
export async function containerSamples(): Promise<readonly Sample[]> {
  return await inTemporary(async (folder) => {
    for (const side of ['old', 'new']) execFileSync('mkdir', [join(folder, side)])
    for (const path of texts) {
      const text = readFileSync(path, 'utf8')
      writeFileSync(join(folder, 'old', basename(path)), text)
      writeFileSync(join(folder, 'new', basename(path)), text.replace('interface', 'class'))
    }
    const make = (command: string, side: string): Uint8Array =>
      new Uint8Array(
        execFileSync('bash', ['-euo', 'pipefail', '-c', command.replaceAll('SIDE', side)], {
          cwd: folder,
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      )
    return ways.map(([name, command]) => ({ name, old: make(command, 'old'), next: make(command, 'new') }))
  })
}
