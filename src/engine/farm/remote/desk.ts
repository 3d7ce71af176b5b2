import { isBinderyError } from '../../../base/error.ts'
import { joinPath } from '../../../base/path.ts'
import { endLine, nameOf } from '../attempt-lines.ts'
import { checkPackage } from '../build/check-package.ts'
import { inTurn } from './in-turn.ts'
import { addPackagePiece, addPiece, dropIncoming, pathInFarm, sizeOf } from './receive.ts'
import type { RelPath } from '../../../base/path.ts'
import type { BuiltPackage } from '../../../format/built.ts'
import type { BeatCall, ClaimCall, EndCall, FarmAnswer, Lease, MadePackage } from '../../../format/farm-work.ts'
import type { Disk } from '../../../port/disk.ts'
import type { FarmCatalog } from '../../../port/farm-catalog.ts'
import type { AttemptEnd, Claim, FarmQueue, NewPackage } from '../../../port/farm-queue.ts'
import type { Spool } from '../../../port/source.ts'
import type { Turns } from './in-turn.ts'
import type { Piece } from './receive.ts'
import type { WholeFile } from './targets.ts'

/** The controller's side of its builders: gives out builds, takes logs and packages in. Every call may come twice. */
export type Desk = {
  claim(builder: string, call: ClaimCall, signal: AbortSignal): Promise<FarmAnswer>
  beat(builder: string, lease: number, call: BeatCall): Promise<FarmAnswer>
  log(builder: string, lease: number, piece: Piece): Promise<FarmAnswer>
  file(builder: string, lease: number, whole: WholeFile, piece: Piece): Promise<FarmAnswer>
  end(builder: string, lease: number, call: EndCall): Promise<FarmAnswer>
}

export type DeskWorld = {
  readonly queue: Pick<FarmQueue, 'claim' | 'claimOf' | 'beat' | 'finish' | 'changed'>
  readonly catalog: Pick<FarmCatalog, 'noteBuilder'>
  /** Of the farm's folder. */
  readonly disk: Disk
  readonly spool: Spool
  /** Packages of an attempt into what is built of its branch and architecture. */
  readonly takeIn: (claim: Claim, packages: readonly BuiltPackage[], folder: RelPath) => Promise<void>
  readonly leaseSeconds: number
  readonly tell: (line: string) => void
}

/** Pieces of logs; a port that prints for ever fills no disk. */
const maxLog = 1 << 30

export function openDesk(world: DeskWorld): Desk {
  const given = new Map<string, Map<number, Claim>>()
  const asking = new Map<string, AbortController>()
  const turns = inTurn()
  return {
    claim: async (builder, call, signal) => {
      // Of a builder that asks again, nobody waits for the call before.
      asking.get(builder)?.abort()
      const own = new AbortController()
      asking.set(builder, own)
      return await claim(world, heldBy(given, builder), builder, call, AbortSignal.any([signal, own.signal]))
    },
    beat: async (builder, lease, { load }) => {
      await world.catalog.noteBuilder(builder, load / 100)
      return await ofBuilder(world, builder, lease, async (claim) => await beat(world, claim))
    },
    log: async (builder, lease, piece) =>
      await ofBuilder(world, builder, lease, async (claim) => await turns(`${lease}`, async () => await addToLog(world, claim, piece))),
    file: async (builder, lease, whole, piece) =>
      await ofBuilder(world, builder, lease, async (claim) => {
        if ((await beat(world, claim)).kind === 'lost') return { kind: 'lost' }
        return await turns(`${lease}`, async () => await addPackagePiece(world.disk, incomingOf(lease), whole, piece))
      }),
    end: async (builder, lease, call) => {
      // A builder that stops shall not be given what it gives back.
      if (call.kind === 'released') asking.get(builder)?.abort()
      const answer = await ofBuilder(
        world,
        builder,
        lease,
        async (claim) => await turns(`${lease}`, async () => await end(world, turns, claim, call)),
      )
      if (answer.kind === 'held' || answer.kind === 'lost') heldBy(given, builder).delete(lease)
      return answer
    },
  }
}

