import { exitStatusOf } from '../base/error.ts'
import { checkRepository } from '../engine/repo/fsck.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { readRootFile } from './root-file.ts'
import type { Finding } from '../engine/repo/fsck-findings.ts'
import type { Command } from './command.ts'

export const fsck: Command = {
  name: 'fsck',
  summary: 'check a repository: signatures, digests, records, leavings',
  operands: '[ROOT.json]',
  operandCount: { min: 0, max: 1 },
  options: {
    repo: sharedFlags.repo,
    deep: { kind: 'flag', help: 'unpack every dist and compare it with its manifest' },
    json: sharedFlags.json,
  },
  examples: ['bindery fsck -r repo', 'bindery fsck -r /srv/mirror --deep 1.root.json'],
  run: async (context, input) => {
    const [rootFile] = input.operands
    const trustedRoot = rootFile === undefined ? undefined : await readRootFile(context, rootFile)
    const meter = context.progress.start('checking', undefined)
    const findings = await checkRepository({
      store: await openRepositoryFolder(input.required('repo')),
      clock: context.clock,
      deep: input.flag('deep'),
      meter,
      signal: context.signal,
      ...(trustedRoot === undefined ? {} : { trustedRoot }),
    })
    meter.end()
    for (const finding of findings) await print(context, input.flag('json') ? `${JSON.stringify(finding)}\n` : lineOf(finding))
    return findings.some(({ severity }) => severity === 'error') ? exitStatusOf['bad-digest'] : 0
  },
}

function lineOf({ severity, key, message }: Finding): string {
  return `${severity}: ${key}: ${message}\n`
}
