import { archiveDecoders } from './decoders/archives.ts'
import { clientDecoders } from './decoders/client.ts'
import { deltaDecoders } from './decoders/delta.ts'
import { farmDecoders } from './decoders/farm.ts'
import { openbsdDecoders } from './decoders/openbsd.ts'
import { repositoryDecoders } from './decoders/repository.ts'
import { systemDecoders } from './decoders/system.ts'
import type { Decoder } from './decoder.ts'

export const decoders: readonly Decoder[] = [
  ...clientDecoders,
  ...repositoryDecoders,
  ...archiveDecoders,
  ...deltaDecoders,
  ...openbsdDecoders,
  ...farmDecoders,
  ...systemDecoders,
]