function heldBy(given: Map<string, Map<number, Claim>>, builder: string): Map<number, Claim> {
  const held = given.get(builder) ?? new Map<number, Claim>()
  given.set(builder, held)
  return held
}

/** Nobody learns of the builds of others. */
async function ofBuilder(
  { queue }: DeskWorld,
  builder: string,
  lease: number,
  use: (claim: Claim) => Promise<FarmAnswer>,
): Promise<FarmAnswer> {
  const claim = await queue.claimOf(lease)
  return claim === undefined || claim.attempt.builder !== builder ? { kind: 'lost' } : await use(claim)
}

async function claim(
  world: DeskWorld,
  given: Map<number, Claim>,
  builder: string,
  { held, waitSeconds, load }: ClaimCall,
  signal: AbortSignal,
): Promise<FarmAnswer> {
  await world.catalog.noteBuilder(builder, load / 100)
  const again = await unheld(world, given, held)
  if (again !== undefined) return await leaseAnswer(world, again)
  for (let left = waitSeconds * 1000; !signal.aborted; left -= lookEveryMs) {
    const found = await world.queue.claim(builder)
    if (found !== undefined) return await giveOrTakeBack(world, given, found, signal)
    if (left <= 0) break
    await orAborted(world.queue.changed(Math.min(left, lookEveryMs)), signal)
  }
  return { kind: 'nothing' }
}

/** A build can come to be allowed without coming into the queue: its time has come to be tried again. */
const lookEveryMs = 10_000

/** Who asked may have gone meanwhile. */
async function giveOrTakeBack(world: DeskWorld, given: Map<number, Claim>, found: Claim, signal: AbortSignal): Promise<FarmAnswer> {
  // What came of the attempt before is of no use to anybody.
  if (found.attempt.number > 1) await sweepIncoming(world)
  if (!signal.aborted) {
    given.set(found.attempt.id, found)
    world.tell(`${nameOf(found.build)} is being built by ${found.attempt.builder}`)
    return await leaseAnswer(world, found)
  }
  await world.queue.finish(found.attempt.id, { kind: 'released', why: 'the builder went away before it had it' })
  return { kind: 'nothing' }
}

async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => {}
  const aborted = new Promise<void>((resolve) => (stop = resolve))
  signal.addEventListener('abort', stop)
  // It may have been before anybody listened.
  if (signal.aborted) stop()
  await Promise.race([work, aborted])
  signal.removeEventListener('abort', stop)
}

/** What was given to the builder in an answer that it never got. */
async function unheld({ queue }: DeskWorld, given: Map<number, Claim>, held: readonly number[]): Promise<Claim | undefined> {
  for (const [id, claim] of given) {
    if (held.includes(id)) continue
    if ((await queue.beat(id, { size: claim.attempt.logSize })) === 'held') return claim
    given.delete(id)
  }
  return undefined
}

async function leaseAnswer({ leaseSeconds, disk }: DeskWorld, { build, attempt, release, revision }: Claim): Promise<FarmAnswer> {
  const { branch, arch, packages } = build
  const log = await sizeOf(disk, pathInFarm(attempt.logFile))
  const lease: Lease = { id: attempt.id, build: build.id, branch, release, arch, revision, list: packages, log, seconds: leaseSeconds }
  return { kind: 'lease', lease }
}

async function beat({ queue, disk }: DeskWorld, { attempt }: Claim): Promise<FarmAnswer> {
  const size = await sizeOf(disk, pathInFarm(attempt.logFile))
  return { kind: await queue.beat(attempt.id, { size }) }
}

async function addToLog(world: DeskWorld, claim: Claim, piece: Piece): Promise<FarmAnswer> {
  if ((await beat(world, claim)).kind === 'lost') return { kind: 'lost' }
  if (piece.at + piece.bytes.length > maxLog) return { kind: 'refused', why: 'wrong', message: `the log is larger than ${maxLog} bytes` }
  return await addPiece(world.disk, pathInFarm(claim.attempt.logFile), piece)
}

