import { encodeStep } from '../../../format/journal-step.ts'
import { strongestReboot } from '../../../format/update.ts'
import type { Journal } from '../../../format/journal.ts'
import type { PostStep } from '../../../format/post-step.ts'
import type { RebootClass, Update } from '../../../format/update.ts'
import type { Incoming } from '../incoming.ts'

/** What is left to do when the tree is the new one, also when it is recover that makes it so. */
export type After = Pick<Journal, 'postSteps'> & { readonly reboot: RebootClass }

/**
 * Of all records of a step, oldest first: a release that is passed over may have moved what the next one builds upon. A record
 * that asks for the same as the one before it adds nothing, since each step bears being run again; nor does a notice said once.
 */
export function afterInstall(records: readonly Update[]): After {
  const texts = records.map(({ postSteps }) => postSteps.map(encodeStep).join('\n'))
  const steps = records.filter((_, i) => texts[i] !== texts[i - 1]).flatMap(({ postSteps }) => postSteps)
  const notices = new Set(records.flatMap((record) => record.notices))
  return {
    postSteps: [...steps, ...[...notices].map((text): PostStep => ({ kind: 'notice', text }))],
    reboot: strongestReboot(records.map(({ reboot }) => reboot)),
  }
}

export function recordsOf({ passed, update }: Incoming): readonly Update[] {
  return [...passed, update].map(({ value }) => value)
}
