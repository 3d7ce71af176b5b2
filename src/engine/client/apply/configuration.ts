import { matchesAny, pathPattern } from '../../../format/conf.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig, PathPattern } from '../../../format/conf.ts'
import type { Update } from '../../../format/update.ts'

/** Which files are configuration that people edit: known places, and what bindery.conf(5) adds. */

const places = ['/etc', '/usr/local/etc'].map(pathPattern)

/** Made by programs, or of use as a whole alone: a mixture of two versions would be neither. */
const generated = /\.(?:db|cache|pem|crt|key|pub)$/

/** Databases of accounts belong together, and to programs that keep them so. */
const accounts = ['passwd', 'master.passwd', 'shadow', 'group', 'gshadow'].map((name) => pathPattern(`/etc/${name}`))

/** What the records of a step call configuration, besides what bindery.conf does. */
export function namedConfiguration(records: readonly Update[]): readonly PathPattern[] {
  return records.flatMap(({ configuration = [] }) => configuration).map(pathPattern)
}

/** They are merged by entry. */
export function isAccounts(path: RelPath): boolean {
  return matchesAny(accounts, path)
}

export function isConfiguration(config: Pick<ClientConfig, 'configProtect'>, path: RelPath): boolean {
  if (matchesAny(config.configProtect, path)) return true
  return matchesAny(places, path) && !generated.test(path) && !isAccounts(path)
}

/** Whatever people or their programs may write into, merged or not. */
export function mayBeEdited(config: Pick<ClientConfig, 'configProtect'>, path: RelPath): boolean {
  return matchesAny(places, path) || matchesAny(config.configProtect, path)
}
