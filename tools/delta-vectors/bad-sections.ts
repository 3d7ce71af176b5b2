import { concatBytes, emptyBytes } from '../../src/base/bytes.ts'
import { streamOf, varint, withStreams } from '../../test/helpers/delta-parts.ts'
import { numbersIn } from './bad.ts'
import type { BatchParts } from '../../test/helpers/delta-parts.ts'
import type { BadMaker } from './bad.ts'

const [image, gnu, dressed] = ['image-x86-64', 'gzip-gnu-9', 'gzip-dressed']
const same = (batch: BatchParts): BatchParts => batch
const set = (at: number, value: number) => (bytes: Uint8Array) => bytes.with(at, value)
const more = (bytes: Uint8Array): Uint8Array => concatBytes([bytes, Uint8Array.of(1)])

/** Images and gzip files. */
export function badSections(maker: BadMaker): void {
  badImages(maker)
  badImageStreams(maker)
  badGzips(maker)
  badRecipes(maker)
  badCorrections(maker)
}

function badImages({ batch, section, sampleOf }: BadMaker): void {
  section('section-coding', image, 'a coding of a later version', 0, 4)
  section('section-of-none', image, 'a section that makes nothing', 1, 0)
  section('section-size', image, 'sections that do not add up', 1, 9945)
  section('section-before', image, 'old bytes that begin before the old side', 2, 1)
  section('section-behind', image, 'old bytes that end behind the old side', 2, 8)
  section('section-literals', 'plain-literals-x86-64', 'fewer literals than the image has', 4, 1)
  batch('section-window', image, 'more old bytes than the window holds', same, { window: varint(4096) })
  section('image-small', image, 'an old image of less than 4096 bytes', 3, 4095)
  batch('image-memory', image, 'more memory than the header says', same, { codingMemory: varint(1000) })
  batch(
    'image-none',
    'page',
    'an image from what is none',
    ({ newSize }) =>
      withStreams(
        { newSize, streams: [] },
        { sections: varint(1, newSize, 0, sampleOf('page').old.length), images: Uint8Array.of(1), imageChanges: Uint8Array.of(1) },
      ),
    { codingMemory: varint(1 << 26) },
  )
}

function badImageStreams({ stream }: BadMaker): void {
  for (const name of ['images', 'imageChanges'] as const) {
    stream(`${name}-left`, image, `more ${name} than there is use for`, name, (bytes) => concatBytes([bytes, new Uint8Array(5)]))
    stream(`${name}-cut`, image, `${name} that end early`, name, (bytes) => bytes.subarray(0, bytes.length >> 1))
    stream(`${name}-other`, image, `${name} that make something else`, name, set(3, 0x55))
  }
  stream('images-unused', 'fox', 'range-coded bits without an image', 'images', () => Uint8Array.of(1, 2, 3))
  stream('plain-literals-other', 'plain-literals-x86-64', 'other literals: the digest finds it', 'literals', (bytes) =>
    bytes.map((byte) => byte ^ 1),
  )
  stream('plain-literals-missing', 'plain-literals-x86-64', 'no literals for coding 3', 'literals', () => emptyBytes)
  stream('plain-literals-left', 'plain-literals-x86-64', 'more literals than coding 3 takes', 'literals', more)
}

function badGzips({ batch, section }: BadMaker): void {
  section('gzip-old-content', gnu, 'another size of the old content', 4, 1000)
  section('gzip-content', gnu, 'another size of the new content', 5, 1000)
  section('gzip-recipe-size', gnu, 'a recipe that is longer than its stream', 6, 7)
  section('gzip-old-size', gnu, 'old bytes that are cut', 3, 4000)
  batch('gzip-memory', gnu, 'more memory than the header says', same, { codingMemory: varint(1000) })
  section('gzip-none', gnu, 'an old file that is no gzip file: it begins too early', 2, 2)
}

function badRecipes({ stream }: BadMaker): void {
  stream('recipes-left', gnu, 'recipes that nobody takes', 'recipes', more)
  stream('recipe-version', gnu, 'a later version of recipes', 'recipes', set(0, 2))
  stream('recipe-flags', gnu, 'flags of a recipe that nobody knows', 'recipes', set(1, 64))
  stream('recipe-family', gnu, 'rules of no family', 'recipes', set(2, 0x39))
  stream('recipe-level', gnu, 'rules of no level', 'recipes', set(2, 0))
  stream('recipe-other-rules', gnu, 'other rules: the file has another size', 'recipes', set(2, 1))
  stream('recipe-header', gnu, 'bits of FLG that there are not', 'recipes', set(3, 0x20))
  stream('recipe-tail', gnu, 'a tail that is not there', 'recipes', set(1, 32))
  stream('recipe-both', gnu, 'another member and a tail', 'recipes', set(1, 48))
  stream('recipe-time', dressed, 'a time of zero', 'recipes', (bytes) =>
    concatBytes([bytes.subarray(0, 6), new Uint8Array(4), bytes.subarray(10)]),
  )
}

/** Recipes of their own. */
function badCorrections({ batch }: BadMaker): void {
  const recipe = (name: string, what: string, flags: number, ...bytes: readonly number[]): void => {
    const recipes = Uint8Array.of(1, flags, 9, 0, 2, 3, ...bytes)
    batch(name, gnu, what, (batch) => {
      const sections = varint(...numbersIn(streamOf(batch, 'sections')).slice(0, -1), recipes.length)
      return withStreams(batch, { recipes, sections })
    })
  }
  recipe('exceptions-none', 'exceptions, but none', 4, 0)
  recipe('exceptions-many', 'more exceptions than bytes', 4, 100)
  recipe('exception-type', 'a block of type 3', 4, 1, 0, 0, 3)
  recipe('exception-kind', 'a kind with a bit that there is not', 4, 1, 0, 0, 32)
  recipe('exception-head', 'a head of a fixed block', 4, 1, 0, 0, 17, 0)
  recipe('exception-final', 'the last block before the end of the content', 4, 1, 0, 0, 12, 5)
  recipe('exception-left', 'an exception for a block that there is not', 4, 1, 99, 0, 1)
  recipe('exception-stored', 'a stored block of more than 65,535 bytes', 4, 1, 0, 0, 8, 128, 128, 4)
  recipe('exception-behind', 'a stored block that reaches behind the content', 4, 1, 0, 0, 8, 255, 255, 3)
  recipe('exception-repeated', 'an empty block that is repeated', 4, 1, 0, 1, 9, 0)
  recipe('exception-tokens', 'a block of more tokens than there are', 4, 1, 0, 0, 10, 255, 255, 1)
  recipe('exception-broken-head', 'a head that is none', 4, 1, 0, 0, 18, 3, 255, 255, 255)
  recipe('corrections-none', 'corrections, but none', 8, 0)
  recipe('correction-left', 'a correction of a token that there is not', 8, 1, 255, 255, 255, 1, 0)
  recipe('correction-long', 'a match of 259 bytes', 8, 1, 0, 129, 2, 1)
  recipe('correction-far', 'a match that begins before the content', 8, 1, 0, 1, 1)
  recipe('correction-hops', 'a match that the chain does not have', 8, 1, 100, 1, 254, 255, 3)
}
