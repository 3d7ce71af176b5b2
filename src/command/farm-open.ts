import { join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, oneChunk } from '../base/bytes.ts'
import { loadOptional } from '../base/optional-package.ts'
import { usualRetries } from '../engine/farm/retry.ts'
import { farmRules } from '../engine/farm/rules.ts'
import { decodeFarmConfig } from '../format/farm-config.ts'
import { decodePublicKey } from '../format/signify.ts'
import { openInput } from '../host/source.ts'
import { readKeyFile } from './signed-files.ts'
import type { FarmConfig } from '../format/farm-config.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type * as FarmModule from '../host/farm/open.ts'
import type { Context } from './command.ts'

const configName = 'farm.toml'
const maxConfig = 1 << 20

export async function readFarmConfig(folder: string): Promise<FarmConfig> {
  const file = join(folder, configName)
  const bytes = await collectBytes(await openInput(file, oneChunk(new Uint8Array(0))), maxConfig)
  return await about(file, () => decodeFarmConfig(bytes ?? new Uint8Array(maxConfig + 1)))
}

export async function readPackageKey(
  context: Pick<Context, 'stdin'>,
  folder: string,
  { key }: FarmConfig,
): Promise<SignifyPublicKey | undefined> {
  return key === undefined ? undefined : await readKeyFile(context, resolve(folder, key), decodePublicKey)
}

/** The farm in a folder, which one process at a time can have, or, where DATABASE_URL says so, the one in a PostgreSQL whose folder this is. */
export async function openFarmAt(
  context: Pick<Context, 'environment' | 'say'>,
  folder: string,
  verb: string,
  config: Pick<FarmConfig, 'retry' | 'leaseSeconds'> = usual,
): Promise<FarmModule.Farm> {
  const { openFarm, farmPlace } = await loadOptional(async () => await import('../host/farm/open.ts'))
  return await openFarm(farmPlace(folder, context.environment['DATABASE_URL']), {
    rules: farmRules(config.retry),
    leaseSeconds: config.leaseSeconds,
    verb,
    onError: (error) => context.say(`the queue: ${error instanceof Error ? error.message : String(error)}`),
  })
}

const usual = { retry: usualRetries, leaseSeconds: 120 }
