import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { farmStatus } from '../src/command/farm-status.ts'
import { askHere } from './helpers/farm/enroll.ts'
import { farmWorld, port } from './helpers/farm/farm-world.ts'
import { needs } from './helpers/programs.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import { plantPort, plantPorts, portsEnvironment } from './helpers/ports-tree/plant.ts'
import { isTurn } from './helpers/whole-suite.ts'
import type { FarmWorld } from './helpers/farm/farm-world.ts'

/** A ports tree in CVS with a stable branch, in a working copy where one commits, and in another where a farm builds. */
type CvsPorts = { readonly root: string; commit(message: string, version: string): void; cvs(...words: readonly string[]): void }

function cvsPorts(folder: string): CvsPorts {
  const [root, first, work] = ['cvs', 'first', 'work'].map((name) => join(folder, name)) as [string, string, string]
  const at = (cwd: string, ...words: readonly string[]): void =>
    void execFileSync('cvs', ['-Q', '-d', root, ...words], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  plantPorts(first, [port('net/a', '1.0')])
  at(folder, 'init')
  at(first, 'import', '-m', 'i', 'ports', 'V', 'T')
  at(folder, 'rtag', 'R_BASE', 'ports')
  at(folder, 'rtag', '-b', 'R', 'ports')
  for (const name of ['work', 'tree']) at(folder, 'co', '-r', 'R', '-d', name, 'ports')
  return {
    root,
    cvs: (...words) => at(folder, ...words),
    commit: (message, version) => {
      plantPort(work, port('net/a', version))
      at(work, 'ci', '-m', message)
    },
  }
}

function putSqlports(file: string): void {
  rmSync(file, { force: true })
  const database = new DatabaseSync(file)
  database.exec("CREATE TABLE Paths (FULLPKGPATH TEXT, PKGPATH TEXT); INSERT INTO Paths VALUES ('net/a', 'net/a')")
  database.close()
}

function configText(folder: string, root: string): string {
  const prepare = 'cvs -Q up -Pd -r "$REVISION" -D "$REVISION_DATE"'
  const env = portsEnvironment('amd64').flatMap((setting) => ['--env', setting])
  return `key = "signer.pub"
[branch.stable]
release = "7.6"
cvs = ${JSON.stringify(root)}
from = "R_BASE"
to = "R"
sqlports = ${JSON.stringify(join(folder, 'sqlports'))}
archs = ["amd64"]
every = 86400
[builder.here]
arch = "amd64"
flags = ${JSON.stringify(['--ports', join(folder, 'tree'), '--prepare', prepare, ...env])}
`
}

/** A cvs that dies after the first words of a list, for as long as there is a file `half`. */
function plantDyingCvs(folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const real = execFileSync('sh', ['-c', 'command -v cvs'], { encoding: 'utf8' }).trim()
  const half = `case "$*" in *rdiff*) ${real} "$@" | head -c 30; echo 'cvs: connection lost' >&2; exit 1;; esac`
  writeFileSync(join(bin, 'cvs'), `#!/bin/sh\nif [ -e ${join(folder, 'half')} ]; then ${half}; fi\nexec ${real} "$@"\n`)
  chmodSync(join(bin, 'cvs'), 0o755)
  return bin
}

async function ask(world: FarmWorld, ...words: readonly string[]): Promise<string> {
  const run = world.start(['farm', ...words])
  assert.equal(await run.ended(), 0, run.said())
  return run.said()
}

if (isTurn(2))
  test(
    'a farm on CVS looks when it is called, builds what it saw, and outlives a cvs, a tag and a sqlports that fail',
    { ...needs('cvs', 'make', 'git'), ...needsPostgres() },
    async () => {
      const postgres = await startCluster()
      const world = await farmWorld(await postgres.database())
      const at = (name: string): string => join(world.folder, name)
      const ports = cvsPorts(world.folder)
      putSqlports(at('sqlports'))
      writeFileSync(join(world.farm, 'farm.toml'), configText(world.folder, ports.root))
      const token = (await ask(world, 'token', world.farm, 'add', 'cvs')).trim()
      ports.commit('fix CVE-2026-1234 in a', '1.1')
      writeFileSync(at('half'), '')
      const run = world.start(['farm', 'run', world.farm, '--listen', '127.0.0.1:0'], plantDyingCvs(world.folder))
      try {
        await run.heard(/pages at http\S+/)
        const url = /pages at (http\S+)/.exec(run.said())?.[1] as string
        const hook = async (): Promise<void> => {
          const answer = await fetch(new URL('hook/stable', url), { method: 'POST', headers: { authorization: `Bearer ${token}` } })
          assert.equal(answer.status, 202)
        }
        await run.heard(/stable: \S+cvs: cvs rdiff ended with status 1: cvs: connection lost\n/)
        assert.match(await askHere(farmStatus, world.farm), /they cannot be read: .*connection lost$/m)
        rmSync(at('half'))
        await run.heard(/stable: its sources can be read again/)
        await run.heard(/net\/a stable\/amd64: build 1 waits \(security\)/)
        await run.heard(/build 1: built, 1 packages/)

        ports.commit('update a', '1.2')
        writeFileSync(at('sqlports'), 'half of a database')
        await hook()
        await run.heard(/stable: \S+sqlports: cannot be read as sqlports: /)
        putSqlports(at('sqlports'))
        await run.heard(/build 2 waits/)
        await run.heard(/build 2: built, 1 packages/)

        ports.cvs('rtag', '-d', 'R_BASE', 'ports')
        await hook()
        await run.heard(/stable: \S+cvs: has no tag 'R_BASE'\n/)
        const page = await (await fetch(url)).text()
        assert.match(page, /The sources of stable<\/a> cannot be read, .*has no tag &#39;R_BASE&#39;/)
        ports.cvs('rtag', 'R_BASE', 'ports')
        await run.heard(/(?:can be read again[^]*){3}/)
        assert.match(readFileSync(join(world.farm, 'built/stable/amd64/manifest.json'), 'utf8'), /a-1\.2\.tgz/)
      } finally {
        run.child.kill('SIGTERM')
        await run.ended()
        world.remove()
        await postgres.stop()
      }
    },
  )
