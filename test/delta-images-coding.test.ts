import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isBinderyError } from '../src/base/error.ts'
import { changeModel } from '../src/engine/delta/image/changes.ts'
import { codeCopies, copyModels } from '../src/engine/delta/image/copies.ts'
import { imageEncoder, matchImage } from '../src/engine/delta/image/encode.ts'
import { literalModel } from '../src/engine/delta/image/literals.ts'
import { newMixer } from '../src/engine/delta/image/mixer.ts'
import { codeNumber, codeSigned, codeSymbol, numberModel } from '../src/engine/delta/image/numbers.ts'
import { newModels, rangeDecoder, rangeEncoder } from '../src/engine/delta/image/range-coder.ts'
import { NumberSet, Targets } from '../src/engine/delta/image/targets.ts'
import { newScratch } from '../src/engine/delta/image/scratch.ts'
import { fieldOf, targetOf, withField, wordOf } from '../src/engine/delta/image/value.ts'
import { kinds } from '../src/engine/delta/image/reference.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { cases } from './helpers/whole-suite.ts'
import type { MatchedImage } from '../src/engine/delta/image/encode.ts'
import type { BinaryCoder } from '../src/engine/delta/image/range-coder.ts'

/** What `walk` codes and what it makes of it again, and how many bytes that took. */
function coded<T>(walk: (coder: BinaryCoder) => T): { readonly given: T; readonly size: number } {
  const encoder = rangeEncoder()
  const given = walk(encoder)
  const bytes = encoder.take()
  const decoder = rangeDecoder(bytes)
  assert.deepEqual(walk(decoder), given)
  decoder.finish()
  return { given, size: bytes.length }
}

/** Of a decoder another value: it must not matter. */
const asked = <T>(coder: BinaryCoder, value: T, other: T): T => (coder.isDecoder ? other : value)

const bits = fc.array(fc.record({ bit: fc.integer({ min: 0, max: 1 }), model: fc.nat({ max: 7 }) }), { maxLength: 3000 })
const edges = [0, 1, 2, 3, 7, 8, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1]
const anyNumber = fc.oneof(fc.constantFrom(...edges), fc.nat({ max: 300 }), fc.nat({ max: 2 ** 32 - 1 }))
const anySigned = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, -2, 2 ** 31 - 1, -(2 ** 31), 65_536, -65_537),
  fc.integer({ min: -300, max: 300 }),
  fc.integer(),
)

test('bits come back, with models that learn and with chances at their edges', () => {
  fc.assert(
    fc.property(bits, (list) => {
      coded((coder) => {
        const models = newModels(8)
        return list.map(({ bit, model }) => coder.bit(models, model, asked(coder, bit, 1 - bit)))
      })
      for (const chance of [16, 32_768, 65_504]) coded((coder) => list.map(({ bit }) => coder.bitOf(chance, asked(coder, bit, 0))))
    }),
    { numRuns: cases(200) },
  )
})

test('a chance that is right saves, one that is wrong costs, by as much as it should', () => {
  const same = Array.from({ length: 8000 }, () => 0)
  const cost = (chance: number): number => coded((coder) => same.map((bit) => coder.bitOf(chance, bit))).size
  assert.ok(Math.abs(cost(32_768) - 1000) <= 2)
  assert.ok(cost(16) <= 4)
  assert.ok(Math.abs(cost(65_504) - 1000 * Math.log2(65_536 / 32)) < 20)
  const learned = coded((coder) => {
    const models = newModels(1)
    return same.map((bit) => coder.bit(models, 0, bit))
  })
  assert.ok(learned.size < 12)
})

test('a stream is as long as it must be, and no other length is taken', () => {
  for (let count = 0; count < 70; count++) {
    const encoder = rangeEncoder()
    for (let i = 0; i < count; i++) encoder.bitOf(30_000 + 7 * i, (count * i) & 1)
    const bytes = encoder.take()
    assert.ok(bytes.length <= Math.ceil(count / 8) + 1)
    const read = (stream: Uint8Array): void => {
      const decoder = rangeDecoder(stream)
      for (let i = 0; i < count; i++) decoder.bitOf(30_000 + 7 * i, 0)
      decoder.finish()
    }
    read(bytes)
    assert.throws(
      () => read(Buffer.concat([bytes, new Uint8Array(5)])),
      (error) => isBinderyError(error, 'bad-format'),
    )
    // Behind its end are zeros, four of them.
    const short = rangeDecoder(new Uint8Array(0))
    assert.throws(
      () => {
        for (let i = 0; i < 100; i++) short.bitOf(32_768, 0)
      },
      (error) => isBinderyError(error, 'bad-format'),
    )
  }
})

