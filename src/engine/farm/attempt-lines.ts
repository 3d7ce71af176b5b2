import type { Build } from '../../port/farm-build.ts'
import type { AttemptEnd } from '../../port/farm-queue.ts'

/** What the controller says of builds, whoever builds them. */
export function nameOf({ id, pkgpath, branch, arch }: Pick<Build, 'id' | 'pkgpath' | 'branch' | 'arch'>): string {
  return `${pkgpath} ${branch}/${arch}: build ${id}`
}

export function endLine(build: Build, how: AttemptEnd | 'lost'): string {
  return `${nameOf(build)}: ${how === 'lost' ? 'nobody waits for it any more' : endText(how)}`
}

function endText(how: AttemptEnd): string {
  switch (how.kind) {
    case 'built':
      return `built, ${how.packages.length} packages`
    case 'failed':
      return `failed: ${how.why}`
    case 'released':
      return `given back: ${how.why}`
  }
}
