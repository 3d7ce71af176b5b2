import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { requestName } from '../engine/farm/sign/request.ts'
import { decodePublicKey } from '../format/signify.ts'
import { decodeHandover, folderOf } from '../format/handover.ts'
import { hostLocker } from '../host/lock.ts'
import { openInput } from '../host/source.ts'
import { publishSet } from './farm-publish-set.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { readKeyFile } from './signed-files.ts'
import { wholeOf } from './whole-number.ts'
import type { HandedSet, Handover } from '../format/handover.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Command, Context } from './command.ts'
import type { PublishedSet } from './farm-publish-set.ts'

export const farmPublish: Command = {
  name: 'farm publish',
  summary: 'put signed packages where mirrors and users find them',
  operands: 'ACCEPTED',
  operandCount: { min: 1, max: 1 },
  options: {
    output: { ...sharedFlags.output, value: 'DIR', help: 'the folder that VERSION/packages-stable/ARCH are below' },
    pubkey: { ...sharedFlags.pubkey, help: 'the key that everything is signed with' },
    grace: { kind: 'value', value: 'HOURS', help: 'how long packages stay that no list names any more (default: 24)' },
    json: { ...sharedFlags.json, help: 'print JSON, one release and architecture a line' },
  },
  examples: ['bindery farm publish accepted -p /etc/signify/openbsd-76-pkg.pub -o /var/www/pub/OpenBSD'],
  run: async (context, input) => {
    const [accepted] = input.operands as [string]
    const graceHours = wholeOf(input, 'grace', 0, 100_000) ?? 24
    const key = await readKeyFile(context, input.required('pubkey'), decodePublicKey)
    const order = { accepted, output: resolve(input.required('output')), key, graceSeconds: graceHours * 3600 }
    await publishAccepted(context, order, async (set, done) => {
      const text = `${folderOf(set)}: ${done.written.length} new, ${done.waiting.length} waiting to go, ${done.removed.length} gone\n`
      await print(context, input.flag('json') ? `${JSON.stringify({ folder: folderOf(set), ...done })}\n` : text)
    })
    return 0
  },
}

export type PublishOrder = {
  readonly accepted: string
  readonly output: string
  readonly key: SignifyPublicKey
  readonly graceSeconds: number
}

export async function publishAccepted(
  context: Context,
  { accepted, output, key, graceSeconds }: PublishOrder,
  tell: (set: HandedSet, done: PublishedSet) => Promise<void>,
): Promise<void> {
  const { sets } = await readRequest(context, join(accepted, requestName))
  await mkdir(join(output, '.lock'), { recursive: true })
  const lock = await hostLocker(join(output, '.lock')).take('farm publish')
  try {
    for (const set of sets)
      await tell(set, await publishSet(context, { set, from: join(resolve(accepted), folderOf(set)), output, key, graceSeconds }))
  } finally {
    await lock.release()
  }
}

const maxRecord = 256 << 20

export async function readRequest(context: Context, file: string): Promise<Handover> {
  const bytes = await collectBytes(await openInput(file, context.stdin), maxRecord)
  return await about(file, () => decodeHandover(bytes ?? new Uint8Array(0)))
}
