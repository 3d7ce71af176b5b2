import type { ReleaseConfig } from '../format/farm-config.ts'
import type { Controller } from './farm-controller.ts'

/** The parts of `farm run` that farms load which make releases. */

export async function lookAtRelease(controller: Controller, release: ReleaseConfig): Promise<void> {
  await (await import('./farm-release-look.ts')).lookAtRelease(controller, release)
}

export async function handOverReleases(controller: Controller): Promise<void> {
  if (controller.config.releases.length > 0) await (await import('./farm-release-signing.ts')).handOverReleases(controller)
}
