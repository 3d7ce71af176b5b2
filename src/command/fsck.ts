import { exitStatusOf } from '../base/error.ts'
import { checkBundles } from '../engine/bundle/fsck-bundles.ts'
import { checkRepository } from '../engine/repo/fsck.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { readRootFile } from './root-file.ts'
import { readKeyFile } from './signed-files.ts'
import { decodePublicKey } from '../format/signify.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Finding } from '../engine/repo/fsck-findings.ts'
import type { Command, Context, Input } from './command.ts'

export const fsck: Command = {
  name: 'fsck',
  summary: 'check a repository: signatures, digests, records, leavings',
  operands: '[ROOT.json]',
  operandCount: { min: 0, max: 1 },
  options: {
    repo: sharedFlags.repo,
    deep: { kind: 'flag', help: 'unpack every dist and compare it with its manifest' },
    pubkey: { ...sharedFlags.pubkey, help: 'the key that the list of bundles is signed with' },
    json: sharedFlags.json,
  },
  examples: ['bindery fsck -r repo', 'bindery fsck -r /srv/mirror --deep 1.root.json'],
  run: async (context, input) => {
    const [rootFile] = input.operands
    const trustedRoot = rootFile === undefined ? undefined : await readRootFile(context, rootFile)
    const meter = context.progress.start('checking', undefined)
    const store = await openRepositoryFolder(input.required('repo'))
    const common = { store, clock: context.clock, deep: input.flag('deep'), meter, signal: context.signal }
    const publicKey = await bundleKey(context, input)
    const findings = [
      ...(await checkRepository({ ...common, ...(trustedRoot === undefined ? {} : { trustedRoot }) })),
      ...(await checkBundles({ ...common, ...(publicKey === undefined ? {} : { publicKey }) })),
    ]
    meter.end()
    for (const finding of findings) await print(context, input.flag('json') ? `${JSON.stringify(finding)}\n` : lineOf(finding))
    if (!findings.some(({ severity }) => severity === 'error')) return 0
    context.say(
      "each of these files comes back by a copy from a mirror or a backup that 'bindery fsck' finds sound; bundles can be made again",
    )
    return exitStatusOf['bad-digest']
  },
}

async function bundleKey(context: Context, input: Input): Promise<SignifyPublicKey | undefined> {
  const file = input.value('pubkey')
  return file === undefined ? undefined : await readKeyFile(context, file, decodePublicKey)
}

function lineOf({ severity, key, message }: Finding): string {
  return `${severity}: ${key}: ${message}\n`
}
