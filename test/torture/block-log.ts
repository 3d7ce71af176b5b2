import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** What logging-disk.py writes down, and the images that a power cut may leave of it. */

type Write = { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array; readonly isDurable: boolean }

export type BlockLog = {
  readonly records: readonly (Write | { readonly kind: 'flush' })[]
  /** By record: where it ends in the file of the log. */
  readonly ends: readonly number[]
}

export function readBlockLog(file: string): BlockLog {
  const bytes = readFileSync(file)
  const records: BlockLog['records'][number][] = []
  const ends: number[] = []
  for (let at = 0; at < bytes.length;) {
    const [kind, isDurable, length] = [bytes.readUInt8(at), bytes.readUInt8(at + 1) === 1, bytes.readUInt32LE(at + 4)]
    const offset = Number(bytes.readBigUInt64LE(at + 8))
    at += 16 + length
    records.push(kind === 2 ? { kind: 'flush' } : { kind: 'write', offset, bytes: bytes.subarray(at - length, at), isDurable })
    ends.push(at)
  }
  return { records, ends }
}

/** How many records there were when the file of the log was that long. */
export function countAt({ ends }: BlockLog, length: number): number {
  return ends.filter((end) => end <= length).length
}

/**
 * The power fails behind `count` records. What was written since the last flush is in the disk's cache: with `chance` a write is lost, and
 * of each fourth of the others each sector is lost or not. `sector`: its bytes; `random` gives numbers below 1.
 */
export type Cut = { readonly count: number; readonly chance: number; readonly sector: number; readonly random: () => number }

/** Onto an image of what the disk held before the first record. */
export function replay({ records }: BlockLog, image: string, { count, chance, sector, random }: Cut): void {
  const flushed = records.slice(0, count).findLastIndex(({ kind }) => kind === 'flush')
  const file = openSync(image, 'r+')
  try {
    for (const [i, record] of records.slice(0, count).entries()) {
      if (record.kind === 'flush') continue
      const isSafe = i < flushed || record.isDurable || chance === 0
      if (isSafe || random() >= chance) put(file, record, isSafe || random() >= 0.25 ? undefined : { sector, random })
    }
  } finally {
    closeSync(file)
  }
}

/** Wholly, or each of its sectors or not. */
function put(file: number, { offset, bytes }: Write, torn: Pick<Cut, 'sector' | 'random'> | undefined): void {
  const sector = torn?.sector ?? bytes.length
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(bytes.length - at, torn === undefined ? sector : sector - ((offset + at) % sector))
    if (torn === undefined || torn.random() < 0.5) writeSync(file, bytes, at, length, offset + at)
    at += length
  }
}

/** Numbers from 0 to below 1 that look like chance, always the same for a seed (the linear congruential generator of POSIX's drand48). */
export function chanceOf(seed: number): () => number {
  let state = (BigInt(seed) << 16n) + 0x330en
  return () => {
    state = (state * 0x5deece66dn + 0xbn) & 0xffff_ffff_ffffn
    return Number(state) / 2 ** 48
  }
}
