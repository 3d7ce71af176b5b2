import { BinderyError } from '../../../base/error.ts'
import { isFileName } from '../../../format/openbsd/index-txt.ts'

/** A package that a list of ports comes to. */
export type ExpectedPackage = {
  readonly file: string
  /** The line of the list that it is of. */
  readonly pkgpath: string
}

const heading = /^===> (\S+)$/

/** The port that a line of make's output in a ports tree announces. */
export function announcedPort(line: string): string | undefined {
  return heading.exec(line)?.[1]
}

/**
 * What `env SUBDIRLIST=list show=PKGNAMES make` prints: a heading for each port, then names separated by blanks. It is what
 * `grep -v "^=" | grep ^. | tr ' ' '\n' | sed 's,$,\.tgz,' | sort -u` makes of it, each with its port. Throws `bad-format`.
 */
export function readPackageNames(output: string): readonly ExpectedPackage[] {
  const found = new Map<string, ExpectedPackage>()
  let pkgpath: string | undefined
  for (const line of output.split('\n')) {
    if (line.startsWith('=')) pkgpath = announcedPort(line) ?? pkgpath
    else
      for (const name of line.split(' ').filter((word) => word !== '')) {
        const file = `${name}.tgz`
        if (pkgpath === undefined || !isFileName(file))
          throw new BinderyError('bad-format', `show=PKGNAMES printed '${name.slice(0, 100)}', which is no package of a port`)
        if (!found.has(file)) found.set(file, { file, pkgpath })
      }
  }
  return [...found.values()].toSorted((a, b) => (a.file < b.file ? -1 : 1))
}
