import { BinderyError } from '../base/error.ts'
import { decodeRlog } from '../format/cvs-log.ts'
import { decodeRdiff } from '../format/cvs-rdiff.ts'
import type { SourceChange } from '../base/source-change.ts'
import type { Exec } from '../port/exec.ts'
import type { SourceControl } from '../port/source-control.ts'

/** `root` is as cvs -d takes it (undefined: $CVSROOT), `module` the tree in the repository: `ports`. No working copy is needed. */
export function cvsSource(exec: Exec, root: string | undefined, module: string): SourceControl {
  const cvs = async (words: readonly string[]): Promise<Uint8Array> => {
    const place = root === undefined ? [] : ['-d', root]
    const { status, stdout, stderr } = await exec.run('cvs', ['-q', '-z3', ...place, ...words])
    if (status !== 0) throw failureOf(words[0] as string, status, Buffer.from(stderr).toString('latin1'), root)
    return stdout
  }
  const below = (path: string): string => {
    if (path.startsWith(`${module}/`)) return path.slice(module.length + 1)
    throw new BinderyError('bad-format', `cvs names '${path.slice(0, 80)}', which is not in '${module}'`)
  }
  const rdiff = async (between: readonly string[]): Promise<readonly SourceChange[]> =>
    decodeRdiff(await cvs(['rdiff', '-s', ...between, module])).map(({ kind, path }) => ({ kind, path: below(path) }))
  const checkNamesFiles = async (name: string): Promise<void> => {
    if ((await rdiff(['-D', '1970-01-02', '-r', tag(name)])).length === 0) throw noTag(name, root)
  }
  return {
    pinned: async (name) => await Promise.resolve(name),
    changes: async (from, to) => {
      const changes = await rdiff(['-r', tag(from), '-r', tag(to)])
      // cvs remembers the names of tags: one that was removed since names no file, and each file would be new.
      for (const [kind, name] of [
        ['added', from],
        ['removed', to],
      ] as const)
        if (changes.length > 0 && changes.every((one) => one.kind === kind)) await checkNamesFiles(name)
      return changes
    },
    commits: async (from, to) =>
      decodeRlog(await cvs(['rlog', '-S', '-N', `-r${tag(from)}::${tag(to)}`, module]), module).map((commit) => ({
        ...commit,
        paths: commit.paths.map(below),
      })),
  }
}

/** As cvs(1) takes them; a colon, a comma or a dash in front would mean something else in the words above. */
function tag(name: string): string {
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) throw new BinderyError('usage', `'${name}' is no tag of CVS`)
  return name
}

function failureOf(verb: string, status: number, said: string, root: string | undefined): BinderyError {
  const subject = root ?? 'cvs'
  const missing = /no such tag [`']?([^`'\n]+)/.exec(said)?.[1]
  if (missing !== undefined) return noTag(missing, root)
  const reason = said.trim().split('\n').at(-1) || 'it said nothing'
  return new BinderyError('command-failed', `cvs ${verb} ended with status ${status}: ${reason}`, { subject })
}

function noTag(name: string, root: string | undefined): BinderyError {
  return new BinderyError('not-found', `has no tag '${name}'`, { subject: root ?? 'cvs' })
}
