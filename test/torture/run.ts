import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { folderInMemory } from '../helpers/temporary.ts'
import { unmountAll } from './file-systems.ts'
import { tortureFlips } from './flips.ts'
import { tortureHostile } from './hostile.ts'
import { rowSoFar, tortureErrors, tortureKills, type Row } from './machines.ts'
import { tortureNetwork } from './network.ts'
import { torturePower, type PowerOptions } from './power.ts'
import { tortureSpace } from './shortage.ts'

/**
 * make torture: a run of bindery is killed behind each call by which it changes something, each such call is failed, and the disk is made
 * too small for it; its disk loses its power, its mirrors are no good, and single bits of what it has written are flipped. What is found wrong is
 * told as it is found, and one table says what came of it all.
 */

const modes = {
  kill: tortureKills,
  errors: tortureErrors,
  space: tortureSpace,
  power: torturePower,
  network: tortureNetwork,
  hostile: tortureHostile,
  flips: tortureFlips,
} as const

async function main(work: string): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error('run it as root: it needs owners, chroot(8) and mount(8)')
  const { chosen, options } = optionsOf(work, process.argv.slice(2))
  const rows: Row[] = []
  for (const mode of chosen) rows.push(...(await modes[mode](options)))
  process.stdout.write(`\n${tableOf(rows)}`)
  return rows.some(({ bad }) => bad > 0) ? 1 : 0
}

type Mode = keyof typeof modes

type Options = PowerOptions & { readonly count: number; readonly seed: number }

function optionsOf(work: string, args: readonly string[]): { readonly chosen: readonly Mode[]; readonly options: Options } {
  const string = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: string,
      slice: { ...string, default: '1' },
      turn: { ...string, default: '0' },
      from: { ...string, default: '0' },
      fs: string,
      images: string,
      count: { ...string, default: '10000' },
      seed: { ...string, default: '1' },
    },
  })
  const [slice, turn, from] = [Number(values.slice), Number(values.turn), Number(values.from)]
  if (!(slice >= 1) || !(turn >= 0)) throw new Error('--slice N --turn M: every Nth point, from the Mth on')
  if (!(from >= 0)) throw new Error('--from N: not those before the Nth, of a run that was stopped')
  const [count, seed] = [Number(values.count), Number(values.seed)]
  if (!(count >= 1) || !Number.isSafeInteger(seed)) throw new Error('--count N --seed S: so many flips, chosen by S')
  const chosen = positionals.length === 0 ? (Object.keys(modes) as Mode[]) : positionals.map(modeOf)
  const [only, systems] = [values.only?.split(','), values.fs?.split(',')]
  const images = values.images === undefined ? undefined : Number(values.images)
  const tell = (line: string): void => void process.stdout.write(`${line}\n`)
  return { chosen, options: { work, slice, turn, from, only, systems, images, count, seed, tell } }
}

function modeOf(word: string): Mode {
  if (Object.hasOwn(modes, word)) return word as Mode
  throw new Error(`there is no '${word}': it is ${Object.keys(modes).join(', ')}`)
}

function tableOf(rows: readonly Row[]): string {
  const head = '| what | points | tried | bad | minutes |\n|---|---:|---:|---:|---:|\n'
  return head + rows.map((row) => `| ${row.what} | ${row.points} | ${row.tried} | ${row.bad} | ${row.minutes.toFixed(1)} |\n`).join('')
}

const work = folderInMemory('bindery-torture-')
const cleanUp = (): void => (unmountAll(), rmSync(work, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    const row = rowSoFar()
    if (row !== undefined) process.stdout.write(`\nstopped in the middle\n${tableOf([row])}`)
    cleanUp()
    process.exit(1)
  })
try {
  process.exitCode = await main(work)
} catch (error) {
  process.stderr.write(`\ntorture: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  cleanUp()
}