test('one stream after the other, with models that go on', () => {
  const encoder = rangeEncoder()
  const [writing, reading] = [newModels(1), newModels(1)]
  for (const list of [[1, 1, 1, 0], [], [0, 0, 1, 1, 1, 1], [1]]) {
    for (const bit of list) encoder.bit(writing, 0, bit)
    const decoder = rangeDecoder(encoder.take())
    assert.deepEqual(
      list.map(() => decoder.bit(reading, 0, 0)),
      list,
    )
    decoder.finish()
  }
})

test('numbers come back, to the edges of 32 bits', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ value: anyNumber, context: fc.nat({ max: 3 }) }), { maxLength: 300 }), (list) => {
      const { given } = coded((coder) => {
        const model = numberModel(4)
        return list.map(({ value, context }) => codeNumber(coder, model, context, asked(coder, value, 77)))
      })
      assert.deepEqual(
        given,
        list.map(({ value }) => value),
      )
    }),
  )
  fc.assert(
    fc.property(fc.array(anySigned, { maxLength: 300 }), (list) => {
      const { given } = coded((coder) => {
        const model = numberModel(1)
        return list.map((value) => codeSigned(coder, model, 0, asked(coder, value, -5)))
      })
      assert.deepEqual(given, list)
    }),
  )
  for (const width of [1, 2, 3, 8]) {
    const list = Array.from({ length: 1 << width }, (_, i) => i)
    const { given } = coded((coder) => {
      const models = newModels(1 << width)
      return list.map((symbol) => codeSymbol(coder, models, 0, width, asked(coder, symbol, 0)))
    })
    assert.deepEqual(given, list)
  }
})

test('no bytes make a number out of its range', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoder = rangeDecoder(bytes)
      const model = numberModel(1)
      try {
        for (let i = 0; i < 100; i++) {
          const value = codeNumber(decoder, model, 0, 0)
          assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32)
          const signed = codeSigned(decoder, model, 0, 0)
          assert.ok(signed === (signed | 0))
        }
      } catch (error) {
        if (!isBinderyError(error, 'bad-format')) throw error
      }
    }),
  )
})

test('what is mixed comes back, and good advice is believed', () => {
  fc.assert(
    fc.property(bits, (list) => {
      coded((coder) => {
        const mixer = newMixer([8, 8, 8], 2)
        const slots = new Int32Array(3)
        return list.map(({ bit, model }, i) => {
          for (const [input, start] of mixer.starts.entries()) slots[input] = start + ((model + input * i) & 7)
          return mixer.code(coder, slots, i & 1, asked(coder, bit, 0))
        })
      })
    }),
    { numRuns: cases(100) },
  )
  const random = noise(4000, 1).content
  const { size } = coded((coder) => {
    const mixer = newMixer([2, 1, 1], 1)
    const slots = Int32Array.from(mixer.starts)
    let last = 0
    // Every bit is the one before it, but for one in sixteen.
    return Array.from(random, (byte) => {
      slots[0] = (mixer.starts[0] as number) + last
      last = mixer.code(coder, slots, 0, byte < 16 ? 1 - last : last)
      return last
    })
  })
  assert.ok(size < 4000 / 8 / 2, `${size} bytes`)
})

test('copies come back; those that leave a side are refused', () => {
  const sizes = { start: 100, old: 5000, next: 6000 }
  const list = fc.array(fc.record({ literals: fc.nat({ max: 40 }), length: fc.integer({ min: 1, max: 90 }), old: fc.nat({ max: 4910 }) }), {
    maxLength: 40,
  })
  fc.assert(
    fc.property(list, (pieces) => {
      const copies: number[] = []
      let done = sizes.start
      for (const { literals, length, old } of pieces) {
        copies.push(done + literals, old, length)
        done += literals + length
      }
      coded((coder) => codeCopies(coder, copyModels(), coder.isDecoder ? undefined : Int32Array.from(copies), sizes))
    }),
  )
  for (const copies of [
    [100, 4990, 11],
    [5990, 0, 11],
    [100, 0, 0],
    [100, -1, 5],
    [200, 0, 50, 240, 0, 10],
  ]) {
    const encoder = rangeEncoder()
    const wide = { start: 100, old: 2 ** 31, next: 2 ** 31 }
    try {
      codeCopies(encoder, copyModels(), Int32Array.from(copies), wide)
    } catch {
      continue
    }
    assert.throws(
      () => codeCopies(rangeDecoder(encoder.take()), copyModels(), undefined, sizes),
      (error) => isBinderyError(error, 'bad-format'),
    )
  }
})

