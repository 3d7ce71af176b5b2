import { join } from 'node:path'
import { bindery, quote } from './harness.ts'
import { bytesWritten, changedBytes } from './writes.ts'
import type { Bench, Kit, Usage } from './harness.ts'

/** One update, downloaded before: what it writes (flash must not be worn), how long it takes, and the way back. */
export const bench: Bench = {
  name: 'install',
  run: async (kit) => {
    const client = quote(enrolledClient(kit))
    const written = join(kit.work, 'writes')
    const counted = `strace -f -qq -y -s 0 -e trace=write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile -o ${quote(written)} ${bindery} -C ${client} install`
    // The first one leaves the recovery program as well, once for a machine.
    kit.measure(`${bindery} -C ${client} install`)
    const back = goBack(kit, client)
    kit.measure(counted)
    const bytes = bytesWritten(written, join(kit.work, 'client'))
    goBack(kit, client)
    const plan = kit.measure(`${bindery} -C ${client} install -n`)
    const install = kit.measure(`${bindery} -C ${client} install`)
    const audit = kit.measure(`${bindery} -C ${client} audit`)
    return [
      {
        what: 'bytes written by `install`',
        unit: 'bytes',
        ours: bytes,
        peer: { name: 'bytes of the changed files', value: changedBytes(kit.trees) },
        goal: { of: 'ratio', atMost: 1.1 },
      },
      { what: '`install`', unit: 's', ours: install.wallSeconds },
      { what: '`install`, memory', unit: 'MiB', ours: install.peakMiB },
      { what: '`install -n`', unit: 's', ours: plan.wallSeconds },
      { what: '`rollback`', unit: 's', ours: back.wallSeconds },
      { what: '`rollback`, memory', unit: 'MiB', ours: back.peakMiB },
      { what: '`audit`', unit: 's', ours: audit.wallSeconds },
    ]
  },
}

/** As it was before the install, with the release in the cache. */
function goBack(kit: Kit, client: string): Usage {
  const back = kit.measure(`${bindery} -C ${client} rollback`)
  kit.measure(`${bindery} -C ${client} fetch`)
  return back
}

/** A copy of the old tree, with the new release in its cache. */
function enrolledClient(kit: Kit): string {
  const at = (name: string): string => quote(join(kit.work, name))
  kit.measure(`${bindery} init -r ${at('repo')} -k ${at('keys')} --no-passphrase`)
  for (const [side, revision] of [
    ['old', '1.0'],
    ['new', '1.1'],
  ] as const) {
    const name = `--product bench --revision ${revision} --date 20260101 --arch amd64`
    kit.measure(`${bindery} cut ${quote(kit.trees[side])} -o ${at(`${side}.tar.zst`)} ${name}`)
    // The trees have no shell that could run steps.
    kit.measure(`${bindery} publish -r ${at('repo')} -k ${at('keys')} --system none ${at(`${side}.tar.zst`)}`)
  }
  kit.measure(`cp -a ${quote(kit.trees.old)} ${at('client')}`)
  const url = quote(`file://${join(kit.work, 'repo')}/`)
  kit.measure(`${bindery} -q -C ${at('client')} enroll ${url} ${at('repo/metadata/1.root.json')} bench/amd64`)
  kit.measure(`${bindery} -C ${at('client')} fetch`)
  return join(kit.work, 'client')
}
