import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What pkg_add would have left of them in /var/db/pkg. Answers their names. */
export function installRelease(built: string, machine: string): readonly string[] {
  const folder = join(built, 'packages')
  return readdirSync(folder)
    .filter((file) => file.endsWith('.tgz'))
    .map((file) => {
      const name = file.slice(0, -'.tgz'.length)
      const place = join(machine, 'var/db/pkg', name)
      mkdirSync(place, { recursive: true })
      writeFileSync(join(place, '+CONTENTS'), execFileSync('tar', ['-xzOf', join(folder, file), '+CONTENTS']))
      return name
    })
}
