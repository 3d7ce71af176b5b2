import { BinderyError } from '../base/error.ts'
import { decodeLog, decodeNameStatus, logFormat } from '../format/git-changes.ts'
import type { Exec } from '../port/exec.ts'
import type { SourceControl } from '../port/source-control.ts'

/** `folder` is a clone, bare or not: a mirror of the ports tree, for one. */
export function gitSource(exec: Exec, folder: string): SourceControl {
  const git = async (words: readonly string[]): Promise<Uint8Array> => {
    const { status, stdout, stderr } = await exec.run('git', ['-C', folder, ...words])
    if (status === 0) return stdout
    const reason = Buffer.from(stderr).toString('latin1').trim().split('\n')[0] || 'it said nothing'
    throw new BinderyError('command-failed', `git ${words[0] as string} ended with status ${status}: ${reason}`, { subject: folder })
  }
  /** The commit that a name means, so that no name can be an option, a range or a path. */
  const commit = async (name: string): Promise<string> => {
    const { status, stdout } = await exec.run('git', [
      '-C',
      folder,
      'rev-parse',
      '--verify',
      '--quiet',
      '--end-of-options',
      `${name}^{commit}`,
    ])
    const id = Buffer.from(stdout).toString('latin1').trim()
    if (status === 0 && /^[0-9a-f]{40,64}$/.test(id)) return id
    throw new BinderyError('not-found', `has no commit '${name}'`, { subject: folder })
  }
  return {
    pinned: commit,
    changes: async (from, to) =>
      decodeNameStatus(await git(['diff', '--name-status', '--no-renames', '-z', await commit(from), await commit(to)])),
    commits: async (from, to) => {
      const range = `${await commit(from)}..${await commit(to)}`
      return decodeLog(await git(['log', '--name-only', '--no-renames', '-m', '--first-parent', '-z', `--format=${logFormat}`, range]))
    },
  }
}
