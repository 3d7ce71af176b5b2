import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * A ports tree that GNU make and bmake can run: `SUBDIRLIST`, `BULK` and `show=PKGNAMES` mean what they mean in OpenBSD's, and its
 * packages are real ones with true packing lists.
 */
export type PortFacts = {
  /** net/curl */
  readonly pkgpath: string
  readonly version: string
  /** The last part of the pkgpath unless told. */
  readonly stem?: string
  /** `-main -lang` */
  readonly subpackages?: string
  /** `pkgpath:pattern:default`, and libraries. */
  readonly depends?: string
  readonly wantlib?: string
  /** For sh, in a folder of its own, installing below `$WRKINST/usr/local`; `$FLAVORS` is `-gtk2` or the like. */
  readonly build?: string
}

const plainBuild = 'mkdir -p "$WRKINST/usr/local/bin"\nprintf "%s\\n" "$PWD" | sed "s,.*/,," >"$WRKINST/usr/local/bin/program"\n'

export function plantPorts(folder: string, ports: readonly PortFacts[]): void {
  const from = join(import.meta.dirname, 'infrastructure')
  cpSync(from, join(folder, 'infrastructure'), { recursive: true })
  write(
    join(folder, 'Makefile'),
    '.PHONY: all package\nall package:\n\t@PORTSDIR="$$(pwd)" MAKE="$(MAKE)" sh infrastructure/subdir.sh $@\n',
  )
  for (const port of ports) plantPort(folder, port)
}

/** Also to change one. */
export function plantPort(folder: string, { pkgpath, version, stem, subpackages, depends, wantlib, build }: PortFacts): void {
  const lines = {
    PKGSTEM: stem ?? pkgpath.split('/').at(-1),
    VERSION: version,
    PORT: pkgpath,
    SUBPACKAGES: subpackages ?? '',
    LIB_DEPENDS: depends ?? '',
    WANTLIB: wantlib ?? '',
  }
  const makefile = Object.entries(lines)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
  write(join(folder, pkgpath, 'Makefile'), `${makefile}\ninclude $(PORTSDIR)/infrastructure/bsd.port.mk\n`)
  write(join(folder, pkgpath, 'files/build'), build ?? plainBuild)
}

/** What a build in such a tree needs of its environment. */
export function portsEnvironment(arch: string): readonly string[] {
  return [`ARCH=${arch}`, `NODE=${process.execPath}`]
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
