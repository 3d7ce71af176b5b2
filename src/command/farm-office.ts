import { BinderyError } from '../base/error.ts'
import type { Farm } from '../host/farm/open.ts'
import type { Build } from '../port/farm-build.ts'
import type { BuildCount, FarmCatalog, Handover, KnownBuilder, LookFailure, Sighting } from '../port/farm-catalog.ts'
import type { FarmQueue } from '../port/farm-queue.ts'

/** What a person asks of a farm at a terminal, whether its controller runs or not. */
export type Office = Pick<FarmQueue, 'cancel' | 'retry' | 'prioritise'> &
  Pick<FarmCatalog, 'putBuilder' | 'builders' | 'removeBuilder' | 'putOperator' | 'operators' | 'removeOperator' | 'forgetMachine'> & {
    status(): Promise<FarmStatus>
    pause(what: Pausable, actor: string): Promise<void>
    resume(what: Pausable, actor: string): Promise<void>
  }

export type Pausable = { readonly kind: 'branch' | 'builder'; readonly name: string }

export type FarmStatus = {
  readonly branches: readonly {
    readonly name: string
    readonly release: string
    readonly paused: boolean
    readonly seen: number | undefined
    /** Of looks at its sources. */
    readonly failure: LookFailure | undefined
  }[]
  readonly counts: readonly BuildCount[]
  /** Waiting, being built, failed and quarantined ones. */
  readonly builds: readonly Build[]
  readonly handovers: readonly Handover[]
  readonly builders: readonly KnownBuilder[]
  readonly mirrors: readonly Sighting[]
}

export function farmOffice({ catalog, queue }: Farm): Office {
  return {
    status: async () => {
      const branches = await catalog.branches()
      const seen = await Promise.all(branches.map(async ({ name }) => (await catalog.lastSource(name))?.seen))
      return {
        branches: branches.map(({ name, release, paused, failure }, index) => ({ name, release, paused, seen: seen[index], failure })),
        counts: await catalog.counts(),
        builds: await catalog.buildsIn(['waiting', 'building', 'failed', 'quarantined']),
        handovers: await catalog.handovers(['requested', 'signed']),
        builders: await catalog.builders(),
        mirrors: await catalog.sightings(),
      }
    },
    cancel: queue.cancel,
    retry: queue.retry,
    prioritise: queue.prioritise,
    putBuilder: catalog.putBuilder,
    builders: catalog.builders,
    removeBuilder: catalog.removeBuilder,
    putOperator: catalog.putOperator,
    operators: catalog.operators,
    removeOperator: catalog.removeOperator,
    forgetMachine: catalog.forgetMachine,
    pause: async (what, actor) => await setPaused(catalog, what, true, actor),
    resume: async (what, actor) => await setPaused(catalog, what, false, actor),
  }
}

async function setPaused(catalog: Farm['catalog'], { kind, name }: Pausable, paused: boolean, actor: string): Promise<void> {
  if (kind === 'builder') return await catalog.pauseBuilder(name, paused, actor)
  if (!(await catalog.branches()).some((branch) => branch.name === name))
    throw new BinderyError('not-found', `there is no branch '${name}'`)
  await catalog.pauseBranch(name, paused, actor)
}