const incoming = pathInFarm('incoming')

function incomingOf(lease: number): RelPath {
  return joinPath(incoming, String(lease))
}

/** Drops what came of attempts that have ended. */
export async function sweepIncoming({ disk, queue }: Pick<DeskWorld, 'disk' | 'queue'>): Promise<void> {
  if ((await disk.lstat(incoming)) === undefined) return
  for (const name of await disk.readdir(incoming)) {
    const claim = /^[0-9]{1,15}$/.test(name) ? await queue.claimOf(Number(name)) : undefined
    if (claim?.attempt.outcome !== undefined) await dropIncoming(disk, joinPath(incoming, name))
  }
}

async function end(world: DeskWorld, turns: Turns, claim: Claim, call: EndCall): Promise<FarmAnswer> {
  const { attempt, build } = claim
  // Told before, in an answer that was lost.
  if (attempt.outcome !== undefined) return { kind: attempt.outcome === call.kind ? 'held' : 'lost' }
  const logSize = await sizeOf(world.disk, pathInFarm(attempt.logFile))
  if (call.kind !== 'released' && logSize !== call.log) return { kind: 'size', size: logSize }
  if ((await beat(world, claim)).kind === 'lost') return await drop(world, attempt.id)
  if (call.kind !== 'built') return await finish(world, claim, call.kind === 'failed' ? { ...call, logSize } : call)
  const checked = await checkAll(world, attempt.id, call.packages)
  if (checked.kind === 'altered') return checked
  const { packages } = checked
  await turns(`${build.branch}/${build.arch}`, async () => await world.takeIn(claim, packages, incomingOf(attempt.id)))
  return await finish(world, claim, { kind: 'built', packages: packages.map(newPackage), logSize })
}

function newPackage({ file, pkgpath, size, sha256, signature, reproducible }: BuiltPackage): NewPackage {
  return { file, pkgpath, size, sha256, signature, reproducible }
}

async function finish(world: DeskWorld, claim: Claim, how: AttemptEnd): Promise<FarmAnswer> {
  const attempt = claim.attempt.id
  const ended = await world.queue.finish(attempt, how)
  world.tell(endLine(claim.build, ended === 'ended' ? how : 'lost'))
  await dropIncoming(world.disk, incomingOf(attempt))
  return { kind: ended === 'ended' ? 'held' : 'lost' }
}

async function drop({ disk }: DeskWorld, attempt: number): Promise<FarmAnswer> {
  await dropIncoming(disk, incomingOf(attempt))
  return { kind: 'lost' }
}

type Checked = { readonly kind: 'checked'; readonly packages: readonly BuiltPackage[] } | Extract<FarmAnswer, { readonly kind: 'altered' }>

/** By what they are, not by what the builder says of them. */
async function checkAll(world: DeskWorld, lease: number, made: readonly MadePackage[]): Promise<Checked> {
  const packages: BuiltPackage[] = []
  for (const one of made) {
    const found = await checkOne(world, joinPath(incomingOf(lease), one.file), one)
    if (typeof found === 'string') return { kind: 'altered', why: `${one.file} ${found}` }
    packages.push({ ...found, log: '', reproducible: one.reproducible })
  }
  return { kind: 'checked', packages }
}

type Found = Omit<BuiltPackage, 'log' | 'reproducible'>

async function checkOne({ disk, spool }: DeskWorld, path: RelPath, { file, sha256 }: MadePackage): Promise<Found | string> {
  if ((await disk.lstat(path)) === undefined) return 'did not come'
  try {
    const found = await checkPackage(file, () => disk.read(path), spool)
    return found.sha256 === sha256 ? found : 'came as another file'
  } catch (error) {
    if (!isBinderyError(error) || ['io', 'no-space', 'permission'].includes(error.code)) throw error
    return error.message
  }
}
