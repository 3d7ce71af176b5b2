import { resolve } from 'node:path'
import { planRelease } from '../engine/farm/plan-release.ts'
import { readSources } from '../engine/farm/read-sources.ts'
import { errataRevision, errataSource, readErrataFolder } from './farm-errata.ts'
import { applyLook, timeOf, versionControl } from './farm-look.ts'
import type { ReleaseConfig } from '../format/farm-config.ts'
import type { SourceControl } from '../port/source-control.ts'
import type { Revision } from '../base/source-change.ts'
import type { Controller } from './farm-controller.ts'

/** Sources of a line of releases into builds that wait. The same sources again come to nothing. */
export async function lookAtRelease(controller: Controller, release: ReleaseConfig): Promise<void> {
  const look = await openLook(controller, release)
  const { from } = release
  const { changes, commits } = await readSources(look.source, from, look.to)
  const plan = planRelease({
    branch: release.name,
    product: release.product,
    release: release.release,
    archs: release.archs,
    from,
    to: release.to,
    changes,
    commits,
    level: look.level ?? commits.length,
    revision: look.revision ?? { name: look.to, seconds: release.source.kind === 'cvs' ? timeOf(commits) : undefined },
    known: await controller.farm.catalog.known(release.name),
  })
  await applyLook(controller, release.name, plan)
}

type Look = {
  readonly source: SourceControl
  readonly to: string
  /** Where the source knows it by itself. */
  readonly level?: number
  readonly revision?: Revision
}

async function openLook({ context, folder }: Controller, release: ReleaseConfig): Promise<Look> {
  if (release.work.kind === 'command') {
    const source = versionControl(context.exec, release.source)
    return { source, to: await source.pinned(release.to) }
  }
  const files = await readErrataFolder(context, resolve(folder, release.source.place), resolve(folder, release.work.key))
  return { source: errataSource(files), to: release.to, level: files.at(-1)?.number ?? 0, revision: errataRevision(files) }
}
