import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, hex, utf8 } from '../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { encodeMessage, failure, failureOf, message, messageReader, numberOf, pairsOf, textOf } from '../src/format/fetcher-message.ts'

test('a message is its length, its kind, its call and its fields', () => {
  const shown = (...given: Parameters<typeof message>): string => hex(encodeMessage(message(...given)))
  assert.equal(shown(7, 'ask', 'load', 'a'), ['00000012', '08', '00000007', '000000046c6f6164', '0000000161'].join(''))
  assert.equal(shown(1, 'end'), ['00000005', '04', '00000001'].join(''))
})

const anyMessage = fc
  .record({ call: fc.nat(), kind: fc.constantFrom('get', 'chunk', 'done'), fields: fc.array(fc.uint8Array({ maxLength: 40 })) })
  .map(({ call, kind, fields }) => message(call, kind as 'get', ...fields))

test('messages come out as they went in, however the bytes arrive', () => {
  fc.assert(
    fc.property(fc.array(anyMessage), fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (messages, sizes) => {
      const read = messageReader(1 << 16)
      const bytes = concatBytes(messages.map(encodeMessage))
      const got: unknown[] = []
      for (let at = 0; at < bytes.length;) {
        const size = sizes.next().value as number
        for (const { call, kind, fields } of read(bytes.subarray(at, at + size)))
          got.push({ call, kind, fields: fields.map((field) => Uint8Array.from(field)) })
        at += size
      }
      assert.deepEqual(got, messages)
    }),
  )
})

test('whatever else comes is refused, before there is memory for it', () => {
  const refused = (code: string, ...parts: readonly string[]): void => {
    const read = messageReader(100)
    assert.throws(() => read(Buffer.from(parts.join(''), 'hex')), { code }, parts.join(' '))
  }
  refused('over-limit', '00000065')
  refused('over-limit', 'ffffffff')
  refused('bad-format', '00000004')
  // No such kind; a field without its length, and one that is longer than the message.
  refused('bad-format', '00000005', 'ff', '00000001')
  refused('bad-format', '00000007', '00', '00000001', '0000')
  refused('bad-format', '0000000a', '00', '00000001', '00000002', '61')
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      try {
        messageReader(100)(bytes)
      } catch (error) {
        assert.ok(isBinderyError(error))
      }
    }),
  )
})

test('fields are text, numbers and pairs', () => {
  const head = message(1, 'head', 200, 'etag', '"é"', '__proto__', 'x')
  assert.deepEqual([numberOf(head, 0), textOf(head, 2), textOf(head, 9)], [200, '"é"', undefined])
  assert.deepEqual(Object.entries(pairsOf(head, 1)), [
    ['etag', '"é"'],
    ['__proto__', 'x'],
  ])
  for (const wrong of ['', '-1', '1.5', '1e3', '9'.repeat(16), 'NaN'])
    assert.throws(() => numberOf(message(1, 'head', wrong), 0), { code: 'bad-format' })
  assert.equal(numberOf(message(1, 'look', Infinity), 0), Infinity)
})

test('an error arrives as what it was', () => {
  const error = new BinderyError('expired', 'is stale', { subject: 'timestamp.json', hint: 'wait' })
  const { code, message: text, subject, hint } = failureOf(failure(1, error)) as BinderyError
  assert.deepEqual([code, text, subject, hint], ['expired', 'is stale', 'timestamp.json', 'wait'])
  assert.ok(!isBinderyError(failureOf(failure(1, new TypeError('a bug')))))
  assert.ok(!isBinderyError(failureOf({ call: 1, kind: 'failed', fields: ['constructor', 'x'].map(utf8) })))
})
