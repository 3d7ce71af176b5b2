import { toldOf } from '../../base/error.ts'
import { formatChannel, formatDistName } from '../../base/name.ts'
import { encodeReport, reportFile } from '../../format/report.ts'
import { encodeSignedMessage } from '../../format/signify.ts'
import { strongestReboot } from '../../format/update.ts'
import { makeKeyPair, openKeyFile, signatureBy, unsealed } from '../repo/key-file.ts'
import { pendingReboots } from './reboot.ts'
import { readEnrolled, readReleaseState, readStateFile, statePaths, writeStateFile } from './state.ts'
import type { LastRun, VersionReport } from '../../format/report.ts'
import type { Clock, Random } from '../../port/ambient.ts'
import type { Boot } from '../../port/boot.ts'
import type { Disk } from '../../port/disk.ts'
import type { Signer } from '../repo/key-file.ts'

export type Reporter = {
  readonly disk: Disk
  readonly boot: Boot
  readonly clock: Clock
  readonly random: Random
  /** What the machine is called. */
  readonly machine: string
}

export type MadeReport = { readonly file: string; readonly bytes: Uint8Array }

/** What this root runs, signed by its own key (doc/spec/report.md), which the first report makes. Undefined where nothing is enrolled. */
export async function makeReport(reporter: Reporter, last: LastRun): Promise<MadeReport | undefined> {
  const { disk, boot, clock, machine } = reporter
  const releases = await installedReleases(disk)
  if (releases.length === 0) return undefined
  const signer = await machineKey(reporter)
  const reboot = strongestReboot((await pendingReboots(disk, boot)).map((need) => need.class))
  const report: VersionReport = { machine, key: signer, time: Math.floor(clock.now() / 1000), last, reboot, releases }
  const message = encodeReport(report)
  return {
    file: reportFile(report),
    bytes: encodeSignedMessage({ signature: signatureBy(signer, message, `report of ${machine}`), message }),
  }
}

async function installedReleases(disk: Disk): Promise<VersionReport['releases']> {
  const enrolled = await readEnrolled(disk)
  return await Promise.all(
    enrolled.map(async ({ channel }) => ({
      channel: formatChannel(channel),
      release: formatDistName((await readReleaseState(disk, channel)).name),
    })),
  )
}

const maxKeyBytes = 4096

async function machineKey({ disk, random, machine }: Reporter): Promise<Signer> {
  const path = statePaths.machineKey
  let file = await readStateFile(disk, path, maxKeyBytes)
  if (file === undefined) {
    file = (await makeKeyPair(random, `machine ${machine}`, unsealed)).secretKeyFile
    await writeStateFile(disk, path, file)
  }
  try {
    return await openKeyFile(file, async ({ salt }) => await unsealed.stream(salt))
  } catch (error) {
    throw toldOf(error, `/${path}`, 'without it the next report makes another, by which nobody knows this machine yet')
  }
}
