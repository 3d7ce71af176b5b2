import { createHash } from 'node:crypto'

/** A package of OpenBSD as its port says it; `packingList` writes it as pkg_create does. Nothing of src is used: the tests judge by it. */
export type PackageFacts = {
  /** With version and flavors, without `.tgz`. */
  readonly name: string
  /** @version; 0 is not written. */
  readonly systemVersion: number
  readonly pkgpath: string
  readonly depends: readonly DependFacts[]
  readonly wantlibs: readonly string[]
  readonly files: readonly FileFacts[]
  readonly options: readonly ('always-update' | 'is-branch' | 'no-default-conflict')[]
  readonly conflicts: readonly string[]
  /** Former paths. */
  readonly pkgpaths: readonly string[]
  /** Bytes of contents that do not compress, beyond those of `files`. */
  readonly ballast: number
}

export type DependFacts = { readonly pkgpath: string; readonly pattern: string; readonly name: string }

export type FileFacts = { readonly keyword?: 'bin' | 'lib' | 'man' | 'sample' | 'dir'; readonly path: string; readonly content: string }

/** Of the release's build; @ts of every file. */
export const buildTime = 1_790_000_000

const plainFacts = { systemVersion: 0, depends: [], wantlibs: [], files: [], options: [], conflicts: [], pkgpaths: [], ballast: 0 } as const

/** A package with what is said, and nothing else. */
export function packageOf(facts: Pick<PackageFacts, 'name' | 'pkgpath'> & Partial<PackageFacts>): PackageFacts {
  return { ...plainFacts, ...facts }
}

/** `signature`: with the lines that a signed package has. */
export function packingList(facts: PackageFacts, signed?: { readonly signer: string; readonly date: string }): string {
  const plain = linesOf(facts, '')
  if (!facts.options.includes('always-update')) return linesOf(facts, signatureLines(signed))
  const hash = createHash('sha256').update(plain).digest('base64').replaceAll('=', '')
  return linesOf(facts, signatureLines(signed), hash)
}

function signatureLines(signed: { readonly signer: string; readonly date: string } | undefined): string {
  return signed === undefined ? '' : `@signer ${signed.signer}\n@digital-signature signify2:${signed.date}:external\n`
}

function linesOf(facts: PackageFacts, signatures: string, hash?: string): string {
  const lines = [
    ...headLines(facts, signatures, hash),
    '@cwd /usr/local',
    ...facts.files.flatMap(fileLines),
    ...(facts.ballast === 0 ? [] : ['share/ballast', `@size ${facts.ballast}`, `@ts ${buildTime}`]),
  ]
  return `${lines.join('\n')}\n`
}

/** Up to the items, in the order of pkg_create: what is unique, info files, what may be repeated. */
function headLines(facts: PackageFacts, signatures: string, hash?: string): readonly string[] {
  return [
    `@name ${facts.name}`,
    ...(facts.systemVersion === 0 ? [] : [`@version ${facts.systemVersion}`]),
    ...signatures.split('\n').filter((line) => line !== ''),
    ...(facts.options.includes('no-default-conflict') ? ['@option no-default-conflict'] : []),
    ...(facts.options.includes('always-update') && hash !== undefined ? [`@option always-update ${hash}`] : []),
    ...(facts.options.includes('is-branch') ? ['@option is-branch'] : []),
    `@comment pkgpath=${facts.pkgpath} ftp=yes`,
    '@arch amd64',
    '+DESC',
    ...stamps(descriptionOf(facts)),
    ...facts.conflicts.map((spec) => `@conflict ${spec}`),
    ...facts.pkgpaths.map((path) => `@pkgpath ${path}`),
    ...facts.depends.map(({ pkgpath, pattern, name }) => `@depend ${pkgpath}:${pattern}:${name}`),
    ...facts.wantlibs.map((lib) => `@wantlib ${lib}`),
  ]
}

/** What pkg_add's reader for updates keeps of a packing list, and update.db holds. */
export function updateLines(facts: PackageFacts): readonly string[] {
  const isAlways = facts.options.includes('always-update')
  const lines = isAlways ? packingList(facts).split('\n') : headLines(facts, '')
  return lines.filter((line) => (isAlways ? line.startsWith('@option always-update') : isForUpdates(line)))
}

function isForUpdates(line: string): boolean {
  return /^@(name|libset|depend|wantlib|conflict|option|pkgpath|url|version|arch|comment pkgpath=)\b/.test(line)
}

function fileLines({ keyword, path, content }: FileFacts): readonly string[] {
  if (keyword === 'dir') return [`${path}/`]
  if (keyword === 'sample') return [`@sample ${path}`]
  return [keyword === undefined ? path : `@${keyword} ${path}`, ...stamps(content), `@ts ${buildTime}`]
}

function stamps(content: string): readonly string[] {
  return [`@sha ${createHash('sha256').update(content, 'latin1').digest('base64')}`, `@size ${Buffer.byteLength(content, 'latin1')}`]
}

export function descriptionOf({ name, pkgpath }: PackageFacts): string {
  return `${name} does what ${pkgpath} is for.\n\nMaintainer: The OpenBSD ports mailing-list <ports@openbsd.org>\n`
}
