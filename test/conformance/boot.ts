import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Boot } from '../../src/port/boot.ts'

/** What every Boot promises (src/port/boot.ts). */
export function bootConformance(name: string, boot: Boot): void {
  test(`${name}: a word, and the same one until the machine starts again`, async () => {
    const id = await boot.id()
    assert.match(id ?? '', /^[A-Za-z0-9._:-]+$/)
    assert.equal(await boot.id(), id)
    assert.equal(await boot.ofRoot(), id)
  })
}