test('literals and changes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ maxLength: 400 }), (old, fresh) => {
      const next = Uint8Array.from([...fresh, ...old.subarray(old.length >> 1), ...fresh])
      coded((coder) => {
        const model = literalModel()
        model.begin(old, next.length)
        const made = asked(coder, next, new Uint8Array(next.length))
        for (let at = 0; at < next.length; at++) model.code(coder, made, at, old[at] ?? 0)
        return made.slice()
      })
    }),
    { numRuns: 40 },
  )
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: anyNumber, from: fc.nat({ max: 255 }), value: fc.nat({ max: 255 }) }), { maxLength: 100 }),
      (list) => {
        coded((coder) => {
          const model = changeModel()
          return list.map(({ gap, from, value }, i) => [
            model.gap(coder, asked(coder, gap, 0)),
            model.difference(coder, from, i & 255, asked(coder, value, 0)),
          ])
        })
      },
    ),
    { numRuns: 40 },
  )
})

test('the word of a target means the target, for every kind', () => {
  const frame = { base: 0x40_0000, bases: Float64Array.from({ length: 12 }, (_, i) => 4096 * i) }
  const whole: readonly number[] = [
    kinds.branch,
    kinds.data,
    kinds.data1,
    kinds.data2,
    kinds.data4,
    kinds.here,
    kinds.absolute,
    kinds.back,
    kinds.table,
  ]
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 24 }), fc.nat({ max: 2 ** 24 }), fc.integer(), (target, here, old) => {
      for (const kind of [...whole, kinds.based, kinds.based + 1]) {
        if (kind === kinds.based + 1 && target < 4096) continue
        assert.equal(targetOf(kind, wordOf(kind, target, here, 77, frame, old), 0, here, 77, frame), target, `${kind}`)
      }
      const near = target & ~3
      assert.equal(targetOf(kinds.branch26, wordOf(kinds.branch26, near, here & ~3, 0, frame, old), 0, here & ~3, 0, frame), near)
      const page = targetOf(kinds.page, wordOf(kinds.page, target, here, 0, frame, old), 0, here, 0, frame)
      const low = targetOf(kinds.low, wordOf(kinds.low, target, here, 0, frame, old), 0, here, 0, frame)
      assert.equal(page + low, target)
      const pointer = wordOf(kinds.pointer, target, here, 0, frame, old)
      assert.equal(targetOf(kinds.pointer, pointer, 0, here, 0, frame), target)
    }),
  )
  // A field that is put back is the word.
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 31 }), (word, kind) => {
      assert.equal(withField(kind, word, fieldOf(kind, word)) | 0, word)
    }),
  )
})

test('numbers of targets are ranks, and the nearest below is found', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 5000 }), { maxLength: 200 }), fc.nat({ max: 5000 }), (list, address) => {
      const words = new Uint32Array((5000 >>> 5) + 1)
      for (const one of list) words[one >>> 5] = (words[one >>> 5] as number) | (1 << (one & 31))
      const targets = new Targets(words, newScratch())
      const sorted = [...list].sort((a, b) => a - b)
      assert.deepEqual([targets.count, [...targets.addresses]], [list.length, sorted])
      assert.equal(targets.rankOf(address), sorted.filter((one) => one < address).length)
      const set = new NumberSet(5001)
      for (const one of list) set.add(one)
      assert.equal(set.atMost(address), sorted.findLast((one) => one <= address) ?? -1)
    }),
  )
})

test('an image that takes more than there is room for leaves no trace, with and without a model of literals', () => {
  const usual = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false } as const
  const programs = [1, 2, 3, 4].map((seed) => randomProgram(usual, 45, seed))
  const [first, tooLarge, last] = programs.map((program, i) => {
    const other = { ...program, functions: program.functions.slice(1 + i), data: program.data.slice(2) }
    return matchImage(link(program), link(other)) as MatchedImage
  }) as [MatchedImage, MatchedImage, MatchedImage]
  const coded = (images: readonly MatchedImage[], arePlain: boolean): object => {
    const encoder = imageEncoder({ modelLiterals: true })
    const literals: number[] = []
    const keep = arePlain ? (part: Uint8Array): void => void literals.push(part.length) : undefined
    for (const image of images) {
      const before = encoder.size
      const tally = encoder.code(image, keep, image === tooLarge ? 20 : Infinity)
      assert.equal(tally !== undefined, image !== tooLarge)
      assert.equal(encoder.size > before, image !== tooLarge)
    }
    return encoder.take()
  }
  for (const arePlain of [false, true]) {
    assert.deepEqual(coded([first, tooLarge, last], arePlain), coded([first, last], arePlain))
    assert.deepEqual(coded([tooLarge, first], arePlain), coded([first], arePlain))
  }
})
