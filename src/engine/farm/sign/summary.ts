import { showPath } from '../../../base/path.ts'
import { showSize } from '../../../base/show-size.ts'
import type { HandedPackage, HandedSet, Handover } from '../../../format/handover.ts'

/** What a person reads before signing: each set, security updates first. */
export function handoverText({ sets }: Handover): string {
  return sets.flatMap(setLines).join('')
}

function setLines(set: HandedSet): readonly string[] {
  const { release, arch, packages } = set
  const counts = (['new', 'update', 'changed'] as const).map(
    (state) => [packages.filter((one) => one.state === state).length, state] as const,
  )
  const secure = packages.filter(({ security }) => security !== undefined)
  const told = [...counts, [secure.length, 'for security'] as const]
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
  const others = packages.filter(({ security }) => security === undefined)
  return [
    `${release} ${arch}: ${packages.length} ${packages.length === 1 ? 'package' : 'packages'} to sign (${told.join(', ')})\n`,
    set.basis === undefined ? '  the first of its kind\n' : `  follows SHA256.sig ${set.basis}\n`,
    ...[...secure, ...others].flatMap(packageLines),
  ]
}

function packageLines({ file, pkgpath, state, replaces, security, size, sha256 }: HandedPackage): readonly string[] {
  return [
    `  ${state.padEnd(7)} ${file}  ${showPath(pkgpath)}  ${showSize(size)}\n`,
    ...(replaces.length === 0 ? [] : [`          instead of ${replaces.join(' ')}\n`]),
    ...(security ?? []).map((line) => `          security: ${showPath(line)}\n`),
    `          sha256 ${sha256}\n`,
  ]
}
