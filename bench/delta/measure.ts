import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Hung, medianUsage, withMeter } from '../harness.ts'
import { ours } from './peers.ts'
import type { Meter, Usage } from '../harness.ts'
import type { Files } from './pairs.ts'
import type { Tool } from './peers.ts'
import type { Figures } from './results.ts'

/** From the files of earlier runs where it is a peer's; ours are always measured. */
export async function figuresOf(tool: Tool, files: Files, runs: number): Promise<Figures> {
  if (tool.name === ours.name) return await measureTool(tool, files, runs)
  const key = [files.digest, tool.version(), tool.make(files), tool.apply(files)].join('\n')
  const kept = resolve('.cache/bench-delta/figures', `${createHash('sha256').update(key).digest('hex')}.json`)
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, 'utf8')) as Figures
  const figures = await measureTool(tool, files, runs)
  mkdirSync(resolve(kept, '..'), { recursive: true })
  writeFileSync(`${kept}.new`, JSON.stringify(figures))
  renameSync(`${kept}.new`, kept)
  return figures
}

/** Makes once, applies `runs` times, compares each time. */
async function measureTool(tool: Tool, files: Files, runs: number): Promise<Figures> {
  process.stderr.write(`  ${tool.name}: ${tool.make(files)}\n`)
  const folder = `.cache/bench-delta/work.${process.pid}`
  // Peers take as long as they take.
  const limit = tool.name === ours.name ? { limitSeconds: 60 + files.newBytes / 1e6 } : {}
  return await withMeter({ folder, ...limit }, async (meter) => measureIn(meter, tool, files, runs))
}

function measureIn({ work, measure }: Meter, tool: Tool, files: Files, runs: number): Figures {
  // Hard links: zstd takes no symbolic ones.
  for (const side of ['old', 'new'] as const) linkSync(files[side], join(work, side))
  const hangs: string[] = []
  const make = untilDone(() => measure(tool.make(files)), hangs)
  const applied = Array.from({ length: runs }, () => {
    rmSync(join(work, 'out'), { force: true })
    const usage = untilDone(() => measure(tool.apply(files)), hangs)
    execFileSync('cmp', ['out', 'new'], { cwd: work, stdio: 'inherit' })
    return usage
  })
  const figures = { bytes: statSync(join(work, 'delta')).size, make, apply: medianUsage(applied) }
  return hangs.length === 0 ? figures : { ...figures, hangs: hangs.length }
}

/** Node now and then hangs at exit, when all is done (nodejs/node issue 54918): measured anew, told and counted. */
function untilDone(measure: () => Usage, hangs: string[]): Usage {
  for (let tries = 5; ; tries--) {
    try {
      return measure()
    } catch (error) {
      if (!(error instanceof Hung) || tries === 1) throw error
      hangs.push(error.message)
      process.stderr.write(`HUNG, once more: ${error.message}\n`)
    }
  }
}
