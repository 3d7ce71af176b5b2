import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const libraries = (): readonly string[] => globSync('/usr/lib/*/faketime/libfaketime*.so.1')

/** Options of a test that moves the clock of jobs. */
export function needsClockLibrary(): { readonly skip?: string } {
  return libraries().length > 0 ? {} : { skip: 'not installed: libfaketime' }
}

const programs = ['/bin/date', '/bin/touch']

/** date(1) and touch(1) of this system instead of static ones, with the libraries that they and libfaketime need. */
export function addMovableDate(root: string): void {
  const needed = [...programs, ...libraries()].flatMap(
    (file) => execFileSync('ldd', [file], { encoding: 'utf8' }).match(/\/\S+(?= \(0x)/g) ?? [],
  )
  for (const file of [...programs, ...needed]) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    rmSync(join(root, file), { force: true })
    copyFileSync(file, join(root, file))
  }
}
