import type { PostStep } from '../../format/post-step.ts'
import type { RebootClass } from '../../format/update.ts'
import type { Advice } from './advise.ts'
import type { UpdateNotes } from './compose.ts'

/** What a maker says of an update; which class it has may be left to the rules. */
export type MakerNotes = Omit<UpdateNotes, 'reboot'> & { readonly reboot?: RebootClass }

export function notesOfAdvice({ reboot, notices, steps, configuration, phases }: Advice): UpdateNotes {
  const postSteps = steps.map((step): PostStep => ({ kind: 'run', ...step }))
  return { notices, reboot, security: false, configuration, postSteps, ...(phases === undefined ? {} : { phases }) }
}

/** The maker comes behind the rules, or behind what was composed before, and has the last word. */
export function addNotes(first: UpdateNotes, maker: MakerNotes): UpdateNotes {
  const configuration = [...(first.configuration ?? []), ...(maker.configuration ?? [])]
  const { configuration: _, ...rest } = { ...first, ...maker }
  return {
    ...rest,
    notices: [...new Set([...first.notices, ...maker.notices])],
    postSteps: withOwnNames([...first.postSteps, ...maker.postSteps]),
    reboot: maker.reboot ?? first.reboot,
    security: first.security || maker.security,
    ...(configuration.length === 0 ? {} : { configuration: [...new Set(configuration)] }),
  }
}

/** A later step of a name that is taken gets a number. */
function withOwnNames(steps: readonly PostStep[]): readonly PostStep[] {
  const taken = new Set<string>()
  return steps.map((step) => {
    if (step.kind === 'notice') return step
    let name = step.name
    for (let i = 2; taken.has(name); i++) name = `${step.name}-${i}`
    taken.add(name)
    return { ...step, name }
  })
}
